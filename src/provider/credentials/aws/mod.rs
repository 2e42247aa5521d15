//! AWS: credentials by the usual chain, and the signature of each request.
//!
//! Source: "AWS SDKs and Tools Reference Guide", its sections on credential providers. Left out: IAM Identity Center (SSO),
//! console login and MFA, which need a person; a profile's `credential_process` can bring what those give.

mod chain;
mod container;
mod instance;
mod process;
mod profile;
mod sign;
mod sts;

pub use profile::region_of;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::token::{Fresh, NoCredential, Refreshing};
use super::{Identity, Means, Outgoing, Variable};
use crate::config::Secret;
use chain::Chain;
use sign::Keys;

/// What signs the requests to a service in a region.
pub struct Aws {
    keys: Refreshing<Keys>,
    service: &'static str,
    region: String,
    identity: Identity,
}

impl Aws {
    pub(super) fn new(
        service: &'static str,
        region: &str,
        variable: Variable<'_>,
        means: &Means,
    ) -> Self {
        let chain = Chain::new(region, variable, means.fetch.clone());
        Self {
            service,
            region: region.to_owned(),
            identity: chain.identity(),
            keys: Refreshing::new(chain, means.report.clone()),
        }
    }

    pub(super) async fn sign(
        &self,
        call: &Outgoing<'_>,
        now: DateTime<Utc>,
        fields: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), NoCredential> {
        let keys = self.keys.get().await?;
        let signed = keys.sign(call, self.service, &self.region, now);
        fields.extend(signed.map_err(NoCredential)?);
        Ok(())
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn tend(&self) {
        self.keys.current();
    }

    pub(super) fn doubt(&self) {
        self.keys.doubt();
    }
}

/// What a region's host names end in.
pub fn suffix_of(region: &str) -> &'static str {
    match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    }
}

/// Credentials as a source gives them; as JSON, as instances, containers and processes do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    /// Of temporary ones.
    #[serde(alias = "SessionToken")]
    token: Option<Secret>,
    expiration: Option<DateTime<Utc>>,
}

impl Credentials {
    /// Long-lived ones, or temporary ones whose end is not known.
    fn fixed(id: &str, secret: &str, token: Option<&str>) -> Self {
        let secret_of = |text: &str| Secret::from(text.to_owned());
        Self {
            access_key_id: id.to_owned(),
            secret_access_key: secret_of(secret),
            token: token.map(secret_of),
            expiration: None,
        }
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        // The error would quote a value.
        serde_json::from_slice(json).ok()
    }

    fn fresh(self, now: DateTime<Utc>) -> Result<Fresh<Keys>, String> {
        let left = |end: DateTime<Utc>| (end - now).to_std().unwrap_or(Duration::ZERO);
        let life = self.expiration.map(left);
        let value = Keys::new(self)?;
        Ok(Fresh { value, life })
    }
}
