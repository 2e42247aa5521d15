//! A real Postgres: Debian's binaries, a folder and a Unix socket of its own.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A running server, stopped when dropped.
pub struct Postgres {
    folder: TempDir,
    binaries: PathBuf,
}

/// How it is stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// Transactions that run are rolled back, and what was committed is written where it belongs.
    Fast,
    /// As in a crash: the next start recovers.
    Immediate,
}

// === impl Postgres ===

impl Postgres {
    /// None where no Postgres is installed, unless `TOLLGATE_TESTS_REQUIRE_POSTGRES` is set.
    pub fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            let is_required = std::env::var_os("TOLLGATE_TESTS_REQUIRE_POSTGRES").is_some();
            assert!(!is_required, "no postgresql is installed");
            println!("skipped: no postgresql");
            return None;
        };
        // Short, because a socket's path is.
        let folder = tempfile::Builder::new().prefix("tg").tempdir();
        let folder = folder.expect("a temporary directory");
        if is_root() {
            let (user, group) = postgres_user();
            chown(folder.path(), Some(user), Some(group)).expect("root may");
        }
        let server = Self { folder, binaries };
        let mut initdb = server.command("initdb");
        initdb.args("-U tester -A trust --no-sync -E UTF8 -D".split(' '));
        let made = initdb.arg(server.data()).output().expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        server.up();
        Some(server)
    }

    /// Starts it again.
    pub fn up(&self) {
        let folder = self.folder.path();
        // Only the machine's own crash would need `fsync`.
        let options = format!(
            "-c listen_addresses='' -c fsync=off -k {}",
            folder.display()
        );
        let mut start = self.command("pg_ctl");
        start.args(["start", "-w", "-t", "60", "-o", &options, "-l"]);
        start.arg(folder.join("log")).arg("-D").arg(self.data());
        assert!(start.status().expect("pg_ctl runs").success());
    }

    /// Stops it, and waits until it has stopped.
    pub fn down(&self, stop: Stop) {
        let mode = match stop {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let mut command = self.command("pg_ctl");
        command.args(["stop", "-w", "-m", mode, "-D"]);
        let stopped = command.arg(self.data()).status();
        assert!(stopped.expect("pg_ctl runs").success());
    }

    /// Where it is, as a ledger's URL.
    pub fn url(&self) -> String {
        let folder = self.folder.path().to_str().expect("a plain path");
        let folder = folder.replace('/', "%2F");
        format!("postgres://tester:hunter2@{folder}/postgres")
    }

    /// Runs SQL by the server's own client, and returns the rows.
    pub fn sql(&self, sql: &str) -> String {
        let mut client = self.command("psql");
        client.args(["-U", "tester", "-d", "postgres", "-qAtc", sql, "-h"]);
        let output = client.arg(self.folder.path()).stdout(Stdio::piped());
        let output = output.output().expect("psql runs");
        assert!(output.status.success(), "{sql}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command as a user whom Postgres takes: it refuses root.
    fn command(&self, name: &str) -> Command {
        let program = self.binaries.join(name);
        let mut command = Command::new(&program);
        if is_root() {
            let (user, group) = postgres_user();
            command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups").arg(program);
        }
        command.current_dir("/").env("LC_ALL", "C");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-w", "-m", "immediate", "-D"]);
        // Whether it runs is the test's business.
        let _ = stop.arg(self.data()).status();
    }
}

/// Those of the newest version that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders
        .filter(|folder| folder.join("postgres").exists())
        .max()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The user that Debian's package makes, else nobody.
fn postgres_user() -> (u32, u32) {
    const NOBODY: (u32, u32) = (65_534, 65_534);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let number = |line: &str, at: usize| line.split(':').nth(at)?.parse().ok();
    line.and_then(|line| Some((number(line, 2)?, number(line, 3)?)))
        .unwrap_or(NOBODY)
}
