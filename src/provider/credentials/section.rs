//! The parts of a provider's section that say how its calls are authorised.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Secret;

/// Vertex AI's project and location.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VertexSection {
    /// The Google Cloud project's id.
    pub project: String,
    /// A region, `europe-west4`, or `global`.
    pub location: String,
}

/// An application of Entra ID, whose tokens take the place of a key. What is not said is taken from the environment that
/// workload identity sets: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntraSection {
    /// The directory's id or domain.
    pub tenant_id: Option<String>,
    /// The application's id.
    pub client_id: Option<String>,
    /// A secret of the application. Without one it logs in by workload identity.
    pub client_secret: Option<Secret>,
}
