//! The whole file, and the sections that concern no room below: `listen`, `admin`, `server`.

use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::TeamSection;
use crate::access::state::StateSection;
use crate::config::units::{Duration, Size};
use crate::config::{NotBuilt, ScalarOr, Secret};
use crate::provider::ProviderSection;
use crate::route::{DefaultsSection, ModelSection};
use crate::spend::ledger::LedgerSection;
use crate::spend::prices::PricesSection;
use crate::telemetry::TelemetrySection;

/// The configuration of Tollgate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where applications connect: `0.0.0.0:8080`, or with TLS `{address, tls: {cert, key}}`.
    pub listen: ListenSection,
    /// Metrics, health and administration. Absent means off.
    pub admin: Option<AdminSection>,
    /// Limits of the server, and how it ends.
    #[serde(default)]
    pub server: ServerSection,
    /// Upstream accounts by name.
    #[serde(default)]
    pub providers: IndexMap<String, ProviderSection>,
    /// What a provider or a model does not say itself.
    #[serde(default)]
    pub defaults: DefaultsSection,
    /// The names that applications ask for. One `*` in a name stands for anything.
    #[serde(default)]
    pub models: IndexMap<String, ModelSection>,
    /// Who pays, and the keys.
    #[serde(default)]
    pub teams: IndexMap<String, TeamSection>,
    /// What operators see.
    #[serde(default)]
    pub telemetry: TelemetrySection,
    /// What is answered from the cache.
    pub cache: Option<NotBuilt>,
    /// What is hidden from providers.
    pub privacy: Option<NotBuilt>,
    /// Where replicas share budgets and limits: `memory` (the default: each has its own), `redis://USER:PASSWORD@HOST:PORT/DB`,
    /// `rediss://…` for TLS, or a mapping. docs/state.md tells more.
    pub state: Option<StateSection>,
    /// The durable record of usage and cost.
    pub ledger: Option<LedgerSection>,
    /// What tokens cost.
    #[serde(default)]
    pub prices: PricesSection,
}

/// An address, or an address with TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListenSection(ScalarOr<String, DetailedListenSection>);

/// An address with TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedListenSection {
    /// `host:port`
    pub address: String,
    /// Without it connections are in clear.
    pub tls: Option<TlsSection>,
}

/// A certificate. Both files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

impl ListenSection {
    /// `host:port`
    pub fn address(&self) -> &str {
        match &self.0 {
            ScalarOr::Scalar(address) => address,
            ScalarOr::Collection(detailed) => &detailed.address,
        }
    }

    /// The certificate, where TLS is spoken.
    pub fn tls(&self) -> Option<&TlsSection> {
        match &self.0 {
            ScalarOr::Scalar(_) => None,
            ScalarOr::Collection(detailed) => detailed.tls.as_ref(),
        }
    }
}

/// Metrics, health and administration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// `host:port`; not for the public.
    pub listen: String,
    /// What `/admin/v1` asks for as a bearer token. Without one it answers 403.
    pub token: Option<Secret>,
    /// What the secrets of AWS access keys are derived with: 32 random characters or more. With it, callers may sign as
    /// AWS's SDKs do; `tollgate keys new --aws` makes the pairs.
    pub aws_secret: Option<Secret>,
}

/// Limits of the server, and how it ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// The largest request body, also after it is decompressed.
    pub max_body: Size,
    /// The largest whole answer that is accepted from a provider.
    pub max_answer: Size,
    /// How long running requests may go on when the process is asked to end.
    pub drain: Duration,
    /// How long it goes on as before, but for `/readyz`, when the process is asked to end.
    pub drain_delay: Duration,
    /// How long the head of a request may take. (A TLS handshake has a minute.)
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a connection may wait between requests.
    pub idle_timeout: Duration,
    /// How many connections may be open; more are closed at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
}

impl Default for ServerSection {
    fn default() -> Self {
        let seconds = |count| Duration(std::time::Duration::from_secs(count));
        Self {
            max_body: Size(32 << 20),
            max_answer: Size(64 << 20),
            drain: seconds(30),
            drain_delay: seconds(0),
            head_timeout: seconds(10),
            body_timeout: seconds(30),
            idle_timeout: seconds(75),
            max_connections: 16_384,
        }
    }
}
