//! Log lines on standard error: one a request, and what operators must know.
//!
//! Lines go through a bounded queue to a thread of their own, so that a slow terminal or a full pipe slows no request.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use prometheus::IntCounter;
use serde::Serialize;
use serde_json::{Map, Value};

use super::section::LogFormat;

/// Lines that may wait to be written: at 300 bytes each, 2.4 MB.
const QUEUE_MAX: usize = 8192;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(5);

/// How much is written in one go, in bytes.
const WRITE_MAX: usize = 56 * 1024;

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<Message>,
    format: Arc<AtomicU8>,
    dropped: IntCounter,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The normal course of things.
    Info,
    /// Somebody should look at it.
    Warn,
    /// Somebody must.
    Error,
}

/// What is logged of every request. Never content, never a secret.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)] // the names are the reference
pub struct RequestLine<'a> {
    pub request_id: &'a str,
    pub team: Option<&'a str>,
    pub key: Option<&'a str>,
    pub model: Option<&'a str>,
    pub target: Option<&'a str>,
    pub status: u16,
    pub attempts: u32,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cost_usd: Option<&'a str>,
    pub duration_ms: f64,
    pub stream: bool,
    pub ttft_ms: Option<f64>,
    pub error: Option<&'a str>,
    pub detail: Option<&'a str>,
}

impl Log {
    /// Starts the writing thread. `dropped` counts what the queue had no room for.
    pub fn start(format: LogFormat, dropped: IntCounter) -> Self {
        let (queue, lines) = sync_channel(QUEUE_MAX);
        let _: JoinHandle<()> = std::thread::spawn(move || write_all(&lines));
        let log = Self {
            queue,
            format: Arc::default(),
            dropped,
        };
        log.set_format(format);
        log
    }

    /// Changes the form of the lines that follow.
    pub fn set_format(&self, format: LogFormat) {
        self.format.store(format as u8, Ordering::Relaxed);
    }

    /// One line a request.
    pub fn request(&self, line: &RequestLine<'_>) {
        if self.is(LogFormat::Json) {
            let mut text = Vec::with_capacity(512);
            text.extend_from_slice(b"{\"ts\":\"");
            text.extend_from_slice(now().as_bytes());
            text.extend_from_slice(b"\",\"level\":\"info\",\"msg\":\"request\",");
            let start = text.len();
            // Writing to memory cannot fail, and the first brace gives way to what stands before it.
            let _ = serde_json::to_writer(&mut text, line);
            text.remove(start);
            self.send(text);
        } else if self.is(LogFormat::Human) {
            let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
            self.send(format!(
                "{} {} {}/{} {} -> {} {:.1}ms {}",
                now(),
                line.status,
                or_dash(line.team),
                or_dash(line.key),
                or_dash(line.model),
                or_dash(line.target),
                line.duration_ms,
                line.error.unwrap_or(""),
            ));
        }
    }

    /// Something that operators must know, with its particulars.
    pub fn event(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        if self.is(LogFormat::Json) {
            let mut line = Map::new();
            line.insert("ts".into(), Value::from(now()));
            line.insert(
                "level".into(),
                serde_json::to_value(level).unwrap_or_default(),
            );
            line.insert("msg".into(), Value::from(message));
            for (name, value) in fields {
                line.insert((*name).into(), Value::from(*value));
            }
            self.send(Value::Object(line).to_string());
        } else if self.is(LogFormat::Human) {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            self.send(format!(
                "{} {level:?} {message} {}",
                now(),
                fields.join(" ")
            ));
        }
    }

    /// Waits until everything logged so far is written; for the last moments of the process.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(2));
        }
    }

    fn is(&self, format: LogFormat) -> bool {
        self.format.load(Ordering::Relaxed) == format as u8
    }

    fn send(&self, line: impl Into<Vec<u8>>) {
        if self.queue.try_send(Message::Line(line.into())).is_err() {
            self.dropped.inc();
        }
    }
}

/// What the libraries underneath warn of becomes log lines, too.
impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // A peer that breaks off a handshake is the internet's normal course.
        let is_handshake = record.target().starts_with("pingora");
        let level = if is_handshake {
            Level::Info
        } else {
            Level::Warn
        };
        let message = record.args().to_string();
        self.event(level, &message, &[("source", record.target())]);
    }

    fn flush(&self) {}
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Writes what has gathered in one go. A thread that sleeps on a clock is woken by nobody: under load that saves every
/// request a system call.
fn write_all(lines: &Receiver<Message>) {
    let mut batch = Vec::with_capacity(64 * 1024);
    while let Ok(first) = lines.recv() {
        if matches!(first, Message::Line(_)) {
            std::thread::sleep(GATHER);
        }
        let mut waiting = None;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => {
                    batch.extend_from_slice(&line);
                    batch.push(b'\n');
                }
                Message::Flush(done) => {
                    waiting = Some(done);
                    break;
                }
            }
            next = lines.try_recv().ok();
            if batch.len() > WRITE_MAX {
                write(&mut batch);
            }
        }
        write(&mut batch);
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }
}

fn write(batch: &mut Vec<u8>) {
    // With standard error gone there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(batch);
    batch.clear();
}
