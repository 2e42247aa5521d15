//! A credential that is fetched and expires: one fetch at a time, ahead of time, in the background.
//!
//! A request only loads a pointer and looks at the clock. What is shared between threads is runtime-independent: whichever
//! thread finds that a fetch is due spawns it on its own runtime, and those who wait are woken on theirs. A fetch that is
//! lost with its runtime is begun anew by the next who waits.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::provider::fetch::Pending;

/// A fetch as a whole, with all the requests that it takes.
const FETCH_MAX: Duration = Duration::from_secs(20);

/// How long a caller waits for a credential while there is none; a little more than the fetch that it waits for.
const WAIT_MAX: Duration = Duration::from_secs(21);

/// A credential is renewed this long before it expires, or in the last tenth of its life if that is shorter.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// The pause after a first failed fetch; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause between failed fetches.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is good for longer is renewed as if it were not: it may be withdrawn, and clocks end somewhere.
const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a new credential is not doubted.
const TRUST: Duration = Duration::from_secs(30);

/// What is due at no time.
const NEVER: u64 = u64::MAX;

/// Told of every failed fetch, for the log. The text holds no secret.
pub type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// Where credentials come from.
pub trait Source<T>: Send + Sync {
    /// Asks for a new one. The error is for operators and must hold no secret.
    fn fetch(&self) -> Pending<'_, Result<Fresh<T>, String>>;
}

/// A credential that has just been fetched.
pub struct Fresh<T> {
    /// The credential.
    pub value: T,
    /// How long it is good; None for ever.
    pub life: Option<Duration>,
}

/// There is no credential to call with. [`fmt::Display`] is for operators; it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoCredential(pub String);

/// A credential that is always at hand.
pub struct Refreshing<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    source: Box<dyn Source<T>>,
    report: Report,
    held: ArcSwapOption<Held<T>>,
    born: Instant,
    /// When the next fetch may begin, in milliseconds since `born`.
    due_ms: AtomicU64,
    is_fetching: AtomicBool,
    failed: Mutex<Failed>,
    /// A fetch has ended, well or not.
    ended: Notify,
}

struct Held<T> {
    value: Arc<T>,
    since: Instant,
    expires: Option<Instant>,
}

/// The failed fetches since the last that went well.
#[derive(Default)]
struct Failed {
    count: u32,
    /// What the last one said.
    detail: String,
}

impl<T: Send + Sync + 'static> Refreshing<T> {
    /// Fetches nothing yet.
    pub fn new(source: impl Source<T> + 'static, report: Report) -> Self {
        Self {
            shared: Arc::new(Shared {
                source: Box::new(source),
                report,
                held: ArcSwapOption::empty(),
                born: Instant::now(),
                due_ms: AtomicU64::new(0),
                is_fetching: AtomicBool::new(false),
                failed: Mutex::default(),
                ended: Notify::new(),
            }),
        }
    }

    /// The credential, if there is one that has not expired. Begins to renew it when it is time to.
    pub fn current(&self) -> Option<Arc<T>> {
        let held = self.shared.held.load();
        let held = held.as_ref()?;
        let now = Instant::now();
        if held.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        if self.shared.is_due(now) {
            Shared::start(&self.shared);
        }
        Some(held.value.clone())
    }

    /// The credential; waits for the first fetch, or for one that has not been renewed in time.
    ///
    /// # Errors
    /// There is none, and the last fetch has failed or takes too long.
    pub async fn get(&self) -> Result<Arc<T>, NoCredential> {
        match self.current() {
            Some(value) => Ok(value),
            // Boxed: a timer within would align, and so pad, every request's future.
            None => Box::pin(self.wait()).await,
        }
    }

    /// Says that the credential was not accepted, so that the next request has it renewed, unless it is quite new.
    pub fn doubt(&self) {
        let held = self.shared.held.load();
        if held
            .as_ref()
            .is_some_and(|held| held.since.elapsed() > TRUST)
        {
            let now = self.shared.since_born(Instant::now());
            self.shared.due_ms.fetch_min(now, Ordering::AcqRel);
        }
    }

    async fn wait(&self) -> Result<Arc<T>, NoCredential> {
        let fetched = async {
            loop {
                // Listens before it looks, so that no end of a fetch falls in between.
                let mut ended = pin!(self.shared.ended.notified());
                ended.as_mut().enable();
                if let Some(value) = self.current() {
                    return Ok(value);
                }
                if !self.shared.is_due(Instant::now()) {
                    return Err(NoCredential(self.shared.failed().detail.clone()));
                }
                Shared::start(&self.shared);
                ended.await;
            }
        };
        let waited = timeout(WAIT_MAX, fetched).await;
        waited.unwrap_or_else(|_| Err(NoCredential("the fetch takes too long".to_owned())))
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// Spawns a fetch, unless one runs or there is no runtime to run it.
    fn start(shared: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let Some(turn) = Turn::take(shared) else {
            return;
        };
        runtime.spawn(async move {
            let shared = turn.0.clone();
            let fetched = timeout(FETCH_MAX, shared.source.fetch()).await;
            let fetched = fetched.unwrap_or_else(|_| {
                let limit = FETCH_MAX.as_secs();
                Err(format!("the fetch took longer than {limit} s"))
            });
            match fetched {
                Ok(fresh) if fresh.life.is_some_and(|life| life.is_zero()) => {
                    shared.fail("what was fetched has expired already");
                }
                Ok(fresh) => shared.hold(fresh),
                Err(detail) => shared.fail(&detail),
            }
            drop(turn);
        });
    }

    fn hold(&self, fresh: Fresh<T>) {
        let now = Instant::now();
        let life = fresh.life.map(|life| life.min(LIFE_MAX));
        let held = Held {
            value: Arc::new(fresh.value),
            since: now,
            expires: life.map(|life| now + life),
        };
        let due = life.map_or(NEVER, |life| {
            let ahead = AHEAD_MAX.min(life / 10);
            // Replicas that began together do not renew together.
            self.since_born(now + (life - ahead.mul_f64(1.0 + 0.25 * random())))
        });
        self.held.store(Some(Arc::new(held)));
        *self.failed() = Failed::default();
        self.due_ms.store(due, Ordering::Release);
    }

    fn fail(&self, detail: &str) {
        let count = {
            let mut failed = self.failed();
            failed.count = failed.count.saturating_add(1);
            failed.detail = detail.to_owned();
            failed.count
        };
        let doubled = PAUSE_MIN.saturating_mul(1 << (count - 1).min(16));
        let pause = doubled.min(PAUSE_MAX).mul_f64(0.5 + 0.5 * random());
        let due = self.since_born(Instant::now() + pause);
        self.due_ms.store(due, Ordering::Release);
        (self.report)(detail);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.since_born(now) >= self.due_ms.load(Ordering::Acquire)
    }

    fn since_born(&self, moment: Instant) -> u64 {
        let passed = moment.saturating_duration_since(self.born).as_millis();
        u64::try_from(passed).unwrap_or(NEVER)
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        // A count and a text are whole whatever happened to the thread that held them.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to fetch, which one task has at a time. Its end wakes those who wait, also if the task is dropped half-way.
struct Turn<T: Send + Sync + 'static>(Arc<Shared<T>>);

impl<T: Send + Sync + 'static> Turn<T> {
    fn take(shared: &Arc<Shared<T>>) -> Option<Self> {
        if shared.is_fetching.swap(true, Ordering::AcqRel) {
            return None;
        }
        let turn = Self(shared.clone());
        // Another may have ended since the caller looked; then this one's end wakes those who took it for running.
        shared.is_due(Instant::now()).then_some(turn)
    }
}

impl<T: Send + Sync + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the fetch broke off");
        }
        self.0.is_fetching.store(false, Ordering::Release);
        self.0.ended.notify_waiters();
    }
}

impl<T> fmt::Debug for Refreshing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refreshing(***)")
    }
}

/// Between 0 and 1; in the middle if the system has no randomness.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
