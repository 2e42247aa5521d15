//! Log lines on standard error: one a request, and what operators must know.
//!
//! Lines go through a bounded queue to a thread of their own, so that a slow terminal or a full pipe slows no request.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::{SecondsFormat, Utc};
use prometheus::IntCounter;
use serde::Serialize;
use serde_json::{Map, Value};

use super::queue::Queue;
use super::section::LogFormat;

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    queue: Arc<Queue>,
    format: Arc<AtomicU8>,
    dropped: IntCounter,
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
    /// Starts the writing thread. `dropped` counts the lines that there was no room for.
    pub fn start(format: LogFormat, dropped: IntCounter) -> Self {
        Self {
            queue: Queue::start(),
            format: Arc::new(AtomicU8::new(format as u8)),
            dropped,
        }
    }

    /// Changes the form of the lines that follow.
    pub fn set_format(&self, format: LogFormat) {
        self.format.store(format as u8, Ordering::Relaxed);
    }

    /// One line a request.
    pub fn request(&self, line: &RequestLine<'_>) {
        if self.is(LogFormat::Json) {
            self.send(request_line(line));
        } else if self.is(LogFormat::Human) {
            let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
            let text = format!(
                "{} {} {}/{} {} -> {} {:.1}ms {}",
                String::from_utf8_lossy(&now()),
                line.status,
                or_dash(line.team),
                or_dash(line.key),
                or_dash(line.model),
                or_dash(line.target),
                line.duration_ms,
                line.error.unwrap_or(""),
            );
            self.send(text.into_bytes());
        }
    }

    /// Something that operators must know, with its particulars.
    pub fn event(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        if self.is(LogFormat::Json) {
            let mut line = Map::new();
            line.insert("ts".into(), Value::from(String::from_utf8_lossy(&now())));
            line.insert(
                "level".into(),
                serde_json::to_value(level).unwrap_or_default(),
            );
            line.insert("msg".into(), Value::from(message));
            for (name, value) in fields {
                line.insert((*name).into(), Value::from(*value));
            }
            self.send(Value::Object(line).to_string().into_bytes());
        } else if self.is(LogFormat::Human) {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let time = String::from_utf8_lossy(&now()).into_owned();
            let text = format!("{time} {level:?} {message} {}", fields.join(" "));
            self.send(text.into_bytes());
        }
    }

    /// Waits until everything logged so far is written; for the last moments of the process.
    pub fn flush(&self) {
        self.queue.flush();
    }

    fn is(&self, format: LogFormat) -> bool {
        self.format.load(Ordering::Relaxed) == format as u8
    }

    fn send(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        if !self.queue.push(&line) {
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

fn request_line(line: &RequestLine<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(b"{\"ts\":\"");
    text.extend_from_slice(&now());
    text.extend_from_slice(b"\",\"level\":\"info\",\"msg\":\"request\",");
    // The particulars are an object, too: its brace gives way to the comma before it. Writing to memory cannot fail.
    let brace = text.len();
    let _ = serde_json::to_writer(&mut text, line);
    text.remove(brace);
    text
}

/// A time in RFC 3339 with milliseconds: `2026-01-31T12:00:00.000Z`.
type Timestamp = [u8; 24];

/// The time. Within a second only the milliseconds are written anew.
fn now() -> Timestamp {
    thread_local!(static LAST: Cell<(i64, Timestamp)> = const { Cell::new((i64::MIN, [b'-'; 24])) });
    let now = Utc::now();
    let (second, mut text) = LAST.get();
    if second == now.timestamp() {
        let milliseconds = now.timestamp_subsec_millis();
        for (place, unit) in [(20, 100), (21, 10), (22, 1)] {
            text[place] = b'0' + (milliseconds / unit % 10) as u8;
        }
        return text;
    }
    let whole = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    // A year has four digits for a while.
    text = whole.as_bytes().try_into().unwrap_or(text);
    LAST.set((now.timestamp(), text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn the_time_is_that_of_the_clock() {
        for _ in 0..3 {
            let before = Utc::now();
            let stamp = now();
            let after = Utc::now();
            let text = std::str::from_utf8(&stamp).unwrap();
            let time: DateTime<Utc> = text.parse().unwrap();
            let milliseconds = time.timestamp_millis();
            assert!(before.timestamp_millis() <= milliseconds, "{text}");
            assert!(milliseconds <= after.timestamp_millis(), "{text}");
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        let line = RequestLine {
            request_id: "id",
            status: 200,
            error: Some("quote \" and newline \n"),
            ..RequestLine::default()
        };
        let text = request_line(&line);
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["msg"], "request");
        assert_eq!(value["request_id"], "id");
        assert_eq!(value["error"], "quote \" and newline \n");
        assert!(value["team"].is_null());
        assert!(!text.contains(&b'\n'));
    }
}
