//! `tollgate check`: every diagnostic of a file.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::config::ProcessEnvironment;
use crate::provider::Dialer;
use crate::snapshot::Snapshot;

/// Exits with 0 (also with warnings), or with 1 if there are errors.
pub fn run(file: &Path) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let dialer = Arc::new(Dialer::new());
    let reading = Snapshot::read(&name, &text, &ProcessEnvironment, &dialer, None);
    println!("{}", reading.diagnostics);
    Ok(match reading.snapshot {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}
