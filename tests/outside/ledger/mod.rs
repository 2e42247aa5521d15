//! The ledger of the real program: whatever dies, stops or fills up, each answered request is in it once.

mod book;
mod disk;
mod kills;
mod load;
mod outages;
mod servers;
mod start;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Gateway, ask, eventually, run};
use crate::raw::Request;

/// What the log says when an outage of the ledger's store begins.
const FAILS: &str = "ledger commits fail; rows are kept and tried again";
/// What it says when it is over.
const WORKS: &str = "ledger commits work again; nothing was lost";

/// A configuration with this ledger, and a provider that answers at once and has a price.
fn config(ledger: &str) -> String {
    crate::harness::config(&format!(
        r#"ledger: "{ledger}"
providers: {{ demo: {{ dialect: simulated, first_token: 0ms, tokens_per_second: 0 }} }}
models: {{ "demo/*": {{}} }}
prices: {{ overrides: [{{ target: "demo/*", input: 0.15, output: 0.6 }}] }}
"#
    ))
}

/// A folder for a ledger in a file.
struct Home(TempDir);

// === impl Home ===

impl Home {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("tollgate.db")
    }

    /// Starts a gateway whose ledger is here.
    async fn gateway(&self) -> Gateway {
        Gateway::start(&config(&sqlite(&self.ledger()))).await
    }
}

fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// Asserts that the days' sums are what the rows come to, in the words of the program itself.
fn assert_sums(ledger: &str) {
    let output = run(["spend", "--verify", "--ledger", ledger]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
}

/// Waits until metrics, log and readiness say that the ledger takes no rows. Returns the line of the log.
async fn assert_failing(gateway: &Gateway) -> Value {
    let failing = |value| value == 1.0;
    gateway
        .metric_becomes("tollgate_ledger_failing", &[], failing)
        .await;
    let ready = ask(gateway.admin, Request::get("/readyz")).await;
    assert_eq!(
        (ready.status, ready.text()),
        (503, "the ledger takes no rows\n")
    );
    gateway.log_line(FAILS, |line| line["msg"] == FAILS).await
}

/// Waits until they say that it takes rows again, and none waits.
async fn assert_recovered(gateway: &Gateway) {
    gateway.log_line(WORKS, |line| line["msg"] == WORKS).await;
    for metric in ["tollgate_ledger_failing", "tollgate_ledger_rows_waiting"] {
        gateway
            .metric_becomes(metric, &[], |value| value == 0.0)
            .await;
    }
    eventually("/readyz to say 200", async || {
        let ready = ask(gateway.admin, Request::get("/readyz")).await;
        (ready.status == 200).then_some(())
    })
    .await;
}

/// How many lines of the log say this.
fn said(gateway: &Gateway, message: &str) -> usize {
    let lines = gateway.log_lines();
    lines.iter().filter(|line| line["msg"] == message).count()
}
