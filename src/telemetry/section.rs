//! `telemetry` in the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::NotBuilt;

/// What operators see.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySection {
    /// The form of log lines, on standard error.
    #[serde(default)]
    pub log: LogFormat,
    /// Where traces go.
    pub otlp: Option<NotBuilt>,
    /// Whether traces hold what was said.
    pub capture_content: Option<NotBuilt>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people at a terminal.
    Human,
    /// None at all.
    Off,
}
