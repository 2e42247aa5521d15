use super::*;

const ISSUED: &str =
    r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ.token"}"#;

fn section(secret: Option<&str>) -> EntraSection {
    EntraSection {
        tenant_id: Some("contoso.onmicrosoft.com".to_owned()),
        client_id: Some("app".to_owned()),
        client_secret: secret.map(super::secret),
    }
}

#[tokio::test]
async fn an_application_logs_in_by_its_secret() {
    let server = Server::answering(200, ISSUED).await;
    let (means, _) = means();
    let authority = format!("{}/", server.url);
    let environment = variables([("AZURE_AUTHORITY_HOST", &authority)]);
    let entra = Authorization::entra(&section(Some("s3cr/et")), &environment, &means).unwrap();
    for _ in 0..3 {
        let fields = authorized(&entra).await.unwrap();
        assert_eq!(fields["authorization"], "Bearer eyJ.token");
    }
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "POST"));
    assert_eq!(seen[0].path, "/contoso.onmicrosoft.com/oauth2/v2.0/token");
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("client_secret", "s3cr/et"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ] {
        assert_eq!(seen[0].posted(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_workload_logs_in_by_the_token_in_its_file() {
    let server = Server::answering(200, ISSUED).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "federated\n").unwrap();
    let (means, _) = means();
    let environment = variables([
        ("AZURE_AUTHORITY_HOST", &server.url),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "workload"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]);
    let entra = Authorization::entra(&EntraSection::default(), &environment, &means).unwrap();
    authorized(&entra).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path, "/tenant/oauth2/v2.0/token");
    assert_eq!(seen[0].posted("client_assertion").unwrap(), "federated");
    assert_eq!(seen[0].posted("client_id").unwrap(), "workload");
    assert_eq!(seen[0].posted("client_secret"), None);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_secret() {
    let refusal = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret 's3cret'\r\nTrace ID: x"}"#;
    let server = Server::answering(401, refusal).await;
    let (means, reports) = means();
    let environment = variables([("AZURE_AUTHORITY_HOST", &server.url)]);
    let entra = Authorization::entra(&section(Some("s3cret")), &environment, &means).unwrap();
    let error = authorized(&entra).await.unwrap_err().to_string();
    let expected = "127.0.0.1 answered 401: invalid_client: AADSTS7000215: Invalid client secret '***'  Trace ID: x";
    assert_eq!(error, expected);
    assert_eq!(*reports.lock().unwrap(), [expected]);
}

#[test]
fn what_is_missing_is_named() {
    let (means, _) = means();
    let nothing = variables([]);
    let problem = |section: &EntraSection| {
        let resolved = Authorization::entra(section, &nothing, &means);
        resolved.err().unwrap_or_default()
    };
    assert!(problem(&EntraSection::default()).contains("tenant_id"));
    assert!(problem(&section(None)).contains("client_secret"));
    let odd = EntraSection {
        tenant_id: Some("a/../b".to_owned()),
        ..section(Some("s"))
    };
    assert!(problem(&odd).contains("tenant_id"));
    assert_eq!(problem(&section(Some("s"))), "");
}

#[test]
fn the_same_settings_keep_what_was_fetched() {
    let (means, _) = means();
    let nothing = variables([]);
    let entra = |secret| {
        let made = Authorization::entra(&section(Some(secret)), &nothing, &means);
        let Ok(Authorization::Entra(entra)) = made else {
            panic!("a good section")
        };
        entra
    };
    let old = entra("a");
    let before = Authorization::Entra(old.clone());
    let is_kept = |new: Authorization| {
        let kept = new.or_kept(Some(&before));
        matches!(kept, Authorization::Entra(kept) if Arc::ptr_eq(&kept, &old))
    };
    assert!(is_kept(Authorization::Entra(entra("a"))));
    assert!(!is_kept(Authorization::Entra(entra("b"))));
    assert!(!is_kept(Authorization::bearer(&secret("k")).unwrap()));
}
