//! What requests use and cost: from the provider's answer through the ledger to what operators read.

mod configured;
mod costs;
mod estimated;
mod metered;
mod month;
mod reading;
mod recorded;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;
use tollgate::spend::Usd;

use crate::harness::{Gateway, config, eventually, run};

/// A gateway with a ledger of its own.
struct Stage {
    gateway: Gateway,
    home: TempDir,
}

/// A row of the ledger, as far as tests ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    request_id: String,
    model: String,
    target: String,
    input: i64,
    output: i64,
    reasoning: i64,
    cache_read: i64,
    cache_write: i64,
    estimated: bool,
    /// In pico-dollars.
    cost: Option<i64>,
    price_id: Option<String>,
    status: i64,
    stream: bool,
    end_user: String,
    metadata: String,
}

// === impl Stage ===

impl Stage {
    /// Starts a gateway with these sections and a ledger. `HOME` stands for the stage's own folder.
    async fn set(sections: &str) -> Self {
        let home = TempDir::new().expect("a temporary directory");
        Self::set_in(home, sections).await
    }

    /// The same in a folder that holds files already.
    async fn set_in(home: TempDir, sections: &str) -> Self {
        let file = home.path().join("tollgate.yaml");
        std::fs::write(&file, configuration(home.path(), sections))
            .expect("a file in the test's own directory");
        let gateway = Gateway::start_at(&file, &[]).await;
        Self { gateway, home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The ledger, as the command line names it.
    fn ledger(&self) -> String {
        format!("sqlite:{}", self.path("ledger.db").display())
    }

    /// The only row of a request, once it is there.
    async fn row(&self, request_id: &str) -> Row {
        let what = format!("the row of {request_id}");
        let row = eventually(&what, async || {
            let rows = rows(&self.path("ledger.db"));
            rows.into_iter().find(|row| row.request_id == request_id)
        });
        row.await
    }

    /// Ends the gateway in good order, which makes every row durable; then all of them, the oldest first.
    async fn end(mut self) -> Vec<Row> {
        self.gateway.signal("TERM");
        assert!(self.gateway.exit().await.success());
        rows(&self.path("ledger.db"))
    }

    /// What `tollgate spend --json` tells of all time.
    fn spent(&self, more: &[&str]) -> Value {
        spent(&self.ledger(), more)
    }
}

impl Row {
    /// The cost at so many pico-dollars a token, which are as many micro-dollars a million.
    fn cost_at(&self, input_pico: i64, output_pico: i64) -> Option<i64> {
        Some(self.input * input_pico + self.output * output_pico)
    }
}

/// The whole configuration around some sections, with a ledger.
fn configuration(home: &Path, sections: &str) -> String {
    let home = home.display().to_string();
    let ledger = format!("ledger: {{ url: \"sqlite:{home}/ledger.db\", commit_every: 10ms }}\n");
    config(&(ledger + sections).replace("HOME", &home))
}

/// An amount as it is written everywhere.
fn usd(pico: i64) -> String {
    Usd::from_pico(pico.into()).to_string()
}

fn rows(ledger: &Path) -> Vec<Row> {
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(ledger, flags)?;
        let mut statement = connection.prepare(
            "SELECT request_id, model, target, input_tokens, output_tokens, output_reasoning_tokens, cache_read_tokens,
                cache_write_tokens, estimated, cost_micro * 1000000 + cost_pico, price_id, status, stream, end_user, metadata
             FROM attempts ORDER BY time_ms, id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Row {
                request_id: row.get(0)?,
                model: row.get(1)?,
                target: row.get(2)?,
                input: row.get(3)?,
                output: row.get(4)?,
                reasoning: row.get(5)?,
                cache_read: row.get(6)?,
                cache_write: row.get(7)?,
                estimated: row.get(8)?,
                cost: row.get(9)?,
                price_id: row.get(10)?,
                status: row.get(11)?,
                stream: row.get(12)?,
                end_user: row.get(13)?,
                metadata: row.get(14)?,
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().expect("a ledger")
}

/// What `tollgate spend --json` tells, of all time where nothing else is said.
fn spent(ledger: &str, more: &[&str]) -> Value {
    let since_all = ["--since", "all"];
    let since = match more.contains(&"--since") {
        true => &[][..],
        false => &since_all[..],
    };
    let arguments = ["spend", "--ledger", ledger, "--json"];
    let output = run(arguments.iter().chain(since).chain(more).copied());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{more:?}: {told}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
