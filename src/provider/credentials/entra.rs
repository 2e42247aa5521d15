//! Entra ID (Azure): an application's client credentials, by a secret or by a federated token (workload identity).
//!
//! Source: "OAuth 2.0 client credentials flow" of the Microsoft identity platform, and the environment that Azure's
//! workload identity webhook sets.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use super::token::{Fresh, NoCredential, Refreshing, Source};
use super::{EntraSection, Identity, Means, Variable, identity, web};
use crate::config::Secret;
use crate::provider::fetch::{self, Fetch, Pending};

const AUTHORITY: &str = "https://login.microsoftonline.com";

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An application's token.
pub struct Entra {
    token: Refreshing<HeaderValue>,
    identity: Identity,
}

struct Application {
    fetch: Arc<dyn Fetch>,
    url: String,
    client_id: String,
    proof: Proof,
}

enum Proof {
    Secret(Secret),
    /// A file, written anew by another before its token expires.
    TokenFile(String),
}

impl Entra {
    pub(super) fn resolve(
        section: &EntraSection,
        variable: Variable<'_>,
        means: &Means,
    ) -> Result<Self, String> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let said = |field: &Option<String>, name: &str| field.clone().or_else(|| set(name));
        let tenant = said(&section.tenant_id, "AZURE_TENANT_ID")
            .ok_or("`tenant_id` is missing, and AZURE_TENANT_ID is not set")?;
        let client_id = said(&section.client_id, "AZURE_CLIENT_ID")
            .ok_or("`client_id` is missing, and AZURE_CLIENT_ID is not set")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if tenant.is_empty() || !tenant.bytes().all(is_name) {
            return Err("`tenant_id` is neither an id nor a domain".to_owned());
        }
        let proof = match (&section.client_secret, set("AZURE_FEDERATED_TOKEN_FILE")) {
            (Some(secret), _) => Proof::Secret(secret.clone()),
            (None, Some(file)) => Proof::TokenFile(file),
            (None, None) => {
                let missing =
                    "`client_secret` is missing, and AZURE_FEDERATED_TOKEN_FILE is not set";
                return Err(missing.to_owned());
            }
        };
        let authority = set("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
        let url = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            authority.trim_end_matches('/')
        );
        if web::host(&url).is_empty() {
            return Err("AZURE_AUTHORITY_HOST is not a URL".to_owned());
        }
        let proved = match &proof {
            Proof::Secret(secret) => ["secret", secret.expose()],
            Proof::TokenFile(file) => ["file", file],
        };
        let identity = identity([url.as_str(), &client_id].into_iter().chain(proved));
        let application = Application {
            fetch: means.fetch.clone(),
            url,
            client_id,
            proof,
        };
        Ok(Self {
            token: Refreshing::new(application, means.report.clone()),
            identity,
        })
    }

    pub(super) async fn authorize(
        &self,
        fields: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), NoCredential> {
        let token = self.token.get().await?;
        fields.push((header::AUTHORIZATION, (*token).clone()));
        Ok(())
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn tend(&self) {
        self.token.current();
    }

    pub(super) fn doubt(&self) {
        self.token.doubt();
    }
}

impl Application {
    async fn ask(&self) -> Result<Fresh<HeaderValue>, String> {
        let (proof, secret) = match &self.proof {
            Proof::Secret(secret) => ("client_secret", secret.expose().to_owned()),
            Proof::TokenFile(file) => ("client_assertion", web::read_file(file).await?),
        };
        let mut pairs = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("scope", SCOPE),
            (proof, &secret),
        ];
        if let Proof::TokenFile(_) = self.proof {
            pairs.push(("client_assertion_type", ASSERTION));
        }
        let request = web::post_form(&self.url, web::form(&pairs))?;
        web::access_token(&*self.fetch, request, fetch::PATIENCE, &[&secret]).await
    }
}

impl Source<HeaderValue> for Application {
    fn fetch(&self) -> Pending<'_, Result<Fresh<HeaderValue>, String>> {
        Box::pin(self.ask())
    }
}
