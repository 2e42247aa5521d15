//! State that replicas share, in Redis: what all of them have of a budget or a limit.
//!
//! Nobody waits here. A [`Store`] is handed a script and calls back with what Redis said, or that it said nothing in time; it
//! reconnects by itself, and while Redis is away it says so at once. All of its work is done on one thread of its own
//! (`worker`), over one connection (`connect`, `live`) on which many calls are on their way at once (`call`) and Redis pushes
//! what is published. Each second the store tells Redis that its replica lives, and hears who else does (`members`).
//!
//! Invariants: a script touches one key, so that a cluster of Redis servers will do; a call is answered once and soon; nothing
//! here repeats a password.

mod call;
mod clock;
mod connect;
mod health;
mod holding;
mod live;
mod members;
mod section;
#[cfg(test)]
pub(in crate::access) mod tests;
mod url;
mod worker;

pub use holding::Holding;
pub use members::{Era, Replica};
pub use section::{DetailedStateSection, Location, Settings, StateSection, WhenStoreLost};
pub use url::{Address, Login};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::telemetry::{Log, StateMetrics};
use call::Call;
use clock::Clock;
use health::Health;
use holding::Holdings;
use live::Live;
use members::Members;

/// How long an answer is waited for.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A script, sent by its digest.
pub struct Script {
    /// What it is called in errors.
    pub name: &'static str,
    script: redis::Script,
}

/// Answers 1 to the first who asks.
static ONCE: LazyLock<Script> = LazyLock::new(|| {
    let text = "return redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) and 1 or 0";
    Script::new("once.lua", text)
});

/// What a script answered: a number or a text is a list of one.
pub type Reply = Vec<Value>;

/// A value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Redis is away, or did not answer in time: the script may have run or not.
    #[error("Redis does not answer")]
    Lost,
    /// Redis answered with an error.
    #[error("Redis refuses the script")]
    Refused,
}

/// What is called with the answer, on the store's thread.
pub type Answered = Box<dyn FnOnce(Result<Reply, NoAnswer>) + Send>;

/// What came of forgetting a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// It is forgotten.
    Done,
    /// There is none of that name.
    Unknown,
    /// It was heard of within the last ten seconds.
    Beats,
}

/// What is called with a name that replicas are asked to report on, or `*` for all.
pub type Told = Box<ToldBy>;

/// The shared state. Every method may be called from any thread.
pub struct Store {
    shared: Arc<Shared>,
    calls: mpsc::UnboundedSender<Call>,
}

/// What the store and its thread share.
struct Shared {
    settings: Settings,
    replica: Arc<str>,
    prompts_channel: String,
    members_channel: String,
    health: Health,
    members: Mutex<Members>,
    /// What [`Members::joined`] was last: each request asks for it.
    joined: AtomicU64,
    clock: Mutex<Clock>,
    /// How far that is ahead of ours, in microseconds: each request asks for it.
    offset: AtomicI64,
    /// The connection, while there is one that answers.
    live: Mutex<Option<Live>>,
    /// A beat is due at once.
    beat: Notify,
    has_left: AtomicBool,
    outstanding: AtomicUsize,
    holdings: RwLock<Holdings>,
    /// Whether they are all that this replica has from its lives before.
    has_all_holdings: AtomicBool,
    prompted: RwLock<Vec<(&'static str, Arc<ToldBy>)>>,
}

type ToldBy = dyn Fn(&str) + Send + Sync;

// === impl Script ===

impl Script {
    /// A script of this text.
    pub fn new(name: &'static str, text: &str) -> Self {
        Self {
            name,
            script: redis::Script::new(text),
        }
    }
}

// === impl Store ===

impl Store {
    /// Begins to connect as the replica of that name, and goes on to for as long as the store lives.
    pub fn start(
        settings: Settings,
        replica: Arc<str>,
        metrics: StateMetrics,
        log: Log,
    ) -> Arc<Self> {
        let (calls, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            prompts_channel: format!("{}prompts", settings.prefix),
            members_channel: format!("{}members", settings.prefix),
            health: Health::new(&settings.location, metrics, log),
            members: Mutex::new(Members::new(replica.clone())),
            joined: AtomicU64::new(0),
            clock: Mutex::default(),
            offset: AtomicI64::new(0),
            live: Mutex::new(None),
            beat: Notify::new(),
            has_left: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            holdings: RwLock::default(),
            has_all_holdings: AtomicBool::new(false),
            prompted: RwLock::default(),
            settings,
            replica,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // For names to be resolved, of which one may hang.
            .max_blocking_threads(4)
            .build()
            .expect("a process at its start has descriptors left");
        let workers = shared.clone();
        let thread = move || {
            let work = worker::work(workers.clone(), receiver);
            if catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))).is_err() {
                // Calls are lost from now on.
                workers
                    .health
                    .down("its thread ended by a bug: restart the gateway");
            }
            runtime.shutdown_background();
        };
        std::thread::Builder::new()
            .name("state".into())
            .spawn(thread)
            .expect("a process at its start has threads left");
        Arc::new(Self { shared, calls })
    }

    /// The name of this replica: no other has it, and a later life of it has it again if it has the same ledger.
    pub fn replica(&self) -> &Arc<str> {
        &self.shared.replica
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Runs a script on a key, which is `prefix{name}`, with arguments. Never waits; calls `answered` exactly once, within
    /// [`ANSWER_WITHIN`] or a little more, also when Redis is away. Where too many calls wait for their answers it is lost at
    /// once, and `answered` called on the caller's thread: so hold no lock that it takes.
    pub fn call(
        &self,
        script: &'static Script,
        name: &str,
        arguments: Vec<String>,
        answered: Answered,
    ) {
        let has_room = call::has_room(&self.shared.outstanding);
        let call = Call::new(&self.shared, script, name, arguments, answered);
        if has_room {
            // A thread that has ended drops it, which answers it.
            let _ = self.calls.send(call);
        }
    }

    /// Whether Redis is away at present.
    pub fn is_lost(&self) -> bool {
        !self.shared.health.is_up()
    }

    /// Why Redis is away or grants nothing, in words; None while all is well.
    pub fn trouble(&self) -> Option<String> {
        let away = self.shared.health.trouble();
        away.or_else(|| self.shared.members.lock().trouble())
    }

    /// The time, by Redis's clock as it was measured last; by our own before it was.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset()
    }

    /// What Redis's clock is ahead of our own.
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.shared.offset.load(Ordering::Relaxed))
    }

    // === Members

    /// Whether all replicas that were heard of within the last ten seconds know this one. Only then may it be granted
    /// anything: one that others do not know would be forgotten if Redis lost its data.
    pub fn is_known(&self) -> bool {
        self.shared.members.lock().is_known()
    }

    /// The present life of Redis, if there is a connection and this replica is known to the others.
    pub fn era(&self) -> Option<Era> {
        if self.is_lost() {
            return None;
        }
        self.shared.members.lock().era()
    }

    /// A number that is larger than it was in all lives of this replica before, once this one [is known](Self::is_known).
    pub fn joined(&self) -> u64 {
        self.shared.joined.load(Ordering::Relaxed)
    }

    /// Has Redis told of a holding, whose key has that name, whenever it may have forgotten it, and the holding when others lack it.
    pub fn hold(&self, name: &str, holding: Weak<dyn Holding>) {
        self.shared.holdings.write().add(name, holding);
        self.shared.beat.notify_one();
    }

    /// All holdings are there that this replica has from its lives before: Redis can be told of all.
    pub fn opened(&self) {
        self.shared.has_all_holdings.store(true, Ordering::Release);
        self.shared.beat.notify_one();
    }

    /// The other replicas, which may hold something that they were granted: those that this one has ever heard of and that
    /// have not left, whether they are alive or not. With `since`, those that were alive then or later, by Redis's clock.
    pub fn others(&self, since: Option<DateTime<Utc>>) -> Vec<Arc<str>> {
        self.shared.members.lock().others(since)
    }

    /// All replicas, as operators see them.
    pub fn replicas(&self) -> Vec<Replica> {
        let now = self.now();
        self.shared.members.lock().all(now)
    }

    /// The replicas that live, this one included: None while it has not been heard itself for too long to know.
    pub fn alive(&self) -> Option<Vec<Arc<str>>> {
        let now = self.now();
        self.shared.members.lock().alive(now)
    }

    /// Takes this replica off the list, for good; to be called when it holds nothing any more and asks for nothing. `left` is
    /// told whether it was.
    pub fn leave(&self, left: Box<dyn FnOnce(bool) + Send>) {
        self.shared.has_left.store(true, Ordering::Release);
        let answered = move |answer: Result<Reply, _>| left(answer.is_ok());
        self.remove(&self.shared.replica, Duration::ZERO, Box::new(answered));
    }

    /// Forgets a replica that has died: what it held is no longer waited for. One that was heard of lately stays.
    pub fn forget(
        &self,
        name: &str,
        forgotten: Box<dyn FnOnce(Result<Forgotten, NoAnswer>) + Send>,
    ) {
        let answered = move |answer: Result<Reply, NoAnswer>| {
            forgotten(answer.map(|reply| match reply.first() {
                Some(Value::Int(1)) => Forgotten::Done,
                Some(Value::Int(-1)) => Forgotten::Beats,
                _ => Forgotten::Unknown,
            }));
        };
        self.remove(name, members::SILENT, Box::new(answered));
    }

    fn remove(&self, name: &str, silent: Duration, answered: Answered) {
        let arguments = vec![
            name.to_owned(),
            self.shared.members_channel.clone(),
            silent.as_millis().to_string(),
        ];
        self.call(&members::REMOVE, members::KEY, arguments, answered);
    }

    /// Whether this replica is the first of all that says so, of something that is to be said once within `lives`. Where Redis does
    /// not answer everybody is the first.
    pub async fn is_first(&self, what: &str, lives: Duration) -> bool {
        let (sender, first) = oneshot::channel();
        let answered = move |reply: Result<Reply, NoAnswer>| {
            // Whoever asked may have left.
            let _ = sender.send(reply != Ok(vec![Value::Int(0)]));
        };
        let arguments = vec![lives.as_millis().to_string()];
        self.call(
            &ONCE,
            &format!("said:{what}"),
            arguments,
            Box::new(answered),
        );
        first.await.unwrap_or(true)
    }

    // === Prompts

    /// The channel on which replicas are prompted: a script publishes the name of its key there.
    pub fn prompts_channel(&self) -> &str {
        &self.shared.prompts_channel
    }

    /// Has `told` called, on the store's thread, with the names that replicas are asked to report on: a key's name as in
    /// [`Self::call`] that begins with `kind` and a colon. After each connection it is called with `*`, since prompts may have
    /// been missed.
    pub fn on_prompt(&self, kind: &'static str, told: Told) {
        self.shared.prompted.write().push((kind, told.into()));
    }
}

// === impl Shared ===

impl Shared {
    /// The key of a name. The braces let a cluster keep all that belongs to the name in one place.
    fn key(&self, name: &str) -> String {
        format!("{}{{{name}}}", self.settings.prefix)
    }

    fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }
}
