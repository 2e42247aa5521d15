//! A connection in use: scripts run on it, many at once, and it is given up when it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::connect::words;
use super::section::Settings;
use super::{Reply, Script, Value};

/// How long replicas of Redis may take to have a write.
const REPLICATED_WITHIN: Duration = Duration::from_millis(300);

/// So many calls in a row during which Redis says nothing at all, and the connection is given up. (Where it only has too much to
/// do, a call is lost and no more.)
const SILENCES_MAX: u32 = 2;

/// How many writes may wait for replicas together.
const BATCH_MAX: usize = 1_024;

/// A connection that answers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// Where replicas have to have a write: who waits for that.
    replicated: Option<mpsc::UnboundedSender<oneshot::Sender<()>>>,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    /// How many answers there were.
    answers: AtomicU64,
    silences: AtomicU32,
    /// Why the connection is of no more use.
    broken: watch::Sender<Option<String>>,
}

/// Why a script has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was none in time: it may have run or not.
    Late,
    /// The connection has ended, or its write may be lost: it may have run or not.
    Lost(String),
    /// Redis says no.
    Refused(String),
}

impl Live {
    /// Uses a connection, from within a runtime. `broken` is where it is told that it is of no more use.
    pub fn new(
        connection: MultiplexedConnection,
        settings: &Settings,
        broken: watch::Sender<Option<String>>,
    ) -> Self {
        let replicated = (settings.replicas > 0).then(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(replicate(connection.clone(), settings.replicas, receiver));
            sender
        });
        let shared = Shared {
            settings: settings.clone(),
            answers: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            broken,
        };
        Self {
            connection,
            replicated,
            shared: Arc::new(shared),
        }
    }

    /// Runs a script on a key.
    pub async fn run(
        &self,
        script: &Script,
        key: &str,
        arguments: &[String],
        until: Instant,
    ) -> Result<Reply, Failure> {
        let answers_before = self.shared.answers.load(Ordering::Relaxed);
        let running = async {
            let mut connection = self.connection.clone();
            let mut invocation = script.script.key(key);
            invocation.arg(arguments);
            let invoked: Result<redis::Value, _> = invocation.invoke_async(&mut connection).await;
            self.shared.answers.fetch_add(1, Ordering::Relaxed);
            self.shared.silences.store(0, Ordering::Relaxed);
            let answer = invoked.map_err(|error| self.failure(&error))?;
            self.replicated().await?;
            read(answer)
        };
        let answer = timeout_at(until, running).await;
        answer.unwrap_or_else(|_| Err(self.timed_out(answers_before)))
    }

    /// Subscribes to what is published.
    pub async fn subscribe(&mut self, channels: &[&str]) -> Result<(), String> {
        let subscribed = self.connection.subscribe(channels).await;
        subscribed.map_err(|error| words(&error, &self.shared.settings.login))
    }

    /// Waits until as many replicas as are configured have what was written before.
    async fn replicated(&self) -> Result<(), Failure> {
        let Some(waiting) = &self.replicated else {
            return Ok(());
        };
        let (sender, receiver) = oneshot::channel();
        // Whoever ends the connection drops all who wait.
        let _ = waiting.send(sender);
        receiver.await.map_err(|_| {
            let wanted = self.shared.settings.replicas;
            let within = REPLICATED_WITHIN.as_millis();
            Failure::Lost(format!(
                "fewer than {wanted} replicas of Redis have a write within {within} ms"
            ))
        })
    }

    fn failure(&self, error: &RedisError) -> Failure {
        let text = words(error, &self.shared.settings.login);
        match error.code() {
            // A master that is one no more.
            Some("READONLY") => self.break_off(&text),
            Some(_) => return Failure::Refused(text),
            None if error.is_unrecoverable_error() => self.break_off(&text),
            None => return Failure::Refused(text),
        }
        Failure::Lost(text)
    }

    fn timed_out(&self, answers_before: u64) -> Failure {
        let is_silent = self.shared.answers.load(Ordering::Relaxed) == answers_before;
        let silences = || self.shared.silences.fetch_add(1, Ordering::Relaxed) + 1;
        if is_silent && silences() >= SILENCES_MAX {
            let milliseconds = super::ANSWER_WITHIN.as_millis();
            self.break_off(&format!("no answer within {milliseconds} ms"));
        }
        Failure::Late
    }

    fn break_off(&self, reason: &str) {
        self.shared.broken.send_if_modified(|broken| {
            let is_first = broken.is_none();
            broken.get_or_insert_with(|| reason.to_owned());
            is_first
        });
    }
}

/// Waits for replicas of Redis in the name of all whose writes came meanwhile: a `WAIT` holds up the whole connection, so one
/// a write would be one round trip a write.
async fn replicate(
    mut connection: MultiplexedConnection,
    wanted: u32,
    mut waiting: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let mut wait = cmd("WAIT");
    wait.arg(wanted).arg(REPLICATED_WITHIN.as_millis() as u64);
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let having: Result<u32, _> = wait.query_async(&mut connection).await;
        let is_replicated = having.is_ok_and(|having| having >= wanted);
        // Those who are not told see that they are dropped.
        for writer in batch.drain(..).filter(|_| is_replicated) {
            let _ = writer.send(());
        }
    }
}

/// Numbers and texts, or one of them.
fn read(value: redis::Value) -> Result<Reply, Failure> {
    let values = match value {
        redis::Value::Array(values) => values,
        one => vec![one],
    };
    values.into_iter().map(read_one).collect()
}

fn read_one(value: redis::Value) -> Result<Value, Failure> {
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes);
        text.map_err(|_| Failure::Refused("it answered with bytes that are no text".to_owned()))
    };
    match value {
        redis::Value::Int(number) => Ok(Value::Int(number)),
        redis::Value::BulkString(bytes) => Ok(Value::Text(text(bytes)?)),
        redis::Value::SimpleString(text) => Ok(Value::Text(text)),
        redis::Value::Okay => Ok(Value::Text("OK".to_owned())),
        redis::Value::Nil => Err(Failure::Refused("it answered with nothing".to_owned())),
        other => Err(Failure::Refused(format!("it answered with {other:?}"))),
    }
}
