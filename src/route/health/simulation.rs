//! Callers and targets in a world where targets fail, hang, refuse and recover by chance, and callers leave. Each run is made by
//! its seed, so a failure repeats.
//!
//! Held against the truth: a target is probed by one call at a time; an open circuit lets nothing through before its time; who
//! has recovered is found again within an interval of probes; what is in flight comes back to nothing; repeats keep to their
//! budget.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::*;
use crate::chance::Chance;
use crate::route::retry::Retry;

/// How many worlds `cargo test` makes.
const SEEDS: u64 = 200;

const TARGETS: usize = 3;

const SETTINGS: HealthSettings = HealthSettings {
    open_after: 4,
    probe_every: Duration::from_secs(3),
    slow: Some(8.0),
};

/// How long the world lives, and when all faults end.
const END: Duration = Duration::from_secs(150);
const HEALED: Duration = Duration::from_secs(40);

/// No call lasts longer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A request comes to each target so often, at least.
const APART_MICROS: u64 = 800_000;

/// What a world is like.
#[derive(Clone, Copy, Debug)]
struct Setting {
    seed: u64,
    /// Whether credentials and models are refused, too: for which targets are left alone longer and longer.
    has_refusals: bool,
    /// A bug: of the calls that end, this one is forgotten.
    forgets: Option<u64>,
}

/// What a target does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Fails,
    Hangs,
    Limited,
    RefusesModel,
    RefusesCredential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize),
    FirstToken(u64),
    End(u64),
    Change(usize),
}

struct Call {
    entered: Entered,
    target: usize,
    mood: Mood,
    /// Whether it has let others through.
    has_begun: bool,
}

struct World {
    setting: Setting,
    chance: Chance,
    start: Instant,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    events: u64,
    /// How many calls have ended.
    ends: u64,
    healths: [Arc<Health>; TARGETS],
    moods: [Mood; TARGETS],
    calls: BTreeMap<u64, Call>,
    retry: Retry,
    firsts: [u64; TARGETS],
    /// Before then each circuit lets nothing through.
    open_until: [Duration; TARGETS],
    opened: [u64; TARGETS],
    /// When each was called well for the first time after all faults had ended.
    found: [Option<Duration>; TARGETS],
}

impl World {
    fn new(setting: Setting) -> Self {
        let wards = Wards::default();
        let mut world = Self {
            setting,
            chance: Chance::new(setting.seed),
            start: Instant::now(),
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            events: 0,
            ends: 0,
            healths: std::array::from_fn(|target| wards.of("p", [0; 32], &target.to_string())),
            moods: [Mood::Well; TARGETS],
            calls: BTreeMap::new(),
            retry: Retry::resolve([None; 3]),
            firsts: [0; TARGETS],
            open_until: [Duration::ZERO; TARGETS],
            opened: [0; TARGETS],
            found: [None; TARGETS],
        };
        for target in 0..TARGETS {
            world.later(Duration::ZERO, Event::Change(target));
            world.later(Duration::ZERO, Event::Arrive(target));
        }
        world
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.events += 1;
        let at = self.now + delay;
        self.agenda.push(Reverse((at, self.events, event)));
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            match event {
                Event::Arrive(target) => self.arrive(target),
                Event::FirstToken(call) => self.first_token(call),
                Event::End(call) => self.end(call),
                Event::Change(target) => self.change(target),
            }
            self.check_probes();
        }
        self.check_quiet();
    }

    fn arrive(&mut self, target: usize) {
        self.call(target, false);
        let apart = self.chance.micros(APART_MICROS);
        if self.now + apart < END {
            self.later(apart, Event::Arrive(target));
        }
    }

    fn call(&mut self, target: usize, is_repeat: bool) {
        let now = self.instant();
        let health = self.healths[target].clone();
        let standing = health.look(Some(&SETTINGS), now);
        let entered = health.enter(Some(&SETTINGS), now);
        assert_eq!(standing.closed_until().is_none(), entered.is_ok());
        let Ok(entered) = entered else { return };
        assert!(self.now >= self.open_until[target], "too early");
        if !is_repeat {
            health.budget.first(&self.retry, now);
            self.firsts[target] += 1;
        }
        let number = self.events;
        let mood = self.moods[target];
        let (begins, lasts) = match mood {
            Mood::Well => (
                Some(self.chance.micros(500_000)),
                self.chance.micros(2_000_000),
            ),
            Mood::Hangs => (None, TIMEOUT),
            // Cut streams fail after they have begun.
            Mood::Fails => {
                let is_cut = self.chance.one_in(4);
                let begins = is_cut.then(|| self.chance.micros(500_000));
                (begins, self.chance.micros(500_000))
            }
            _ => (None, self.chance.micros(100_000)),
        };
        if let Some(begins) = begins {
            self.later(begins, Event::FirstToken(number));
        }
        self.later(begins.unwrap_or_default() + lasts, Event::End(number));
        let call = Call {
            entered,
            target,
            mood,
            has_begun: false,
        };
        self.calls.insert(number, call);
    }

    fn first_token(&mut self, number: u64) {
        let now = self.instant();
        if let Some(call) = self.calls.get_mut(&number) {
            call.entered.first_token(now);
            call.has_begun = true;
        }
    }

    fn end(&mut self, number: u64) {
        let now = self.instant();
        let Some(mut call) = self.calls.remove(&number) else {
            return;
        };
        let target = call.target;
        self.ends += 1;
        if self.setting.forgets == Some(self.ends) {
            std::mem::forget(call.entered);
            return;
        }
        // The caller has left.
        if self.chance.one_in(10) {
            return;
        }
        let was_probe = call.entered.passes.circuit.is_probe && !call.has_begun;
        let ended = self.ending(call.mood);
        call.entered.ended(ended, now);
        let opened = self.healths[target].state(now).opened_total;
        let is_failure = matches!(ended, Ended::Fault(Fault::Failed(_)));
        if opened > self.opened[target] || (was_probe && is_failure) {
            self.open_until[target] = self.now + SETTINGS.probe_every;
        }
        self.opened[target] = opened;
        if call.mood == Mood::Well && self.now > HEALED {
            self.found[target].get_or_insert(self.now);
        }
        drop(call);
        if is_failure && self.healths[target].budget.repeat(&self.retry, now) {
            self.call(target, true);
        }
    }

    fn ending(&mut self, mood: Mood) -> Ended {
        Ended::Fault(match mood {
            Mood::Well => {
                let output_tokens = Some(self.chance.below(200));
                return Ended::Well { output_tokens };
            }
            Mood::Fails => Fault::Failed("cut"),
            Mood::Hangs => Fault::Failed("timeout"),
            Mood::Limited => {
                let seconds = self.chance.below(8);
                let retry_after = (seconds > 3).then(|| Duration::from_secs(seconds));
                Fault::Limited { retry_after }
            }
            Mood::RefusesModel => Fault::Model,
            Mood::RefusesCredential => Fault::Credential,
        })
    }

    fn change(&mut self, target: usize) {
        let moods = [
            Mood::Well,
            Mood::Well,
            Mood::Fails,
            Mood::Hangs,
            Mood::Limited,
            Mood::RefusesModel,
            Mood::RefusesCredential,
        ];
        let kinds = if self.setting.has_refusals { 7 } else { 4 };
        let is_over = self.now >= HEALED;
        self.moods[target] = match is_over {
            true => Mood::Well,
            false => moods[self.chance.below(kinds) as usize],
        };
        if !is_over {
            let lasts = self.chance.micros(30_000_000);
            let left = HEALED - self.now;
            self.later(lasts.min(left), Event::Change(target));
        }
    }

    fn check_probes(&self) {
        let probes = |is_probe: fn(&Call) -> bool, target: Option<usize>| {
            let calls = self.calls.values();
            let of_target = calls.filter(|call| target.is_none_or(|target| call.target == target));
            of_target.filter(|call| is_probe(call)).count()
        };
        for target in 0..TARGETS {
            let circuit = |call: &Call| call.entered.passes.circuit.is_probe && !call.has_begun;
            assert!(probes(circuit, Some(target)) <= 1, "two probes");
            let bench = |call: &Call| call.entered.passes.bench.is_probe;
            assert!(probes(bench, Some(target)) <= 1, "two probes of a model");
        }
        let account = |call: &Call| call.entered.passes.account.is_probe;
        assert!(probes(account, None) <= 1, "two probes of a credential");
    }

    fn check_quiet(&self) {
        // A hanging probe, an interval, and some callers who leave.
        let patience = match self.setting.has_refusals {
            true => Duration::from_secs(100),
            false => TIMEOUT + SETTINGS.probe_every + Duration::from_secs(20),
        };
        for target in 0..TARGETS {
            let health = &self.healths[target];
            assert_eq!(health.readings(self.instant()).in_flight, 0);
            let found = self.found[target].expect("is found again");
            assert!(found <= HEALED + patience, "found again only at {found:?}");
            assert_eq!(health.look(Some(&SETTINGS), self.instant()), Standing::Well);
            let most =
                self.firsts[target] as f64 * self.retry.budget + 10.0 + END.as_secs_f64() / 10.0;
            assert!(health.budget.repeats() as f64 <= most, "too many repeats");
        }
    }
}

fn setting(seed: u64) -> Setting {
    Setting {
        seed,
        has_refusals: seed % 2 == 1,
        forgets: None,
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn targets_are_left_alone_and_found_again_whatever_happens() {
    let first = number("TOLLGATE_SEED").unwrap_or(0);
    let mut opened = 0;
    for seed in first..first + number("TOLLGATE_SEEDS").unwrap_or(SEEDS) {
        let ended = std::panic::catch_unwind(|| {
            let mut world = World::new(setting(seed));
            world.run();
            world.opened.iter().sum::<u64>()
        });
        match ended {
            Ok(count) => opened += count,
            Err(panic) => {
                eprintln!("this was TOLLGATE_SEED={seed} TOLLGATE_SEEDS=1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("circuits opened {opened} times");
    assert!(opened > 0);
}

#[test]
fn a_call_that_is_forgotten_is_noticed() {
    let noticed = (0..4).all(|seed| {
        let setting = Setting {
            forgets: Some(3),
            ..setting(seed)
        };
        std::panic::catch_unwind(|| World::new(setting).run()).is_err()
    });
    assert!(noticed);
}
