//! The gateway: the real program with the chain's file, asked over its socket.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::money::Usd;

/// The key that chain files accept, by its SHA-256.
const KEY: &str = "replay";
/// Longest wait for the ledger's rows: it commits every few hundred milliseconds.
const LEDGER_TIME_MAX: Duration = Duration::from_secs(30);

/// A gateway that runs until it is dropped.
pub struct Gateway {
    binary: PathBuf,
    process: Child,
    address: SocketAddr,
    /// Where its ledger is.
    folder: PathBuf,
}

/// An answer, as far as it matters who gave it.
pub struct Reply {
    /// `x-tollgate-model`
    pub target: String,
    /// `x-tollgate-route`
    pub route: String,
    /// `x-tollgate-cost-usd`: of all attempts.
    pub cost: Usd,
}

impl Gateway {
    /// Starts it with a configuration before an upstream, and a ledger in a folder of its own.
    pub fn start(binary: &Path, chain: &Path, upstream: SocketAddr) -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("tollgate-cascade-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut process = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(chain)
            .env("REPLAY_URL", format!("http://{upstream}/v1"))
            .env("REPLAY_LEDGER", ledger(&folder))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Error::other(format!("{}: {error}", binary.display())))?;
        let printed = process.stdout.take().map(BufReader::new);
        let lines = printed.into_iter().flat_map(BufRead::lines);
        let address = lines.map_while(Result::ok).find_map(|line| {
            let address = line.strip_prefix("listening on ")?;
            address.trim_start_matches("http://").parse().ok()
        });
        let Some(address) = address else {
            let _ = process.kill(); // it may have ended by itself
            let status = process.wait()?;
            let chain = chain.display();
            return Err(Error::other(format!(
                "the gateway did not start with {chain}: {status}"
            )));
        };
        Ok(Self {
            binary: binary.to_owned(),
            process,
            address,
            folder,
        })
    }

    /// Asks it a chat request.
    pub fn ask(&self, body: &[u8]) -> io::Result<Reply> {
        let mut socket = TcpStream::connect(self.address)?;
        let (address, length) = (self.address, body.len());
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, said) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if head.split(' ').nth(1) != Some("200") {
            let status = head.lines().next().unwrap_or("no answer");
            return Err(Error::other(format!("{status}: {said}")));
        }
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
            let value = found.map(|(_, value)| value.to_owned());
            value.ok_or_else(|| Error::other(format!("the answer has no `{name}`")))
        };
        let cost = field("x-tollgate-cost-usd")?;
        Ok(Reply {
            target: field("x-tollgate-model")?,
            route: field("x-tollgate-route")?,
            cost: Usd::read(&cost).ok_or_else(|| Error::other(format!("no amount: {cost}")))?,
        })
    }

    /// Waits until the ledger holds as much as the answers said.
    pub fn check_ledger(&self, told: Usd) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let stored = self.spent()?;
            if stored == Some(told) {
                return Ok(());
            }
            if start.elapsed() > LEDGER_TIME_MAX {
                let stored = stored.map_or("nothing".to_owned(), |usd| usd.to_string());
                let message = format!("the ledger holds {stored} USD, the answers said {told}");
                return Err(Error::other(message));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the ledger says was spent.
    fn spent(&self) -> io::Result<Option<Usd>> {
        let output = Command::new(&self.binary)
            .args(["spend", "--since", "all", "--by", "team", "--json"])
            .arg("--ledger")
            .arg(ledger(&self.folder))
            .output()?;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(report["total"]["cost_usd"].as_str().and_then(Usd::read))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Nothing is left to do if it has ended or its folder is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ledger(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("ledger.db").display())
}
