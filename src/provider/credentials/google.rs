//! Google Cloud: access tokens for a service account, for a user, or for the machine that this runs on.
//!
//! Sources: "Using OAuth 2.0 for server to server applications", "Application default credentials" and "Authenticate by
//! the metadata server" in Google's documentation.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, Method, Request, header};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::token::{Fresh, NoCredential, Refreshing, Source};
use super::{Identity, Means, Variable, identity, web};
use crate::config::Secret;
use crate::provider::fetch::{self, Fetch, Pending};

const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long the metadata server may take, which is near or nowhere.
const NEAR: Duration = Duration::from_secs(3);

/// The longest life of an assertion that Google takes, in seconds.
const ASSERTION_LIFE: i64 = 3600;

/// Whose project a user's calls count for.
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// An account's token.
pub struct Google {
    token: Refreshing<HeaderValue>,
    quota_project: Option<HeaderValue>,
    identity: Identity,
}

struct Tokens {
    fetch: Arc<dyn Fetch>,
    account: Account,
}

enum Account {
    Service(Box<ServiceAccount>),
    User(User),
    /// That of the machine, asked for at this URL.
    Machine(String),
}

/// A JSON file of credentials, as far as it is used.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount {
        client_email: String,
        private_key: Secret,
        private_key_id: Option<String>,
        token_uri: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        token_uri: Option<String>,
        quota_project_id: Option<String>,
    },
    #[serde(other)]
    Unsupported,
}

struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    token_uri: String,
}

struct User {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_uri: String,
}

impl Google {
    pub(super) fn resolve(
        credentials: Option<&Secret>,
        variable: Variable<'_>,
        means: &Means,
    ) -> Result<Self, String> {
        let json = match credentials {
            Some(credentials) => Some(credentials.clone()),
            None => default_credentials(variable)?,
        };
        let (account, quota_project, identity) = match json {
            Some(json) => {
                let (account, quota_project) = Account::parse(json.expose())?;
                (account, quota_project, identity([json.expose()]))
            }
            None => {
                let url = metadata_url(variable);
                let identity = identity([url.as_str()]);
                (Account::Machine(url), None, identity)
            }
        };
        let fetch = means.fetch.clone();
        Ok(Self {
            token: Refreshing::new(Tokens { fetch, account }, means.report.clone()),
            quota_project,
            identity,
        })
    }

    pub(super) async fn authorize(
        &self,
        fields: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), NoCredential> {
        let token = self.token.get().await?;
        fields.push((header::AUTHORIZATION, (*token).clone()));
        fields.extend(
            self.quota_project
                .clone()
                .map(|project| (QUOTA_PROJECT, project)),
        );
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

/// The file that the environment names, or the one that `gcloud auth application-default login` writes.
fn default_credentials(variable: Variable<'_>) -> Result<Option<Secret>, String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(path) = set("GOOGLE_APPLICATION_CREDENTIALS") {
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
        return Ok(Some(Secret::from(text)));
    }
    let folder = set("CLOUDSDK_CONFIG").or_else(|| Some(set("HOME")? + "/.config/gcloud"));
    let path = folder.map(|folder| folder + "/application_default_credentials.json");
    let text = path.and_then(|path| std::fs::read_to_string(path).ok());
    Ok(text.map(Secret::from))
}

fn metadata_url(variable: Variable<'_>) -> String {
    let host = variable("GCE_METADATA_HOST").filter(|host| !host.is_empty());
    let host = host.as_deref().unwrap_or("metadata.google.internal");
    let scope = String::from_utf8_lossy(&web::form(&[("scopes", SCOPE)])).into_owned();
    let path = "computeMetadata/v1/instance/service-accounts/default/token";
    format!("http://{host}/{path}?{scope}")
}

impl Account {
    /// An account, and the project that its calls count for. Errors say where, but not what.
    fn parse(json: &str) -> Result<(Self, Option<HeaderValue>), String> {
        let file: File = serde_json::from_str(json).map_err(|error| match error.classify() {
            // The error's text would quote the value.
            serde_json::error::Category::Data => {
                "a field of the credentials is missing or wrong".to_owned()
            }
            _ => format!(
                "the credentials are not JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
        })?;
        match file {
            File::ServiceAccount {
                client_email,
                private_key,
                private_key_id,
                token_uri,
            } => {
                let account = ServiceAccount {
                    email: client_email,
                    key: rsa_key(private_key.expose())?,
                    key_id: private_key_id,
                    token_uri: checked(token_uri)?,
                };
                Ok((Self::Service(Box::new(account)), None))
            }
            File::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
                token_uri,
                quota_project_id,
            } => {
                let user = User {
                    client_id,
                    client_secret,
                    refresh_token,
                    token_uri: checked(token_uri)?,
                };
                let project = quota_project_id.map(|project| HeaderValue::from_str(&project));
                let project = project.transpose();
                let project = project.map_err(|_| "`quota_project_id` is no project's id")?;
                Ok((Self::User(user), project))
            }
            File::Unsupported => Err(
                "the credentials are neither of the type service_account nor authorized_user"
                    .to_owned(),
            ),
        }
    }
}

fn checked(token_uri: Option<String>) -> Result<String, String> {
    let uri = token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
    match web::host(&uri).is_empty() {
        true => Err("`token_uri` is not a URL".to_owned()),
        false => Ok(uri),
    }
}

fn rsa_key(pem: &str) -> Result<RsaKeyPair, String> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    let pair = match key.map_err(|_| "`private_key` is not a key in PEM")? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err("`private_key` is not an RSA key".to_owned()),
    };
    pair.map_err(|error| format!("`private_key` cannot be used: {error}"))
}

#[derive(Serialize)]
struct JwtHead<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceAccount {
    /// A signed JWT (RFC 7519) that says who asks.
    fn assertion(&self, now: DateTime<Utc>) -> Result<String, String> {
        let head = JwtHead {
            alg: "RS256",
            typ: "JWT",
            kid: self.key_id.as_deref(),
        };
        let claims = Claims {
            iss: &self.email,
            scope: SCOPE,
            aud: &self.token_uri,
            iat: now.timestamp(),
            exp: now.timestamp() + ASSERTION_LIFE,
        };
        let part = |json: serde_json::Result<Vec<u8>>| {
            let json = json.map_err(|_| "the assertion cannot be written")?;
            Ok::<_, String>(URL_SAFE_NO_PAD.encode(json))
        };
        let mut jwt = part(serde_json::to_vec(&head))?;
        jwt.push('.');
        jwt += &part(serde_json::to_vec(&claims))?;
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                jwt.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "the assertion cannot be signed")?;
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        Ok(jwt)
    }
}

impl Tokens {
    async fn ask(&self) -> Result<Fresh<HeaderValue>, String> {
        let fetch = &*self.fetch;
        match &self.account {
            Account::Service(account) => {
                let assertion = account.assertion(Utc::now())?;
                let pairs = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
                let request = web::post_form(&account.token_uri, web::form(&pairs))?;
                web::access_token(fetch, request, fetch::PATIENCE, &[&assertion]).await
            }
            Account::User(user) => {
                let secrets = [user.client_secret.expose(), user.refresh_token.expose()];
                let pairs = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", secrets[0]),
                    ("refresh_token", secrets[1]),
                ];
                let request = web::post_form(&user.token_uri, web::form(&pairs))?;
                web::access_token(fetch, request, fetch::PATIENCE, &secrets).await
            }
            Account::Machine(url) => {
                let flavor = HeaderValue::from_static("Google");
                let request: Request<_> =
                    web::request(Method::GET, url, &[("metadata-flavor", flavor)])?;
                let token = web::access_token(fetch, request, NEAR, &[]).await;
                token.map_err(|error| {
                    format!("no `credentials` are given, and the metadata server has none: {error}")
                })
            }
        }
    }
}

impl Source<HeaderValue> for Tokens {
    fn fetch(&self) -> Pending<'_, Result<Fresh<HeaderValue>, String>> {
        Box::pin(self.ask())
    }
}
