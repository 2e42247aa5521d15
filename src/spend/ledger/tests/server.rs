//! A real Postgres for tests: Debian's binaries, a folder and a Unix socket of its own.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

/// A server that ends with the test.
pub struct Server {
    folder: tempfile::TempDir,
    binaries: PathBuf,
}

impl Server {
    /// None where no Postgres is installed, unless `TOLLGATE_TESTS_REQUIRE_POSTGRES` is set.
    pub fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            let is_required = std::env::var_os("TOLLGATE_TESTS_REQUIRE_POSTGRES").is_some();
            assert!(!is_required, "no postgresql is installed");
            println!("skipped: no postgresql");
            return None;
        };
        // Short, because a socket's path is.
        let folder = tempfile::Builder::new().prefix("tg").tempdir().unwrap();
        if is_root() {
            let (user, group) = postgres_user();
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let server = Self { folder, binaries };
        let data = server.data();
        let made = server
            .command("initdb")
            .args([
                "-U",
                "tester",
                "-A",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        server.up();
        Some(server)
    }

    /// Starts it, reachable by its Unix socket only.
    pub fn up(&self) {
        self.up_with("-c listen_addresses=''");
    }

    /// Starts it anew on a port of this machine, with TLS; returns the port and the file of the certificate for `localhost`.
    pub fn up_with_tls(&self) -> (u16, PathBuf) {
        self.down();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let [certificate, key] = ["cert", "key"].map(|name| self.folder.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        if is_root() {
            chown(&key, Some(postgres_user().0), None).unwrap();
        }
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, only_owner).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        self.up_with(&format!(
            "-c listen_addresses=127.0.0.1 -p {port} -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
            certificate.display(),
            key.display()
        ));
        (port, certificate)
    }

    fn up_with(&self, options: &str) {
        let folder = self.folder.path().display();
        let options = format!("{options} -k {folder} -c fsync=off");
        let status = self
            .command("pg_ctl")
            .args(["start", "-w", "-t", "60", "-o", &options, "-l"])
            .arg(self.folder.path().join("log"))
            .arg("-D")
            .arg(self.data())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Stops it, running transactions or not.
    pub fn down(&self) {
        let mode = ["stop", "-w", "-m", "fast", "-D"];
        let mut stop = self.command("pg_ctl");
        let _ = stop.args(mode).arg(self.data()).status();
    }

    pub fn location(&self) -> Location {
        Location::parse(&self.url()).unwrap()
    }

    pub fn url(&self) -> String {
        let folder = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://tester:hunter2@{folder}/postgres")
    }

    /// Runs SQL by the server's own client, and returns what it prints.
    pub fn sql(&self, sql: &str) -> String {
        let mut client = self.command("psql");
        let folder = self.folder.path();
        client.args(["-U", "tester", "-d", "postgres", "-Atc", sql, "-h"]);
        let output = client.arg(folder).stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command as a user whom Postgres takes: it refuses root.
    fn command(&self, name: &str) -> Command {
        let program = self.binaries.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            let (user, group) = postgres_user();
            command.arg(format!("--reuid={user}"));
            command.args([&format!("--regid={group}"), "--clear-groups"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LC_ALL", "C");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

/// The newest that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders
        .filter(|folder| folder.join("postgres").exists())
        .max()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The user that Debian's package makes, else nobody.
fn postgres_user() -> (u32, u32) {
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let number = |line: &str, at: usize| line.split(':').nth(at)?.parse().ok();
    line.and_then(|line| Some((number(line, 2)?, number(line, 3)?)))
        .unwrap_or((65_534, 65_534))
}
