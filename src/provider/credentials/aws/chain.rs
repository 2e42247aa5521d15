//! The credential chain: the environment, a profile, a web identity, a container, the instance. The first that is
//! configured counts, and if it fails, the next is not asked: credentials that nobody meant are worse than none.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;

use super::super::token::{Fresh, Source};
use super::super::{Identity, Variable, identity};
use super::profile::Profiles;
use super::sign::Keys;
use super::sts::WebIdentity;
use super::{Credentials, container, instance, profile, sts};
use crate::provider::fetch::{Fetch, Pending};

/// Every variable that the chain looks at. It does so once; files are read again for every fetch.
const NAMES: [&str; 20] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "HOME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_DISABLED",
];

/// The environment as it was.
#[derive(Default)]
pub struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    pub fn read(variable: Variable<'_>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let values = NAMES.iter().filter_map(|name| Some((*name, set(name)?)));
        Self(values.collect())
    }

    /// A variable that is set, and not to nothing.
    pub fn named(&self, name: &str) -> Option<&str> {
        debug_assert!(NAMES.contains(&name), "{name} is not read");
        self.0.get(name).map(String::as_str)
    }
}

/// Where credentials are looked for.
pub struct Chain {
    pub region: String,
    pub variables: Variables,
    pub fetch: Arc<dyn Fetch>,
}

impl Chain {
    pub fn new(region: &str, variable: Variable<'_>, fetch: Arc<dyn Fetch>) -> Self {
        Self {
            region: region.to_owned(),
            variables: Variables::read(variable),
            fetch,
        }
    }

    pub fn identity(&self) -> Identity {
        let variables = self.variables.0.iter();
        let pairs = variables.flat_map(|(name, value)| [*name, value.as_str()]);
        identity([self.region.as_str()].into_iter().chain(pairs))
    }

    async fn find(&self) -> Result<Credentials, String> {
        if let Some(found) = self.of_environment()? {
            return Ok(found);
        }
        let profiles = Profiles::read(&self.variables)?;
        let name = profile::name(&self.variables);
        if let Some(found) = profiles.credentials(name, self).await {
            return found.map_err(|error| format!("the AWS profile `{name}`: {error}"));
        }
        if let Some(identity) = WebIdentity::of_environment(&self.variables) {
            return sts::assume_with_web_identity(self, &identity).await;
        }
        if let Some(found) = container::credentials(self).await {
            return found.map_err(|error| format!("the AWS container credentials: {error}"));
        }
        let found = instance::credentials(self).await;
        found.map_err(|error| {
            format!(
                "no AWS credentials: none in the environment, in the profile `{name}`, by web identity or of a \
                 container, and of the instance: {error}"
            )
        })
    }

    /// The keys in the environment.
    pub fn of_environment(&self) -> Result<Option<Credentials>, String> {
        let named = |name| self.variables.named(name);
        match (named("AWS_ACCESS_KEY_ID"), named("AWS_SECRET_ACCESS_KEY")) {
            (None, None) => Ok(None),
            (Some(id), Some(secret)) => {
                let token = named("AWS_SESSION_TOKEN");
                Ok(Some(Credentials::fixed(id, secret, token)))
            }
            _ => Err("of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set".to_owned()),
        }
    }
}

impl Source<Keys> for Chain {
    fn fetch(&self) -> Pending<'_, Result<Fresh<Keys>, String>> {
        Box::pin(async { self.find().await?.fresh(Utc::now()) })
    }
}
