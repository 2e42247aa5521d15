use chrono::{SecondsFormat, TimeDelta};
use serde_json::json;

use super::*;

fn in_an_hour() -> String {
    (Utc::now() + TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As instances and containers answer.
fn issued_json() -> String {
    json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAJSON",
        "SecretAccessKey": "s3cret",
        "Token": "a-token",
        "Expiration": in_an_hour(),
    })
    .to_string()
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

/// The access key id and the session token of a signed call.
async fn signer(authorization: &Authorization) -> Result<(String, Option<String>), String> {
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

fn signed_by(id: &str, token: Option<&str>) -> Result<(String, Option<String>), String> {
    Ok((id.to_owned(), token.map(str::to_owned)))
}

/// A folder with the two files of profiles.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(credentials: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("credentials"), credentials).unwrap();
        std::fs::write(folder.path().join("config"), config).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
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
    let credentials = "[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key=s\n\
                       [dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = s\naws_session_token = t\n\
                       [half]\naws_access_key_id = AKIAHALF\n";
    let config = "[profile sso]\nsso_session = x\n";
    let files = Files::new(credentials, config);
    let found = files.aws("dev", "");
    assert_eq!(signer(&found).await, signed_by("AKIADEV", Some("t")));
    let found = files.aws("", "");
    assert_eq!(signer(&found).await, signed_by("AKIADEFAULT", None));
    for (profile, expected) in [
        ("missing", "the AWS profile `missing`: is in neither file"),
        ("half", "only one is given"),
        ("sso", "credential_process"),
    ] {
        let error = signer(&files.aws(profile, "")).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_profile_may_assume_a_role() {
    let server = Server::start(|_| (200, issued_xml())).await;
    let credentials = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n";
    let config = "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = e+x\n\
                  role_session_name = me\nduration_seconds = 900\n\
                  [profile second]\nrole_arn = arn:2\nsource_profile = role\n\
                  [profile own]\nrole_arn = arn:3\nsource_profile = own\naws_access_key_id = AKIAOWN\naws_secret_access_key = s\n\
                  [profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\nrole_arn = arn:b\nsource_profile = a\n\
                  [profile lost]\nrole_arn = arn:l\nsource_profile = nowhere\n\
                  [profile mfa]\nrole_arn = arn:m\nsource_profile = base\nmfa_serial = x\n";
    let files = Files::new(credentials, config);
    let found = files.aws("role", &server.url);
    assert_eq!(signer(&found).await, signed_by("ASIAXML", Some("xml-token")));
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/"));
    let authorization = seen.field("authorization");
    assert!(authorization.contains("Credential=AKIABASE/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/sts/aws4_request"), "{authorization}");
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
        let error = signer(&files.aws(profile, &server.url)).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_profile_may_run_a_program() {
    let files = Files::new("", "");
    let printed = json!({"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s", "SessionToken": "t"});
    std::fs::write(files.path("printed"), printed.to_string()).unwrap();
    let config = format!(
        "[profile good]\ncredential_process = /bin/cat \"{}\"\n[profile bad]\ncredential_process = /bin/false\n\
         [profile none]\ncredential_process = /nowhere/program\n[profile odd]\ncredential_process = /bin/echo s3cret\n",
        files.path("printed")
    );
    std::fs::write(files.path("config"), config).unwrap();
    let found = files.aws("good", "");
    assert_eq!(signer(&found).await, signed_by("AKIAPROCESS", Some("t")));
    for (profile, expected) in [
        ("bad", "ended with exit status: 1"),
        ("none", "cannot be run"),
        ("odd", "has not printed"),
    ] {
        let error = signer(&files.aws(profile, "")).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_web_identity_assumes_its_role() {
    let server = Server::start(|_| (200, issued_xml())).await;
    let files = Files::new("", "");
    std::fs::write(files.path("token"), "web.identity.token\n").unwrap();
    let found = aws([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &files.path("token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ]);
    assert_eq!(signer(&found).await, signed_by("ASIAXML", Some("xml-token")));
    let seen = server.seen().remove(0);
    assert_eq!(seen.posted("Action").unwrap(), "AssumeRoleWithWebIdentity");
    assert_eq!(seen.posted("WebIdentityToken").unwrap(), "web.identity.token");
    assert_eq!(seen.posted("RoleSessionName").unwrap(), "tollgate");
    assert_eq!(seen.field("authorization"), "", "the token is all");
}

#[tokio::test]
async fn what_the_sts_refuses_is_told_without_the_token() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
                   <Message>Couldn&apos;t use web.identity.token</Message></Error></ErrorResponse>";
    let server = Server::start(move |_| (400, refusal.to_owned())).await;
    let files = Files::new("", "");
    std::fs::write(files.path("token"), "web.identity.token").unwrap();
    let found = aws([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &files.path("token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ]);
    let error = signer(&found).await.unwrap_err();
    assert_eq!(
        error,
        "127.0.0.1 answered 400: InvalidIdentityToken: Couldn't use ***"
    );
}

#[tokio::test]
async fn a_container_has_credentials() {
    let server = Server::start(|_| (200, issued_json())).await;
    let files = Files::new("", "");
    std::fs::write(files.path("token"), "pod-token\n").unwrap();
    let url = format!("{}/v1/credentials", server.url);
    let found = aws([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "stale"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &files.path("token")),
    ]);
    assert_eq!(signer(&found).await, signed_by("ASIAJSON", Some("a-token")));
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v1/credentials"));
    assert_eq!(seen.field("authorization"), "pod-token");

    let far = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x")]);
    let error = signer(&far).await.unwrap_err();
    assert!(error.contains("neither https nor on this machine"), "{error}");
}

#[tokio::test]
async fn an_instance_has_a_role() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("PUT", "/latest/api/token") => (200, "session".to_owned()),
        _ if seen.field("x-aws-ec2-metadata-token") != "session" => (401, String::new()),
        ("GET", "/latest/meta-data/iam/security-credentials/") => (200, "my-role\n".to_owned()),
        ("GET", "/latest/meta-data/iam/security-credentials/my-role") => (200, issued_json()),
        _ => (404, String::new()),
    })
    .await;
    let found = aws([("AWS_EC2_METADATA_SERVICE_ENDPOINT", &[&server.url, "/"].concat())]);
    assert_eq!(signer(&found).await, signed_by("ASIAJSON", Some("a-token")));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].field("x-aws-ec2-metadata-token-ttl-seconds"), "300");
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
    assert!(error.starts_with("no AWS credentials: none in the environment"), "{error}");
    assert!(error.ends_with("the instance has no role"), "{error}");
}

#[tokio::test]
async fn nothing_configured_is_told_as_such() {
    let found = aws([("AWS_EC2_METADATA_DISABLED", "TRUE")]);
    let error = signer(&found).await.unwrap_err();
    assert!(error.ends_with("AWS_EC2_METADATA_DISABLED is set"), "{error}");
}

#[tokio::test]
async fn credentials_that_have_expired_are_not_used() {
    let server = Server::start(|_| {
        let answer = issued_json().replace(&in_an_hour()[..4], "2001");
        (200, answer)
    })
    .await;
    let url = format!("{}/x", server.url);
    let found = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]);
    let error = signer(&found).await.unwrap_err();
    assert!(error.contains("expired already"), "{error}");
}

#[tokio::test]
async fn a_hundred_calls_fetch_once() {
    let server = Server::start(|_| (200, issued_json())).await;
    let url = format!("{}/x", server.url);
    let found = aws([("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let found = found.clone();
        calls.spawn(async move { signer(&found).await });
    }
    let all = calls.join_all().await;
    assert!(all.iter().all(|one| *one == signed_by("ASIAJSON", Some("a-token"))));
    assert_eq!(server.seen().len(), 1);
}
