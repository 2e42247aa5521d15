//! Where alerts are sent, and how what is sent there is signed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use ring::hmac;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Document, ScalarOr, Secret};

/// A URL, or a URL with more to say about it. Whoever knows the URL of a webhook can often post there, so it is treated as a
/// secret.
pub type WebhookSection = ScalarOr<Secret, DetailedWebhookSection>;

/// A webhook with more to say about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedWebhookSection {
    /// `https://…`; alerts are posted there as JSON.
    pub url: Secret,
    /// What alerts are signed with, as the Standard Webhooks specification says: `whsec_` and base64, or any other text.
    pub secret: Option<Secret>,
}

/// What a secret in base64 begins with (Standard Webhooks, "Signature scheme").
const SECRET_PREFIX: &str = "whsec_";

/// Shorter ones can be guessed (Standard Webhooks: "between 24 bytes and 64 bytes").
const SECRET_MIN: usize = 24;

/// Longer than any that is used; the whole head of a request has its bounds.
const URL_MAX: usize = 4096;

/// Where alerts are sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    url: Uri,
    /// What alerts are signed with.
    key: Option<Vec<u8>>,
}

impl Webhook {
    /// Reads a section, which stands at `path`; mistakes go to `document`.
    pub fn resolve(
        section: &WebhookSection,
        path: &[&str],
        document: &mut Document,
    ) -> Option<Self> {
        let url_path;
        let (url, url_path, secret) = match section {
            ScalarOr::Scalar(url) => (url, path, None),
            ScalarOr::Collection(detailed) => {
                url_path = [path, &["url"]].concat();
                (&detailed.url, &url_path[..], detailed.secret.as_ref())
            }
        };
        let key = secret.map(|secret| {
            let path = [path, &["secret"]].concat();
            let key = signing_key(secret.expose());
            match &key {
                None => {
                    document
                        .error(&path, "what follows `whsec_` in `secret` is not base64")
                        .help("make one: echo whsec_$(openssl rand -base64 32)");
                }
                Some(key) if key.len() < SECRET_MIN => {
                    document
                        .warning(&path, format!("`secret` has fewer than {SECRET_MIN} bytes"))
                        .help("make one that cannot be guessed: echo whsec_$(openssl rand -base64 32)");
                }
                Some(_) => {}
            }
            key
        });
        let url = parse(url.expose()).map_err(|problem| {
            document
                .error(url_path, format!("the webhook's URL {problem}"))
                .help("it looks like https://example.com/hooks/tollgate");
        });
        let key = match key {
            Some(key) => Some(key?),
            None => None,
        };
        Some(Self {
            url: url.ok()?,
            key,
        })
    }

    /// Where it is, whole.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Where it is as far as it may be told: its host.
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    /// The value of `webhook-signature` for a message: `v1,` and the base64 of an HMAC-SHA256 of `id.timestamp.body`. None
    /// where there is no secret.
    pub fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.as_deref()?);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        Some(format!("v1,{}", STANDARD.encode(context.sign())))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.host())
    }
}

/// A URL that can be posted to. The error does not quote it.
fn parse(url: &str) -> Result<Uri, &'static str> {
    if url.len() > URL_MAX {
        return Err("is too long");
    }
    let url: Uri = url.parse().map_err(|_| "is not a URL")?;
    if !matches!(url.scheme_str(), Some("https" | "http")) {
        return Err("must begin with https:// or http://");
    }
    let authority = url.authority().map(http::uri::Authority::as_str);
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("must not hold a user or a password");
    }
    match url.host() {
        None | Some("") => Err("has no host"),
        Some(_) => Ok(url),
    }
}

/// The bytes that a secret stands for; None where it is not what its beginning promises.
fn signing_key(secret: &str) -> Option<Vec<u8>> {
    match secret.strip_prefix(SECRET_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(secret.as_bytes().to_vec()),
    }
}
