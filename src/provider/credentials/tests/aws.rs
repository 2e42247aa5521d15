use chrono::{SecondsFormat, TimeDelta};
use serde_json::json;

use super::*;

fn in_an_hour() -> String {
    (Utc::now() + TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As instances and containers answer.
fn issued_json(expiration: &str) -> String {
    let issued = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAJSON",
        "SecretAccessKey": "s3cret",
        "Token": "a-token",
        "Expiration": expiration,
    });
    issued.to_string()
}

/// As the STS answers.
fn issued_xml() -> String {
    format!(
        r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIAXML</AccessKeyId>
        <SecretAccessKey>s3cret/&amp;</SecretAccessKey><SessionToken>xml-token</SessionToken>
        <Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"#,
        in_an_hour()
    )
}

fn aws<const N: usize>(environment: [(&str, &str); N]) -> Authorization {
    let (means, _) = means();
    Authorization::bedrock(None, "eu-west-1", &variables(environment), &means).unwrap()
}

type Signer = (String, Option<String>);

/// The access key id and the session token of a signed call.
async fn signer(authorization: &Authorization) -> Result<Signer, String> {
    let fields = authorized(authorization).await;
    let fields = fields.map_err(|error| error.to_string())?;
    let text = fields["authorization"].to_str().unwrap();
    let credential = text.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
    let (id, rest) = credential.split_once('/').unwrap();
    assert!(rest.contains("/eu-west-1/bedrock/aws4_request, "), "{rest}");
    let token = fields.get("x-amz-security-token");
    let token = token.map(|token| token.to_str().unwrap().to_owned());
    Ok((id.to_owned(), token))
}

fn signed_by(id: &str, token: Option<&str>) -> Result<Signer, String> {
    Ok((id.to_owned(), token.map(str::to_owned)))
}

/// A folder with the two files of profiles.
struct Files(tempfile::TempDir);

impl Files {
    fn new(credentials: &str, config: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("credentials", credentials);
        files.write("config", config);
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn aws(&self, profile: &str, sts: &str) -> Authorization {
        aws([
            ("AWS_SHARED_CREDENTIALS_FILE", &self.path("credentials")),
            ("AWS_CONFIG_FILE", &self.path("config")),
            ("AWS_PROFILE", profile),
            ("AWS_ENDPOINT_URL_STS", sts),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
    }

    async fn refused(&self, profile: &str, sts: &str, expected: &str) {
        let error = signer(&self.aws(profile, sts)).await.unwrap_err();
        assert!(error.contains(expected), "{profile}: {error}");
        assert!(!error.contains("s3cret"), "{profile}: {error}");
    }
}

#[tokio::test]
async fn keys_in_the_environment_come_first() {
    let found = aws([
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_SESSION_TOKEN", "t"),
        ("AWS_PROFILE", "missing"),
    ]);
    assert_eq!(signer(&found).await, signed_by("AKIAENV", Some("t")));
    let half = aws([("AWS_ACCESS_KEY_ID", "AKIAENV")]);
    let error = signer(&half).await.unwrap_err();
    assert!(error.contains("only one is set"), "{error}");
}

#[tokio::test]
async fn a_profile_may_hold_keys() {
    let credentials = "
[default]
aws_access_key_id=AKIADEFAULT
aws_secret_access_key=s3cret
[dev]
aws_access_key_id = AKIADEV
aws_secret_access_key = s3cret
aws_session_token = t
[half]
aws_secret_access_key = s3cret
";
    let files = Files::new(credentials, "[profile sso]\nsso_session = x\n");
    let found = files.aws("dev", "");
    assert_eq!(signer(&found).await, signed_by("AKIADEV", Some("t")));
    let found = files.aws("", "");
    assert_eq!(signer(&found).await, signed_by("AKIADEFAULT", None));
    for (profile, expected) in [
        ("missing", "the AWS profile `missing`: is in neither file"),
        ("half", "only one is given"),
        ("sso", "credential_process"),
    ] {
        files.refused(profile, "", expected).await;
    }
}

const ROLES: &str = "
[profile role]
role_arn = arn:aws:iam::1:role/r
source_profile = base
external_id = e+x
role_session_name = me
duration_seconds = 900
[profile second]
role_arn = arn:2
source_profile = role
[profile own]
role_arn = arn:3
source_profile = own
aws_access_key_id = AKIAOWN
aws_secret_access_key = s3cret
[profile a]
role_arn = arn:a
source_profile = b
[profile b]
role_arn = arn:b
source_profile = a
[profile lost]
role_arn = arn:l
source_profile = nowhere
[profile mfa]
role_arn = arn:m
source_profile = base
mfa_serial = x
";

#[tokio::test]
async fn a_profile_may_assume_a_role() {
    let server = Server::start(|_| (200, issued_xml())).await;
    let base = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s3cret\n";
    let files = Files::new(base, ROLES);
    let found = files.aws("role", &server.url);
    let expected = signed_by("ASIAXML", Some("xml-token"));
    assert_eq!(signer(&found).await, expected);
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/"));
    let authorization = seen.field("authorization");
    for part in ["Credential=AKIABASE/", "/eu-west-1/sts/aws4_request"] {
        assert!(authorization.contains(part), "{authorization}");
    }
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::1:role/r"),
        ("ExternalId", "e+x"),
        ("RoleSessionName", "me"),
        ("DurationSeconds", "900"),
    ] {
        assert_eq!(seen.posted(name).as_deref(), Some(value), "{name}");
    }

    signer(&files.aws("second", &server.url)).await.unwrap();
    let second = server.seen().pop().unwrap();
    assert_eq!(second.posted("RoleArn").unwrap(), "arn:2");
    assert!(second.field("authorization").contains("ASIAXML"));
    assert_eq!(second.field("x-amz-security-token"), "xml-token");

    signer(&files.aws("own", &server.url)).await.unwrap();
    let own = server.seen().pop().unwrap();
    assert!(own.field("authorization").contains("AKIAOWN"));

    for (profile, expected) in [("a", "circle"), ("lost", "nowhere"), ("mfa", "mfa_serial")] {
        files.refused(profile, &server.url, expected).await;
    }
}

#[tokio::test]
async fn a_profile_may_run_a_program() {
    let files = Files::new("", "");
    let printed = json!({
        "Version": 1,
        "AccessKeyId": "AKIAPROCESS",
        "SecretAccessKey": "s3cret",
        "SessionToken": "t",
    });
    files.write("printed", &printed.to_string());
    let config = format!(
        "
[profile good]
credential_process = /bin/cat \"{}\"
[profile bad]
credential_process = /bin/false
[profile none]
credential_process = /nowhere/program
[profile odd]
credential_process = /bin/echo s3cret
",
        files.path("printed")
    );
    files.write("config", &config);
    let found = files.aws("good", "");
    assert_eq!(signer(&found).await, signed_by("AKIAPROCESS", Some("t")));
    for (profile, expected) in [
        ("bad", "ended with exit status: 1"),
        ("none", "cannot be run"),
        ("odd", "has not printed"),
    ] {
        files.refused(profile, "", expected).await;
    }
}

#[tokio::test]
async fn a_web_identity_assumes_its_role() {
    let server = Server::start(|_| (200, issued_xml())).await;
    let files = Files::new("", "");
    files.write("token", "web.identity.token\n");
    let found = aws([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &files.path("token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ]);
    let expected = signed_by("ASIAXML", Some("xml-token"));
    assert_eq!(signer(&found).await, expected);
    let seen = server.seen().remove(0);
    assert_eq!(seen.posted("Action").unwrap(), "AssumeRoleWithWebIdentity");
    let token = seen.posted("WebIdentityToken").unwrap();
    assert_eq!(token, "web.identity.token");
    assert_eq!(seen.posted("RoleSessionName").unwrap(), "tollgate");
    assert_eq!(seen.field("authorization"), "", "the token is all");
}

#[tokio::test]
async fn what_the_sts_refuses_is_told_without_the_token() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
                   <Message>Couldn&apos;t use web.identity.token</Message></Error></ErrorResponse>";
    let server = Server::answering(400, refusal).await;
    let files = Files::new("", "");
    files.write("token", "web.identity.token");
    let found = aws([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &files.path("token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ]);
    let error = signer(&found).await.unwrap_err();
    let expected = "127.0.0.1 answered 400: InvalidIdentityToken: Couldn't use ***";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_refusal_that_quotes_what_was_signed_shows_no_secret() {
    let server = Server::start(|seen| {
        let token = seen.field("x-amz-security-token");
        let message = format!("should have been 'POST / x-amz-security-token:{token} '");
        let code = "<Code>SignatureDoesNotMatch</Code>";
        (
            403,
            format!("<Error>{code}<Message>{message}</Message></Error>"),
        )
    })
    .await;
    let base =
        "[base]\naws_access_key_id = A\naws_secret_access_key = x\naws_session_token = s3cret\n";
    let files = Files::new(base, ROLES);
    files.refused("role", &server.url, "token:***").await;
}

#[tokio::test]
async fn a_container_has_credentials() {
    let server = Server::start(|_| (200, issued_json(&in_an_hour()))).await;
    let files = Files::new("", "");
    files.write("token", "pod-token\n");
    let url = format!("{}/v1/credentials", server.url);
    let found = aws([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "stale"),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            &files.path("token"),
        ),
    ]);
    let expected = signed_by("ASIAJSON", Some("a-token"));
    assert_eq!(signer(&found).await, expected);
    let seen = server.seen().remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("GET", "/v1/credentials")
    );
    assert_eq!(seen.field("authorization"), "pod-token");

    let far = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x")]);
    let error = signer(&far).await.unwrap_err();
    let expected = "neither https nor on this machine";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn an_instance_has_a_role() {
    let server = Server::start(|seen| {
        let role = "/latest/meta-data/iam/security-credentials/my-role";
        match (seen.method.as_str(), seen.path.as_str()) {
            ("PUT", "/latest/api/token") => (200, "session".to_owned()),
            _ if seen.field("x-aws-ec2-metadata-token") != "session" => (401, String::new()),
            ("GET", path) if path == role => (200, issued_json(&in_an_hour())),
            ("GET", path) if role.starts_with(path) => (200, "my-role\n".to_owned()),
            _ => (404, String::new()),
        }
    })
    .await;
    let endpoint = format!("{}/", server.url);
    let found = aws([("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]);
    let expected = signed_by("ASIAJSON", Some("a-token"));
    assert_eq!(signer(&found).await, expected);
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    let life = seen[0].field("x-aws-ec2-metadata-token-ttl-seconds");
    assert_eq!(life, "300");
}

#[tokio::test]
async fn an_instance_without_a_role_is_told_as_such() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "PUT" => (200, "session".to_owned()),
        _ => (404, String::new()),
    })
    .await;
    let found = aws([("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)]);
    let error = signer(&found).await.unwrap_err();
    assert!(error.starts_with("no AWS credentials: none in"), "{error}");
    assert!(error.ends_with("the instance has no role"), "{error}");
}

#[tokio::test]
async fn nothing_configured_is_told_as_such() {
    let found = aws([("AWS_EC2_METADATA_DISABLED", "TRUE")]);
    let error = signer(&found).await.unwrap_err();
    assert!(
        error.ends_with("AWS_EC2_METADATA_DISABLED is set"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_that_have_expired_are_not_used() {
    let server = Server::answering(200, &issued_json("2001-01-01T00:00:00Z")).await;
    let found = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]);
    let error = signer(&found).await.unwrap_err();
    assert!(error.contains("expired already"), "{error}");
}

#[tokio::test]
async fn a_hundred_calls_fetch_once() {
    let server = Server::start(|_| (200, issued_json(&in_an_hour()))).await;
    let found = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let found = found.clone();
        calls.spawn(async move { signer(&found).await });
    }
    let expected = signed_by("ASIAJSON", Some("a-token"));
    let all = calls.join_all().await;
    assert!(all.iter().all(|one| *one == expected));
    assert_eq!(server.seen().len(), 1);
}
