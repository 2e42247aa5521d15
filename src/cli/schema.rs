//! `tollgate schema`: the JSON Schema of the configuration.

use std::process::ExitCode;

use anyhow::Result;

use crate::snapshot::File;

/// Prints it.
pub fn run() -> Result<ExitCode> {
    let schema = crate::config::schema::<File>();
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
