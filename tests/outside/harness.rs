//! Starts the real binary on free ports and watches it from outside: its standard output, its log, its metrics,
//! its descriptors and memory. Nothing here sleeps and hopes: [`eventually`] polls a condition with a generous limit.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::raw::{Answer, Connection, Request};

/// The limit on whatever a test waits for: far more than any of it takes.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);
/// The key of the team `search` in [`config`].
pub const KEY: &str = "key-of-the-outside-tests";
/// The admin token in [`config`].
pub const ADMIN_TOKEN: &str = "token-of-the-outside-tests";

/// A running gateway, killed when dropped.
pub struct Gateway {
    /// Where it serves models.
    pub address: SocketAddr,
    /// Where it serves operators.
    pub admin: SocketAddr,
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    log: Arc<Mutex<Vec<String>>>,
    home: Option<TempDir>,
}

/// The file's name and a configuration around `rest` (providers, models, …) with one team that may use every model. Unless
/// `rest` has `defaults` of its own, each request is one call, whatever came of those before it.
pub fn config(rest: &str) -> String {
    let digest = sha256_hex(KEY);
    let defaults = match rest.contains("defaults:") {
        true => "",
        false => "defaults: { retry: { attempts: 1 }, health: off }",
    };
    format!(
        r#"listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}
{defaults}
{rest}
teams:
  search:
    models: "*"
    keys:
      - {{ name: prod, sha256: "{digest}" }}
"#
    )
}

/// The lower-case hex digest under which a configuration knows a key.
pub fn sha256_hex(key: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Polls until `probe` has a value; fails the test after [`LIMIT`], naming `what` it waited for.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {LIMIT:?} in vain for {what}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Awaits `future`; fails the test after [`LIMIT`], naming `what` it waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    in_time(what, future)
        .await
        .unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// Awaits `future`; after [`LIMIT`] it is a complaint, naming `what` was waited for.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> Result<T, String> {
    let timed = tokio::time::timeout(LIMIT, future).await;
    timed.map_err(|_| format!("waited {LIMIT:?} in vain for {what}"))
}

/// The binary under test with `arguments`, in an environment without proxies or certificates of its own.
pub fn tollgate<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(binary());
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "ssl_cert_file",
        "ssl_cert_dir",
    ] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    tollgate(arguments).output().expect("the binary runs")
}

/// Writes a file by renaming, so that nobody reads half of it.
pub fn replace_file(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).expect("a file in the test's own directory");
    std::fs::rename(&draft, path).expect("a file in the test's own directory");
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_tollgate")
}

impl Gateway {
    /// Starts `tollgate serve` with this text as its configuration file.
    pub async fn start(text: &str) -> Self {
        Self::start_with(text, &[]).await
    }

    /// The same with additional environment variables.
    pub async fn start_with(text: &str, environment: &[(&str, &str)]) -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let path = home.path().join("tollgate.yaml");
        std::fs::write(&path, text).expect("a file in the test's own directory");
        let mut gateway = Self::start_at(&path, environment).await;
        gateway.home = Some(home);
        gateway
    }

    /// Starts `tollgate serve` with a file that the test looks after.
    pub async fn start_at(path: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = tollgate(["serve", "--config", path.to_str().expect("a plain path")]);
        command.envs(environment.iter().copied());
        Self::launch(command).await
    }

    /// Starts any serving command and waits until it has printed both its addresses.
    pub async fn launch(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let printed = collect_lines(child.stdout.take().expect("piped"));
        let log = collect_lines(child.stderr.take().expect("piped"));
        let addresses = eventually("the printed addresses", async || {
            let lines = printed.lock().expect("a reader never panics").clone();
            let address_after = |words: &str| {
                let url = lines.iter().find_map(|line| line.strip_prefix(words))?;
                url.split_once("://")?.1.parse::<SocketAddr>().ok()
            };
            let found = address_after("listening on ").zip(address_after("admin on "));
            if found.is_none()
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!(
                    "ended with {status}: {}",
                    log.lock().expect("a reader never panics").join("\n")
                );
            }
            found
        });
        let (address, admin) = addresses.await;
        Self {
            address,
            admin,
            child,
            printed,
            log,
            home: None,
        }
    }

    /// Waits for a line on standard output that fulfils the condition.
    pub async fn printed(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        eventually(what, async || {
            let lines = self.printed.lock().expect("a reader never panics");
            lines.iter().find(|line| condition(line)).cloned()
        })
        .await
    }

    /// The configuration file of a gateway started from text.
    pub fn config_path(&self) -> PathBuf {
        self.home
            .as_ref()
            .expect("started from text")
            .path()
            .join("tollgate.yaml")
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    pub async fn ask(&self, request: Request) -> Answer {
        ask(self.address, request).await
    }

    /// The same at the admin address, with its token.
    pub async fn ask_admin(&self, request: Request) -> Answer {
        ask(
            self.admin,
            request.header("authorization", &format!("Bearer {ADMIN_TOKEN}")),
        )
        .await
    }

    /// A new connection to where models are served.
    pub async fn connect(&self) -> Connection {
        within("a connection", Connection::open(self.address))
            .await
            .expect("the gateway listens")
    }

    /// Waits for a log line that fulfils the condition.
    pub async fn log_line(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            self.log_lines().into_iter().find(|line| condition(line))
        })
        .await
    }

    /// Waits for the line about the request with this `x-request-id`.
    pub async fn request_line(&self, request_id: &str) -> Value {
        let is_it = |line: &Value| line["msg"] == "request" && line["request_id"] == request_id;
        self.log_line(&format!("the log line of request {request_id}"), is_it)
            .await
    }

    /// The JSON lines logged so far.
    pub fn log_lines(&self) -> Vec<Value> {
        let lines = self.log.lock().expect("a reader never panics");
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Everything on standard error so far.
    pub fn log_text(&self) -> String {
        self.log.lock().expect("a reader never panics").join("\n")
    }

    /// The sum of the samples with this name and (at least) these labels; 0 where there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let answer = ask(self.admin, Request::get("/metrics")).await;
        assert_eq!(answer.status, 200);
        let matching = |line: &&str| {
            let Some(rest) = line.strip_prefix(name) else {
                return false;
            };
            let has = |(label, value): &(&str, &str)| {
                let pair = format!("{label}=\"{value}\"");
                rest.contains(&format!("{{{pair}")) || rest.contains(&format!(",{pair}"))
            };
            rest.starts_with(['{', ' ']) && labels.iter().all(has)
        };
        let value = |line: &str| {
            line.rsplit(' ')
                .next()
                .and_then(|value| value.parse::<f64>().ok())
        };
        answer
            .text()
            .lines()
            .filter(matching)
            .filter_map(value)
            .sum()
    }

    /// Waits until a metric fulfils the condition.
    pub async fn metric_becomes(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        condition: impl Fn(f64) -> bool,
    ) -> f64 {
        let deadline = Instant::now() + LIMIT;
        loop {
            let value = self.metric(name, labels).await;
            if condition(value) {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "{name} {labels:?} stays at {value}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a Linux kernel");
        let kibibytes: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        kibibytes * 1024
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("the process runs")
            .count()
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: a bare machine has no other.
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("sh runs").success());
    }

    /// Waits for the process to end.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the end of the process", async || {
            self.child.try_wait().expect("our own child")
        })
        .await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.log_text();
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            eprintln!(
                "--- the gateway's last words, newest first ---\n{}",
                tail.join("\n")
            );
        }
    }
}

/// Sends one request to any server and reads the whole answer.
pub async fn ask(address: SocketAddr, request: Request) -> Answer {
    let what = format!("an answer to {} {}", request.method, request.path);
    try_ask(address, request).await.expect(&what)
}

/// Sends one request to a server that may die meanwhile.
pub async fn try_ask(address: SocketAddr, request: Request) -> std::io::Result<Answer> {
    let what = format!("an answer to {} {}", request.method, request.path);
    within(&what, async {
        let mut connection = Connection::open(address).await?;
        connection.send(request.bytes()).await?;
        connection.answer().await
    })
    .await
}

fn collect_lines(source: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            collected.lock().expect("a reader never panics").push(line);
        }
    });
    lines
}
