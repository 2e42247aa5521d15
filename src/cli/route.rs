//! `tollgate route`: where requests would go, and why.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{lines, serve};
use crate::config::ProcessEnvironment;
use crate::pipeline::{Circumstances, Explanation, explain};
use crate::provider::Dialer;
use crate::snapshot::Snapshot;

/// What `route` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Tell all: the steps and their targets, who is passed over and why, gates, times, costs, and who is asked if others fail
    #[arg(long)]
    explain: bool,
    /// The configuration file; without one the embedded quickstart's is meant
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A target (provider/model-name) that is left alone, as if its circuit were open; may be given several times
    #[arg(long, value_name = "TARGET")]
    closed: Vec<String>,
    /// Where chance comes from: the same seed is the same decision
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// When the request is made, as RFC 3339, for prices that change; now by default
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// JSON lines: bodies of chat completions, or {path, body} for other endpoints; standard input by default
    file: Option<PathBuf>,
}

/// A request. Without a `body` it is one itself.
#[derive(Deserialize)]
struct Sent {
    path: Option<String>,
    body: Option<Box<RawValue>>,
}

/// What is told of it.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    All(Box<Explanation>),
    First { target: String },
}

/// Where a body goes that does not say so.
const PATH: &str = "/v1/chat/completions";

/// Answers every line.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (name, text) = serve::configuration(arguments.config.as_deref())?;
    let dialer = Arc::new(Dialer::new());
    let reading = Snapshot::read(&name, &text, &ProcessEnvironment, &dialer, None);
    let Some(snapshot) = reading.snapshot else {
        eprintln!("{}", reading.diagnostics);
        return Ok(ExitCode::FAILURE);
    };
    let circumstances = Circumstances {
        closed: &arguments.closed,
        seed: arguments.seed,
        at: arguments.at.unwrap_or_else(Utc::now),
    };
    lines::answer(arguments.file.as_deref(), |line: Box<RawValue>| {
        let explanation = told(&line, &snapshot, &circumstances)?;
        Ok(match (arguments.explain, explanation.target.clone()) {
            (true, _) => Told::All(Box::new(explanation)),
            (false, Some(target)) => Told::First { target },
            (false, None) => return Err(anyhow!("no target of the model can be asked")),
        })
    })?;
    Ok(ExitCode::SUCCESS)
}

fn told(
    line: &RawValue,
    snapshot: &Snapshot,
    circumstances: &Circumstances<'_>,
) -> Result<Explanation> {
    let sent: Sent = serde_json::from_str(line.get())?;
    let (path, body) = match &sent.body {
        Some(body) => (sent.path.as_deref().unwrap_or(PATH), body.get()),
        None => (PATH, line.get()),
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let explained = explain(snapshot, path, body, circumstances);
    explained.map_err(|error| anyhow!(error.message))
}
