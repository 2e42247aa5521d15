//! How a provider's calls are authorised: by fields that never change, by a token that is renewed (Google, Entra), or by a
//! signature of each request (AWS).
//!
//! Written by hand over a small [`Fetch`], where crates exist: aws-config brings 59 crates that nothing else here needs
//! (an STS client, the smithy runtime, a second HTTP stack to plug into), for what are six sources of three strings;
//! jsonwebtoken signs by RustCrypto or aws-lc, a second cryptography beside ring, for one JWT an hour.
//!
//! Invariants: a request waits only while there is no credential at all; what is fetched goes only into the fields of
//! the provider's own calls; no error text and no `Debug` holds a secret.

mod aws;
mod entra;
mod google;
mod section;
#[cfg(test)]
mod tests;
mod token;
pub(super) mod web;

pub use aws::{Aws, region_of, suffix_of};
pub use entra::Entra;
pub use google::Google;
pub use section::{EntraSection, VertexSection};
pub use token::{NoCredential, Report};

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use http::{HeaderName, HeaderValue, header};

use super::fetch::Fetch;
use crate::config::Secret;

/// What authorises the calls to a provider. Cheap to clone; clones share what was fetched.
#[derive(Clone)]
pub enum Authorization {
    /// Fields that are always the same.
    Fields(Vec<(HeaderName, HeaderValue)>),
    /// A Google access token.
    Google(Arc<Google>),
    /// A signature by AWS's rules.
    Aws(Arc<Aws>),
    /// A token of Entra ID.
    Entra(Arc<Entra>),
}

/// What of a call its authorisation may depend on: exactly what is sent.
pub struct Outgoing<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The `host` field.
    pub host: &'a str,
    /// The body's pieces, one behind the other.
    pub body: &'a [Bytes],
}

/// What fetching credentials needs.
#[derive(Clone)]
pub struct Means {
    /// Makes requests.
    pub fetch: Arc<dyn Fetch>,
    /// Is told of fetches that fail.
    pub report: Report,
}

/// Looks up an environment variable.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Authorization {
    /// A key as a bearer token.
    ///
    /// # Errors
    /// The key holds a character that no HTTP header may.
    pub fn bearer(key: &Secret) -> Result<Self, String> {
        Ok(Self::Fields(vec![(
            header::AUTHORIZATION,
            bearer(key.expose())?,
        )]))
    }

    /// Google Cloud: the JSON of a service account or of a user, or, without `credentials`, the application default
    /// credentials.
    ///
    /// # Errors
    /// The credentials cannot be used; says why, without quoting them.
    pub fn google(
        credentials: Option<&Secret>,
        variable: Variable<'_>,
        means: &Means,
    ) -> Result<Self, String> {
        Google::resolve(credentials, variable, means).map(|google| Self::Google(Arc::new(google)))
    }

    /// Bedrock: `api_key` or `AWS_BEARER_TOKEN_BEDROCK` as a bearer token, else AWS's credential chain and a signature.
    ///
    /// # Errors
    /// The settings cannot be used; says why, without quoting a secret.
    pub fn bedrock(
        api_key: Option<&Secret>,
        region: &str,
        variable: Variable<'_>,
        means: &Means,
    ) -> Result<Self, String> {
        if let Some(key) = api_key {
            return Self::bearer(key);
        }
        if let Some(key) = variable("AWS_BEARER_TOKEN_BEDROCK").filter(|key| !key.is_empty()) {
            let key = Self::bearer(&Secret::from(key));
            return key.map_err(|error| format!("AWS_BEARER_TOKEN_BEDROCK {error}"));
        }
        Ok(Self::Aws(Arc::new(Aws::new(
            "bedrock", region, variable, means,
        ))))
    }

    /// Azure: client credentials or workload identity.
    ///
    /// # Errors
    /// The section and the environment lack something; says what.
    pub fn entra(
        section: &EntraSection,
        variable: Variable<'_>,
        means: &Means,
    ) -> Result<Self, String> {
        Entra::resolve(section, variable, means).map(|entra| Self::Entra(Arc::new(entra)))
    }

    /// `previous`, with what it has fetched, if it is made from the same settings; else itself. For reloads.
    #[must_use]
    pub fn or_kept(self, previous: Option<&Self>) -> Self {
        match previous {
            Some(previous) if previous.identity() == self.identity() => previous.clone(),
            _ => self,
        }
    }

    /// What tells it apart from others: a digest of its settings, secrets included.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Fields(fields) => {
                let texts = fields.iter().map(|(_, value)| value.to_str());
                identity(texts.map(Result::unwrap_or_default))
            }
            Self::Google(google) => *google.identity(),
            Self::Aws(aws) => *aws.identity(),
            Self::Entra(entra) => *entra.identity(),
        }
    }

    /// Adds what authorises a call to its fields.
    ///
    /// # Errors
    /// There is no credential; the text is for operators.
    pub async fn authorize(
        &self,
        call: &Outgoing<'_>,
        fields: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), NoCredential> {
        match self {
            Self::Fields(fixed) => fields.extend_from_slice(fixed),
            Self::Google(google) => google.authorize(fields).await?,
            Self::Entra(entra) => entra.authorize(fields).await?,
            Self::Aws(aws) => aws.sign(call, Utc::now(), fields).await?,
        }
        Ok(())
    }

    /// Renews what expires soon. Called now and then, it keeps a provider that nobody calls ready.
    pub fn tend(&self) {
        match self {
            Self::Fields(_) => {}
            Self::Google(google) => google.tend(),
            Self::Aws(aws) => aws.tend(),
            Self::Entra(entra) => entra.tend(),
        }
    }

    /// Says that the provider did not accept the credential (401, 403), so that it is renewed early.
    pub fn doubt(&self) {
        match self {
            Self::Fields(_) => {}
            Self::Google(google) => google.doubt(),
            Self::Aws(aws) => aws.doubt(),
            Self::Entra(entra) => entra.doubt(),
        }
    }
}

/// What tells two settings apart without keeping them.
pub type Identity = [u8; 32];

fn identity<'a>(parts: impl IntoIterator<Item = &'a str>) -> Identity {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let mut identity = Identity::default();
    identity.copy_from_slice(context.finish().as_ref());
    identity
}

/// `Bearer …`, never shown.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "holds a character that no HTTP header may".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
