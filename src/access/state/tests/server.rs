//! A real Redis for tests: Debian's `redis-server`, on a free port, in a folder of its own, killed when it is dropped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start, on a machine that is busy.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A running server.
pub struct Redis {
    pub port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// A server that writes nothing to disk.
    pub fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// A server that keeps what it is told through `kill -9`.
    pub fn durable() -> Self {
        Self::with(&[
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
    }

    /// A server with these arguments. `{port}` in them stands for its port and `{folder}` for its folder.
    pub fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("tg").tempdir();
        let mut redis = Self {
            port: 0,
            folder: folder.expect("a temporary directory"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            child: None,
        };
        // Another process may take the port in between.
        for _ in 0..10 {
            redis.port = free_port();
            if redis.tries_to_start() {
                return redis;
            }
        }
        panic!("redis-server does not start: {}", redis.log());
    }

    /// Where it is, as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().expect("it was started");
        }
    }

    /// Starts it again, on the same port and with the data that it has on disk.
    pub fn restart(&mut self) {
        self.kill();
        let is_up = self.tries_to_start();
        assert!(is_up, "redis-server does not start again: {}", self.log());
    }

    /// Stops it for a while, as a machine does that hangs: connections stay, and nothing answers.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// What it answers to a command, as its protocol has it.
    pub fn command(&self, words: &[&str]) -> String {
        ask(self.port, &[words]).expect("it answers")
    }

    /// What it answers to the last of several commands on one connection.
    pub fn commands(&self, commands: &[&[&str]]) -> String {
        ask(self.port, commands).expect("it answers")
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        // The shell's own `kill`: a bare machine has no other.
        let kill = format!("kill {signal} {}", child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("sh runs").success());
    }

    fn tries_to_start(&mut self) -> bool {
        let folder = self
            .folder
            .path()
            .to_str()
            .expect("a plain path")
            .to_owned();
        let port = self.port.to_string();
        let filled = |argument: &String| {
            argument
                .replace("{port}", &port)
                .replace("{folder}", &folder)
        };
        let mut command = Command::new("redis-server");
        let sets_port = |argument: &String| argument == "--port";
        command.args(self.arguments.iter().map(filled));
        if !self.arguments.iter().any(sets_port) {
            command.args(["--port", &port]);
        }
        command.args(["--bind", "127.0.0.1", "--dir", &folder, "--logfile"]);
        command.arg(self.folder.path().join("log"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.expect("redis-server is installed (apt-get install redis-server)"));
        let until = Instant::now() + START_WITHIN;
        while self.runs() && Instant::now() < until {
            let answer = ask(self.port, &[&["PING"]]).unwrap_or_default();
            if answer.starts_with("+PONG") || answer.starts_with("-NOAUTH") || self.is_under_tls() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    fn runs(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("it is ours").is_none()
    }

    /// Whether it takes connections on a port where it speaks TLS.
    fn is_under_tls(&self) -> bool {
        let is_tls = self
            .arguments
            .iter()
            .any(|argument| argument == "--tls-port");
        is_tls && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has at present.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

/// Waits until something is so, however slow the machine is.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what} has not come to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends commands over a connection of its own, and returns the first piece of the last answer.
fn ask(port: u16, commands: &[&[&str]]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut answer = vec![0; 65_536];
    let mut count = 0;
    for words in commands {
        let mut command = format!("*{}\r\n", words.len());
        for word in *words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes())?;
        count = stream.read(&mut answer)?;
    }
    answer.truncate(count);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
