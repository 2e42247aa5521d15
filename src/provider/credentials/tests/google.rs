use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// A key that opens nothing, made for these tests.
const KEY: &str = include_str!("rsa_key.b64");

const ISSUED: &str = r#"{"access_token":"ya29.token","expires_in":3599,"token_type":"Bearer"}"#;

fn service_account(token_uri: &str) -> Value {
    // Put together here, so that no scanner takes the file for a leaked key.
    let label = ["PRIVATE", "KEY"].join(" ");
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": format!("-----BEGIN {label}-----\n{KEY}-----END {label}-----\n"),
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    })
}

fn google(credentials: &Value, means: &Means) -> Result<Authorization, String> {
    let credentials = secret(&credentials.to_string());
    Authorization::google(Some(&credentials), &variables([]), means)
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let server = Server::answering(200, ISSUED).await;
    let (means, _) = means();
    let uri = format!("{}/token", server.url);
    let account = google(&service_account(&uri), &means).unwrap();
    for _ in 0..2 {
        let fields = authorized(&account).await.unwrap();
        assert_eq!(fields["authorization"], "Bearer ya29.token");
    }
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/token"));
    let grant = seen[0].posted("grant_type").unwrap();
    assert_eq!(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer");

    let jwt = seen[0].posted("assertion").unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let key = STANDARD.decode(KEY.replace('\n', "")).unwrap();
    let key = RsaKeyPair::from_pkcs8(&key).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();

    let part = |text: &str| {
        let json = URL_SAFE_NO_PAD.decode(text).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()
    };
    let (head, claims) = signed.split_once('.').unwrap();
    let expected = json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"});
    assert_eq!(part(head), expected);
    let claims = part(claims);
    assert_eq!(claims["iss"], "gateway@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], uri);
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    assert_eq!(claims["scope"], scope);
    let [from, to] = ["iat", "exp"].map(|name| claims[name].as_i64().unwrap());
    assert_eq!(to - from, 3600);
    assert!((Utc::now().timestamp() - from).abs() < 60);
}

#[tokio::test]
async fn a_user_is_refreshed_and_names_the_quota_project() {
    let server = Server::answering(200, ISSUED).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adc.json");
    let user = json!({
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "cs",
        "refresh_token": "1//rt",
        "quota_project_id": "payer",
        "token_uri": server.url,
        "universe_domain": "googleapis.com",
    });
    std::fs::write(&file, user.to_string()).unwrap();
    let (means, _) = means();
    let environment = variables([("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())]);
    let account = Authorization::google(None, &environment, &means).unwrap();
    let fields = authorized(&account).await.unwrap();
    assert_eq!(fields["authorization"], "Bearer ya29.token");
    assert_eq!(fields["x-goog-user-project"], "payer");
    let seen = server.seen();
    assert_eq!(seen[0].posted("grant_type").unwrap(), "refresh_token");
    assert_eq!(seen[0].posted("refresh_token").unwrap(), "1//rt");
    assert_eq!(seen[0].posted("client_secret").unwrap(), "cs");
}

#[tokio::test]
async fn the_file_of_gcloud_is_found_in_its_place() {
    let server = Server::answering(200, ISSUED).await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    let account = service_account(&server.url).to_string();
    std::fs::write(folder.join("application_default_credentials.json"), account).unwrap();
    let (means, _) = means();
    let environment = variables([("HOME", home.path().to_str().unwrap())]);
    let account = Authorization::google(None, &environment, &means).unwrap();
    authorized(&account).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn without_credentials_the_metadata_server_is_asked() {
    let server = Server::answering(200, ISSUED).await;
    let (means, _) = means();
    let host = server.url.strip_prefix("http://").unwrap();
    let environment = variables([("GCE_METADATA_HOST", host)]);
    let account = Authorization::google(None, &environment, &means).unwrap();
    let fields = authorized(&account).await.unwrap();
    assert_eq!(fields["authorization"], "Bearer ya29.token");
    let seen = server.seen();
    assert_eq!(seen[0].method, "GET");
    assert_eq!(seen[0].field("metadata-flavor"), "Google");
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    assert!(seen[0].path.starts_with(path), "{}", seen[0].path);
}

#[tokio::test]
async fn a_refusal_is_told() {
    let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let server = Server::answering(400, refusal).await;
    let (means, reports) = means();
    let account = google(&service_account(&server.url), &means).unwrap();
    let error = authorized(&account).await.unwrap_err().to_string();
    let expected = "127.0.0.1 answered 400: invalid_grant: Invalid JWT Signature.";
    assert_eq!(error, expected);
    assert_eq!(*reports.lock().unwrap(), [error]);
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_not_quoted() {
    for answer in [
        "<html>s3cret</html>",
        r#"{"access_token":["s3cret"]}"#,
        "{\"access_token\":\"s3cret\\n\\u0007x\"}",
    ] {
        let server = Server::answering(200, answer).await;
        let (means, _) = means();
        let account = google(&service_account(&server.url), &means).unwrap();
        let error = authorized(&account).await.unwrap_err().to_string();
        assert!(error.starts_with("127.0.0.1 answered "), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn bad_credentials_are_refused_without_quoting_them() {
    let (means, _) = means();
    let good = service_account("https://oauth2.googleapis.com/token");
    assert!(google(&good, &means).is_ok());
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed.to_string()
    };
    let cases = [
        ("s3cret".to_owned(), "not JSON (line 1, column 1)"),
        (with("private_key", json!(["s3cret"])), "missing or wrong"),
        (with("private_key", json!("s3cret")), "not a key in PEM"),
        (with("type", json!("s3cret")), "neither of the type"),
        (with("token_uri", json!("s3 cret")), "`token_uri`"),
        (with("token_uri", json!("/s3cret")), "`token_uri`"),
    ];
    for (credentials, expected) in cases {
        let resolved = Authorization::google(Some(&secret(&credentials)), &variables([]), &means);
        let Err(error) = resolved else {
            panic!("{expected}")
        };
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("s3"), "{error}");
    }
}
