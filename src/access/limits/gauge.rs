//! What a limiter has counted, and who waits: the state behind the limits of one key, team, model or provider.
//!
//! It knows no limits: those come with each request's snapshot, so that a reload changes them and loses no count.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::shared::{Effect, Errand, KIND, Lease, Line, Lines, Shared, Sources};
use super::tally::{Places, Tally};
use super::told::{Limit, PLACES, UNITS, WINDOW_NAMES, window_of};
use super::{SLOT, shared, span};
use crate::access::budgets::{Page, Part};

/// Counts. Shared by all that are limited together, across reloads.
///
/// Every core changes these for every request, and how many have them. So what changes stands at the beginning, where an `Arc`
/// counts, in one cache line as an allocator gives them to what is so large; what is only read stands apart.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Gauge {
    state: Mutex<Counts>,
    /// Whose it is: ``key:search/prod``.
    path: String,
    /// Where all replicas count, once that is known; nowhere where each counts by itself.
    shared: Arc<OnceLock<Arc<Shared>>>,
    /// The slots of all replicas, once they are shared and looked for.
    slots: OnceLock<Arc<Page>>,
}

/// The counts themselves, those that every request changes first.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Counts {
    running: u32,
    /// What this process has of counts of all replicas, …
    pub lines: Lines,
    /// … and what it counts by itself.
    pub tally: Tally,
    /// It is swept until nothing of it is under way or unused.
    is_busy: bool,
    /// Who waits for a slot, the first first.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// How many may run, in the configuration of who waits.
    max: u32,
    sender: oneshot::Sender<Slot>,
}

/// A request that is counted: dropping it lets the next one in, if it is one of those that run.
#[derive(Debug)]
pub struct Slot {
    pub(super) gauge: Arc<Gauge>,
    pub(super) runs: Runs,
    /// The limits of windows under which it was entered, …
    pub(super) counted: Places,
    /// … and, where replicas share those, where it has taken from.
    pub(super) sources: Option<Sources>,
}

/// Among which requests one runs, where it matters how many do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Runs {
    /// It does not matter, or it runs no more.
    #[default]
    Uncounted,
    /// Those of this process.
    AmongOwn,
    /// Those of all replicas.
    AmongAll,
}

/// A request that waited and may run now. It is to be told when no lock is held: a slot that its receiver has left meanwhile
/// is dropped then, and goes to the next.
pub(super) struct Next(oneshot::Sender<Slot>, Slot);

impl Gauge {
    /// A gauge of that path, which counts with all replicas once `shared` is known.
    pub(in crate::access) fn new(path: &str, shared: &Arc<OnceLock<Arc<Shared>>>) -> Self {
        Self {
            path: path.to_owned(),
            shared: shared.clone(),
            slots: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.state.lock()
    }

    /// How many requests run.
    pub fn running(&self) -> u32 {
        self.lock().running
    }

    /// How many wait for a slot.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// A request of this process runs no more, if it did.
    pub(super) fn free(self: &Arc<Self>, runs: &mut Runs, counts: &mut Counts) -> Option<Next> {
        if *runs != Runs::AmongOwn {
            return None;
        }
        *runs = Runs::Uncounted;
        counts.running -= 1;
        let next = counts.next_to_run()?;
        Some(Next(next.sender, self.enter(counts)))
    }

    /// Counts a request that runs.
    pub(super) fn enter(self: &Arc<Self>, counts: &mut Counts) -> Slot {
        counts.running += 1;
        Slot::new(self, Runs::AmongOwn)
    }
}

/// What is shared with other replicas.
impl Gauge {
    /// Where all replicas count.
    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.get()
    }

    /// The slots of all replicas; None where each has its own.
    pub(in crate::access) fn slots(&self) -> Option<&Arc<Page>> {
        let shared = self.shared()?;
        Some(self.slots.get_or_init(|| shared.slots(&self.path)))
    }

    /// How long what is taken now counts at most, at that place.
    pub(super) fn life(&self, place: usize) -> Duration {
        let window = window_of(place);
        match self.shared() {
            Some(_) => shared::life(window),
            None => span::life(window),
        }
    }

    /// The name that a count has in the store.
    pub(super) fn key(&self, limit: Limit) -> String {
        let place = limit.place().unwrap_or_default();
        let (unit, window) = (place / WINDOW_NAMES.len(), place % WINDOW_NAMES.len());
        let (path, unit, window) = (&self.path, UNITS[unit], WINDOW_NAMES[window]);
        format!("{KIND}:{path}|{unit}|{window}")
    }

    /// Does something with a lease, and what comes of it.
    pub(super) fn act<E: IntoIterator<Item = Effect>>(
        self: &Arc<Self>,
        limit: Limit,
        work: impl FnOnce(&mut Lease, Instant) -> E,
    ) {
        let mut errands = Errands::default();
        if let Some(line) = self.lock().line(limit) {
            let effects = work(&mut line.lease, Instant::now());
            errands.add(self, limit, line, effects);
        }
        errands.run();
    }

    /// Runs an errand; no lock may be held.
    fn run(self: &Arc<Self>, limit: Limit, errand: Errand) {
        match errand {
            // What nobody takes is dropped here, and goes back.
            Errand::Tell(sender, outcome) => drop(sender.send(outcome)),
            Errand::Ask(ask) => {
                let Some(shared) = self.shared() else { return };
                if !std::mem::replace(&mut self.lock().is_busy, true) {
                    shared.is_busy(self);
                }
                shared.ask(self, limit, &ask);
            }
        }
    }

    /// Time has passed: what is unused goes back. Tells whether there is something left to be swept.
    pub(super) fn sweep(self: &Arc<Self>) -> bool {
        PLACES
            .iter()
            .for_each(|limit| self.act(*limit, Lease::tick));
        let mut counts = self.lock();
        let is_idle = |limit: &Limit| counts.line(*limit).is_none_or(|line| line.lease.is_idle());
        let is_idle = PLACES.iter().all(is_idle);
        counts.is_busy = !is_idle;
        !is_idle
    }

    /// Other replicas ask what this one has used.
    pub(in crate::access) fn prompted(self: &Arc<Self>, limit: Limit) {
        if self.lock().line(limit).is_some() {
            self.act(limit, Lease::prompted);
        } else if let Some(shared) = self.shared() {
            shared.deny(&self.key(limit), limit);
        }
    }

    /// Other replicas may have asked about any of its counts.
    pub(in crate::access) fn prompted_of_all(self: &Arc<Self>) {
        for limit in PLACES {
            self.act(limit, |lease, now| match lease.used(now) {
                0 => Vec::new(),
                _ => lease.prompted(now),
            });
        }
    }
}

/// What is to be done when no lock is held.
#[derive(Default)]
pub(super) struct Errands(Vec<(Arc<Gauge>, Limit, Errand)>);

impl Errands {
    /// Adds what effects on a gauge's lease come to.
    pub fn add(
        &mut self,
        gauge: &Arc<Gauge>,
        limit: Limit,
        line: &mut Line,
        effects: impl IntoIterator<Item = Effect>,
    ) {
        let errands = line.errands(gauge, limit, effects).into_iter();
        self.0
            .extend(errands.map(|errand| (gauge.clone(), limit, errand)));
    }

    #[inline]
    pub fn run(self) {
        if !self.0.is_empty() {
            self.run_all();
        }
    }

    #[cold]
    fn run_all(self) {
        for (gauge, limit, errand) in self.0 {
            gauge.run(limit, errand);
        }
    }
}

impl Counts {
    /// What this process has of a limit that all replicas share, and who waits for it.
    pub fn line(&mut self, limit: Limit) -> Option<&mut Line> {
        self.lines.at(limit.place()?)
    }

    /// Whether one more may run: nobody overtakes who waits.
    #[inline]
    pub fn has_slot(&mut self, max: u32) -> bool {
        self.running < max && self.first_waiting().is_none()
    }

    /// Lines up behind those who wait, if fewer than `queue_max` do.
    pub fn wait(&mut self, max: u32, queue_max: u32) -> Option<oneshot::Receiver<Slot>> {
        self.waiting.retain(|waiting| !waiting.sender.is_closed());
        if self.waiting.len() >= queue_max as usize {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(Waiting { max, sender });
        Some(receiver)
    }

    /// The first who waits and has not gone away.
    fn first_waiting(&mut self) -> Option<&Waiting> {
        while self.waiting.front()?.sender.is_closed() {
            self.waiting.pop_front();
        }
        self.waiting.front()
    }

    /// Who waits and may run now.
    #[inline]
    fn next_to_run(&mut self) -> Option<Waiting> {
        let running = self.running;
        self.first_waiting().filter(|first| running < first.max)?;
        self.waiting.pop_front()
    }
}

impl Slot {
    pub(super) fn new(gauge: &Arc<Gauge>, runs: Runs) -> Self {
        Self {
            gauge: gauge.clone(),
            runs,
            counted: Places::default(),
            sources: None,
        }
    }

    /// One of the slots of all replicas, which was waited for.
    pub(super) fn of_all_replicas(gauge: &Arc<Gauge>, part: Part) -> Self {
        part.forget();
        Self::new(gauge, Runs::AmongAll)
    }

    /// The request runs no more.
    pub(super) fn end(&mut self) {
        self.end_among_all(Instant::now);
        if self.runs == Runs::AmongOwn {
            let next = self.gauge.free(&mut self.runs, &mut self.gauge.lock());
            next.into_iter().for_each(Next::tell);
        }
    }

    /// The request runs no more, if it did among those of all replicas.
    pub(super) fn end_among_all(&mut self, now: impl FnOnce() -> Instant) {
        if self.runs == Runs::AmongAll {
            self.runs = Runs::Uncounted;
            if let Some(slots) = self.gauge.slots() {
                slots.give_back(SLOT, now());
            }
        }
    }
}

impl Next {
    pub(super) fn tell(self) {
        drop(self.0.send(self.1));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.runs != Runs::Uncounted {
            self.end();
        }
    }
}
