//! `tollgate serve`: runs the gateway.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::config::ProcessEnvironment;
use crate::provider::Dialer;
use crate::server::{Ended, Server};
use crate::snapshot::{QUICKSTART, QUICKSTART_NAME, Snapshot};

/// What `serve` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration file; without one the embedded quickstart runs, with a simulated provider
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The exit code of a process that SIGINT ended, by the shell's convention.
const INTERRUPTED: u8 = 130;

/// The name and the text of a configuration file, or of the embedded one.
pub(super) fn configuration(path: Option<&Path>) -> Result<(String, String)> {
    let Some(path) = path else {
        return Ok((QUICKSTART_NAME.to_owned(), QUICKSTART.to_owned()));
    };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path.display().to_string(), text))
}

/// Runs until a signal ends it.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (name, text) = configuration(arguments.config.as_deref())?;
    let dialer = Arc::new(Dialer::new());
    let reading = Snapshot::read(&name, &text, &ProcessEnvironment, &dialer, None);
    let Some(snapshot) = reading.snapshot else {
        eprintln!("{}", reading.diagnostics);
        return Ok(ExitCode::FAILURE);
    };
    if reading.diagnostics.warnings() > 0 {
        eprintln!("{}", reading.diagnostics);
    }
    // For signals, reloads and the admin plane; callers are served by threads of the server's own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let server = Server::bind(snapshot, arguments.config.clone(), dialer)?;
        let (data, admin) = (server.data_url(), server.admin_url());
        let banner = || announce(&data, admin.as_deref(), arguments.config.is_none());
        server.run(banner).await
    })?;
    // What still runs has had its time.
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::AtOnce => ExitCode::from(INTERRUPTED),
    })
}

fn announce(data: &str, admin: Option<&str>, is_quickstart: bool) {
    println!("tollgate {}", env!("CARGO_PKG_VERSION"));
    println!("listening on {data}");
    if let Some(admin) = admin {
        println!("admin on {admin}");
    }
    if is_quickstart {
        println!(
            "curl -N {data}/v1/chat/completions -H 'authorization: Bearer tg_demo' -H 'content-type: application/json' \
             -d '{{\"model\":\"fast\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Say hello\"}}]}}'"
        );
    }
}
