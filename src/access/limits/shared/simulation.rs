//! Replicas, their leases and a log in a world where everything goes wrong that can: messages are late, lost and doubled, clocks
//! differ, processes die, Redis loses what it had. Each run is made by its seed, so a failure repeats.
//!
//! It is held against the truth, which is when requests were admitted: in no span of one window is that more than the limit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lease::{Effect, Held, Lease, Look, Taken, Waiter};
use super::log::{Answer, Ask, Log, PARTS, Told};
use super::numbers::Numbers;
use crate::chance::Chance;

/// How many worlds `cargo test` makes.
const SEEDS: u64 = 200;

const SECOND: u64 = 1_000_000;

/// What a world is like. Times are in microseconds.
#[derive(Clone, Copy, Debug)]
struct Setting {
    seed: u64,
    replicas: usize,
    window: u64,
    limit: u64,
    /// Requests need up to so much.
    most: u64,
    /// A request every so often, at one of the replicas.
    every: u64,
    /// Spread evenly, or by chance.
    is_steady: bool,
    from: u64,
    until: u64,
    /// How long a message takes at most, mostly.
    latency: u64,
    /// Messages are lost, late and doubled, and callers leave.
    has_losses: bool,
    has_crashes: bool,
    /// Redis begins anew now and then, with old data or none.
    has_restarts: bool,
    /// Who is refused comes again as told, and nobody else comes meanwhile.
    returns: bool,
    /// A bug: what is granted counts as though it were used at once.
    forgets_leases: bool,
}

pub struct World {
    setting: Setting,
    chance: Chance,
    base: Instant,
    now: u64,
    agenda: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: BTreeMap<usize, Event>,
    next: usize,
    log: Log,
    /// How often Redis has started, and by how much its clock is ahead.
    run: u64,
    ahead: u64,
    replicas: Vec<Replica>,
    /// When requests were admitted, and with how much.
    admissions: Vec<(u64, u64)>,
    /// The first of them that may still be in the last window.
    first: usize,
    refused: u64,
    /// Who was refused and will return.
    returning: Option<u64>,
    lost: u64,
    /// Until then it is not known what was used: a replica has not said it.
    is_unsure_until: u64,
    checked: u64,
    /// All that the log was asked and said; None where it was emptied.
    pub calls: Vec<Option<Call>>,
}

/// A call of the log.
pub struct Call {
    pub replica: Arc<str>,
    pub ask: Ask,
    pub others: Vec<Arc<str>>,
    pub now: u64,
    pub run: String,
    pub answer: Answer,
}

struct Replica {
    life: u64,
    /// Its clock goes slower or faster by so many millionths.
    drift: i64,
    lease: Option<Lease>,
    waiting: BTreeMap<Waiter, u64>,
    tick: Option<u64>,
    died: Option<u64>,
}

#[derive(Clone, Debug)]
enum Event {
    Arrive(usize, u64),
    Retry(usize, u64),
    Take(usize, u64, Held, u64),
    Settle(usize, u64, Taken, usize),
    Asked(usize, u64, Ask),
    Answered(usize, u64, u64, Answer),
    Unanswered(usize, u64, u64),
    Prompted(usize),
    Tick(usize),
    Sweep,
    Crash(usize),
    Start(usize),
    Restart,
}

impl World {
    fn new(setting: Setting) -> Self {
        let mut world = Self {
            setting,
            chance: Chance::new(setting.seed),
            base: Instant::now() + Duration::from_secs(1_000),
            now: SECOND,
            agenda: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            log: Log::new(setting.window / PARTS),
            run: 0,
            ahead: 1_790_000_000 * SECOND,
            replicas: Vec::new(),
            admissions: Vec::new(),
            first: 0,
            refused: 0,
            returning: None,
            lost: 0,
            is_unsure_until: 0,
            checked: 0,
            calls: Vec::new(),
        };
        world.ahead += world.chance.below(SECOND);
        for at in 0..setting.replicas {
            let drift = world.chance.below(1_001).cast_signed() - 500;
            world.replicas.push(Replica {
                life: 0,
                drift,
                lease: None,
                waiting: BTreeMap::new(),
                tick: None,
                died: None,
            });
            world.start_replica(at);
        }
        let count = setting.until / setting.every;
        for n in 0..count {
            let time = match setting.is_steady {
                true => n * setting.every,
                false => world.chance.below(setting.until),
            };
            let replica = match setting.is_steady {
                true => n as usize % setting.replicas,
                false => world.chance.below(setting.replicas as u64) as usize,
            };
            let amount = 1 + world.chance.below(setting.most);
            world.later(setting.from + time, Event::Arrive(replica, amount));
        }
        for _ in 0..if setting.has_crashes { 3 } else { 0 } {
            let (time, replica) = (
                world.chance.below(setting.until),
                world.chance.below(setting.replicas as u64),
            );
            world.later(time, Event::Crash(replica as usize));
        }
        for _ in 0..if setting.has_restarts { 2 } else { 0 } {
            let time = world.chance.below(setting.until);
            world.later(time, Event::Restart);
        }
        world.later(1, Event::Sweep);
        world
    }

    /// A replica's clock.
    fn clock(&self, replica: usize) -> Instant {
        let drift = self.now.cast_signed() * self.replicas[replica].drift / SECOND.cast_signed();
        self.base + Duration::from_micros(self.now.saturating_add_signed(drift))
    }

    fn later(&mut self, delay: u64, event: Event) {
        self.next += 1;
        self.events.insert(self.next, event);
        self.agenda
            .push(Reverse((self.now + delay, self.next as u64, self.next)));
    }

    /// How long a message takes: mostly little, and now and then so long that nobody waits for it.
    fn latency(&mut self) -> u64 {
        let most = match self.setting.has_losses && self.chance.one_in(30) {
            true => 1_500_000,
            false => self.setting.latency,
        };
        self.chance.below(most)
    }

    fn copies(&mut self) -> usize {
        match self.setting.has_losses {
            true => [0, 2, 1]
                .get(self.chance.below(50) as usize)
                .copied()
                .unwrap_or(1),
            false => 1,
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            let event = self.events.remove(&event).unwrap();
            self.happen(event);
        }
    }

    fn lives(&self, replica: usize, life: u64) -> bool {
        self.replicas[replica].life == life && self.replicas[replica].lease.is_some()
    }

    fn lease(&mut self, replica: usize) -> &mut Lease {
        self.replicas[replica].lease.as_mut().unwrap()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(..) if self.returning.is_some() => {}
            Event::Arrive(replica, amount) | Event::Retry(replica, amount)
                if self.replicas[replica].lease.is_some() =>
            {
                self.arrive(replica, amount);
            }
            Event::Take(replica, life, held, amount) if self.lives(replica, life) => {
                self.take(replica, &held, amount);
            }
            Event::Settle(replica, life, taken, admission) if self.lives(replica, life) => {
                let used = self.chance.below(self.admissions[admission].1 + 1);
                self.admissions[admission].1 = used;
                let now = self.clock(replica);
                let effects = self.lease(replica).settle(taken, used, now);
                self.carry_out(replica, effects);
            }
            Event::Asked(replica, life, ask) => self.asked(replica, life, &ask),
            Event::Answered(replica, life, seq, answer) if self.lives(replica, life) => {
                let now = self.clock(replica);
                let effects = self.lease(replica).answered(seq, answer, now);
                self.carry_out(replica, effects);
            }
            Event::Unanswered(replica, life, seq) if self.lives(replica, life) => {
                let now = self.clock(replica);
                let effects = self.lease(replica).unanswered(seq, now);
                self.carry_out(replica, effects);
            }
            Event::Prompted(replica) if self.replicas[replica].lease.is_some() => {
                let now = self.clock(replica);
                let effects = self.lease(replica).prompted(now);
                self.carry_out(replica, effects);
            }
            Event::Tick(replica) if self.replicas[replica].lease.is_some() => {
                self.replicas[replica].tick = None;
                self.tick(replica);
            }
            Event::Sweep => {
                for replica in 0..self.replicas.len() {
                    if self.replicas[replica].lease.is_some() {
                        self.tick(replica);
                    }
                }
                if self.now < self.setting.from + self.setting.until + self.setting.window {
                    self.later(50_000, Event::Sweep);
                }
            }
            Event::Crash(replica) if self.replicas[replica].lease.take().is_some() => {
                self.replicas[replica].waiting.clear();
                self.replicas[replica].died = Some(self.now);
                let delay = self.chance.below(2 * SECOND);
                self.later(delay, Event::Start(replica));
            }
            Event::Start(replica) => self.start_replica(replica),
            Event::Restart => {
                if self.chance.one_in(2) {
                    // Flushed, or started without its data.
                    self.log = Log::new(self.setting.window / PARTS);
                    self.calls.push(None);
                }
                self.run += self.chance.below(2);
            }
            // Of a process that is dead.
            _ => {}
        }
    }

    fn start_replica(&mut self, at: usize) {
        let (window, base, now) = (
            Duration::from_micros(self.setting.window),
            self.base,
            self.now,
        );
        let replica = &mut self.replicas[at];
        replica.life += 1;
        replica.tick = None;
        let numbers = Numbers::behind(move || now);
        replica.lease = Some(Lease::new(window, base, numbers));
    }

    fn tick(&mut self, replica: usize) {
        let now = self.clock(replica);
        let effects = self.lease(replica).tick(now);
        self.carry_out(replica, effects);
    }

    fn arrive(&mut self, replica: usize, amount: u64) {
        let (now, limit) = (self.clock(replica), self.setting.limit);
        match self.lease(replica).look(amount, limit, now) {
            Look::Has => {
                let (taken, effect) = self.lease(replica).take(amount, None, now);
                self.admit(replica, taken, amount);
                self.carry_out(replica, effect.into_iter().collect());
            }
            Look::Lacks => {
                self.next += 1;
                let id = self.next as Waiter;
                self.replicas[replica].waiting.insert(id, amount);
                let effect = self.lease(replica).wait(id, amount, now);
                self.carry_out(replica, effect.into_iter().collect());
                if self.setting.has_losses
                    && self.chance.one_in(20)
                    && self.replicas[replica].waiting.remove(&id).is_some()
                {
                    self.lease(replica).leave(id);
                }
            }
            Look::Full(wait) => self.refuse(replica, amount, wait),
            Look::Lost => self.lost += 1,
        }
    }

    fn refuse(&mut self, replica: usize, amount: u64, wait: Duration) {
        self.refused += 1;
        assert!(
            wait <= Duration::from_micros(self.setting.window) * 2,
            "{wait:?}"
        );
        if self.setting.returns {
            assert!(self.returning.is_none(), "refused again: {amount}");
            // Its clock is not Redis's.
            let micros = wait.as_micros() as u64;
            let delay = micros + micros / 1_000 + 1;
            self.returning = Some(amount);
            self.later(delay, Event::Retry(replica, amount));
        }
    }

    fn take(&mut self, replica: usize, held: &Held, amount: u64) {
        let now = self.clock(replica);
        if self.setting.has_losses && self.chance.one_in(20) {
            let effects = self.lease(replica).put_back(held, now);
            return self.carry_out(replica, effects);
        }
        if self.lease(replica).is_good(held, now) {
            let (taken, effect) = self.lease(replica).take(amount, Some(held), now);
            self.admit(replica, taken, amount);
            return self.carry_out(replica, effect.into_iter().collect());
        }
        let effects = self.lease(replica).put_back(held, now);
        self.carry_out(replica, effects);
        self.later(0, Event::Retry(replica, amount));
    }

    fn admit(&mut self, replica: usize, taken: Taken, amount: u64) {
        self.admissions.push((self.now, amount));
        self.returning = None;
        self.check();
        if self.setting.most > 1 {
            let delay = self.chance.below(self.setting.window / 4);
            let life = self.replicas[replica].life;
            self.later(
                delay,
                Event::Settle(replica, life, taken, self.admissions.len() - 1),
            );
        }
    }

    /// In the window that ends now no more was admitted than the limit.
    fn check(&mut self) {
        while self.admissions[self.first].0 + self.setting.window <= self.now {
            self.first += 1;
        }
        if self.now < self.is_unsure_until {
            return;
        }
        self.checked += 1;
        let total: u64 = self.admissions[self.first..]
            .iter()
            .map(|(_, amount)| amount)
            .sum();
        assert!(total <= self.setting.limit, "{total} at {}", self.now);
    }

    fn asked(&mut self, replica: usize, life: u64, ask: &Ask) {
        let window = self.setting.window;
        let dead = self.replicas.iter().enumerate().filter(|(_, other)| {
            other
                .died
                .is_some_and(|died| self.now < died + window + SECOND)
        });
        let dead = dead.map(|(at, other)| name(at, other.life - u64::from(other.lease.is_some())));
        let others = self.replicas.iter().enumerate();
        let others = others.filter(|(at, other)| *at != replica && other.lease.is_some());
        let others = others.map(|(at, other)| name(at, other.life));
        let others: Vec<Arc<str>> = others.chain(dead).collect();
        let run = self.run.to_string();
        let (asks, now) = (name(replica, life), self.now + self.ahead);
        let answer = self.log.ask(&asks, ask, &others, now, &run);
        self.calls.push(Some(Call {
            replica: asks,
            ask: ask.clone(),
            others,
            now,
            run,
            answer,
        }));
        if self.log.is_unsure() {
            self.is_unsure_until = self.now + window;
        }
        if answer.told == Told::Wait {
            for replica in 0..self.replicas.len() {
                for _ in 0..self.copies() {
                    let delay = self.latency();
                    self.later(delay, Event::Prompted(replica));
                }
            }
        }
        for _ in 0..self.copies() {
            let delay = self.latency();
            self.later(delay, Event::Answered(replica, life, ask.seq, answer));
        }
    }

    fn carry_out(&mut self, replica: usize, effects: Vec<Effect>) {
        let life = self.replicas[replica].life;
        for effect in effects {
            match effect {
                Effect::Ask(mut ask) => {
                    if self.setting.forgets_leases {
                        ask.life = 0;
                    }
                    let seq = ask.seq;
                    for _ in 0..self.copies() {
                        let delay = self.latency();
                        self.later(delay, Event::Asked(replica, life, ask.clone()));
                    }
                    self.later(500_000, Event::Unanswered(replica, life, seq));
                }
                Effect::Serve(id, held) => {
                    let amount = self.replicas[replica].waiting.remove(&id).unwrap();
                    let delay = self.chance.below(2_000);
                    self.later(delay, Event::Take(replica, life, held, amount));
                }
                Effect::Refuse(id, wait) => {
                    let amount = self.replicas[replica].waiting.remove(&id).unwrap();
                    self.refuse(replica, amount, wait);
                }
                Effect::Lose(id) => {
                    self.replicas[replica].waiting.remove(&id).unwrap();
                    self.lost += 1;
                }
            }
        }
        let is_waited = !self.replicas[replica].waiting.is_empty();
        if is_waited && self.replicas[replica].tick.is_none() {
            self.replicas[replica].tick = Some(self.now + 10_000);
            self.later(10_000, Event::Tick(replica));
        }
    }
}

fn name(replica: usize, life: u64) -> Arc<str> {
    format!("{replica}#{life}").into()
}

const QUIET: Setting = Setting {
    seed: 0,
    replicas: 3,
    window: 60 * SECOND,
    limit: 600,
    most: 1,
    every: 50_000,
    is_steady: false,
    from: 0,
    until: 600 * SECOND,
    latency: 1_000,
    has_losses: false,
    has_crashes: false,
    has_restarts: false,
    returns: false,
    forgets_leases: false,
};

/// A world that was lived through, and the length of its parts.
pub fn lived(seed: u64) -> (World, u64) {
    let setting = rough(seed);
    let mut world = World::new(setting);
    world.run();
    (world, setting.window / PARTS)
}

fn rough(seed: u64) -> Setting {
    let mut chance = Chance::new(seed ^ 0x5eed);
    let window = [1, 10, 60][chance.below(3) as usize] * SECOND;
    let limit = [5, 60, 1_000, 50_000][chance.below(4) as usize];
    let most: u64 = [1, 1 + limit / 20, 1 + limit / 3][chance.below(3) as usize];
    let mean = most.div_ceil(2);
    // From once to four times what the limit admits.
    let every = (window * mean / limit / (1 + chance.below(4))).max(2_000);
    Setting {
        seed,
        replicas: 1 + chance.below(4) as usize,
        window,
        limit,
        most,
        every,
        is_steady: chance.one_in(4),
        from: 0,
        until: (3 * window).min(1_000 * every),
        latency: [500, 5_000, 50_000][chance.below(3) as usize],
        has_losses: !chance.one_in(4),
        has_crashes: chance.one_in(2),
        has_restarts: chance.one_in(2),
        returns: false,
        forgets_leases: false,
    }
}

#[test]
fn a_limit_is_never_exceeded_whatever_goes_wrong() {
    let number = |name| {
        let set = std::env::var(name).ok();
        set.and_then(|set| set.parse::<u64>().ok())
    };
    let first = number("TOLLGATE_SEED").unwrap_or(0);
    let (mut admitted, mut checked, mut refused, mut lost) = (0, 0, 0, 0);
    for seed in first..first + number("TOLLGATE_SEEDS").unwrap_or(SEEDS) {
        let setting = rough(seed);
        let ended = std::panic::catch_unwind(|| {
            let mut world = World::new(setting);
            world.run();
            world
        });
        match ended {
            Ok(world) => {
                admitted += world.admissions.len();
                checked += world.checked;
                refused += world.refused;
                lost += world.lost;
            }
            Err(panic) => {
                eprintln!("this was TOLLGATE_SEED={seed} TOLLGATE_SEEDS=1: {setting:?}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{admitted} were admitted, {checked} of them judged; {refused} refused, {lost} lost");
    assert!(checked as usize > admitted * 3 / 4);
}

#[test]
fn a_lease_that_counts_too_short_is_noticed() {
    let noticed = (0..20).any(|seed| {
        let setting = Setting {
            seed,
            latency: 100_000,
            forgets_leases: true,
            ..QUIET
        };
        std::panic::catch_unwind(|| World::new(setting).run()).is_err()
    });
    assert!(noticed);
}

/// Limits and their windows, in seconds.
const LIMITS: [(u64, u64); 4] = [(100, 1), (60, 60), (500, 60), (300, 3_600)];

#[test]
fn offered_twice_the_limit_97_percent_of_it_are_admitted() {
    for (replicas, (limit, seconds)) in LIMITS.map(|limit| [(1, limit), (3, limit)]).concat() {
        let window = seconds * SECOND;
        let mut world = World::new(Setting {
            replicas,
            limit,
            window,
            every: window / limit / 2,
            until: 9 * window,
            ..QUIET
        });
        world.run();
        // It comes in waves: eight of them take a little more than eight windows.
        let eight = world.admissions[8 * limit as usize].0 - world.admissions[0].0;
        let share = 8.0 * window as f64 / eight as f64;
        println!("{limit} in {seconds} s by {replicas}: {share:.4}");
        assert!(
            share >= 0.97,
            "{limit} in {seconds} s by {replicas}: {share}"
        );
    }
}

#[test]
fn a_steady_caller_under_its_limit_is_never_refused() {
    for (replicas, (limit, seconds)) in LIMITS.map(|limit| [(1, limit), (3, limit)]).concat() {
        let window = seconds * SECOND;
        let mut world = World::new(Setting {
            replicas,
            limit,
            window,
            every: window * 100 / 98 / limit,
            is_steady: true,
            from: 2 * window,
            until: 4 * window,
            ..QUIET
        });
        // When a log begins, who comes first waits until the replicas know each other's use.
        (0..replicas).for_each(|replica| world.later(0, Event::Arrive(replica, 1)));
        world.run();
        assert_eq!(
            (world.refused, world.lost),
            (0, 0),
            "{limit} in {seconds} s by {replicas}"
        );
    }
}

#[test]
fn who_was_slow_for_long_may_be_as_fast_as_the_limit_at_once() {
    for (replicas, limit) in [(1, 1_000), (3, 1_000)] {
        let faster = 3 * SECOND;
        let mut world = World::new(Setting {
            replicas,
            limit,
            window: SECOND,
            every: SECOND * 100 / 98 / limit,
            is_steady: true,
            from: faster,
            until: 2 * SECOND,
            ..QUIET
        });
        let slow = SECOND / limit * 18;
        for n in 0..faster / slow {
            world.later(n * slow, Event::Arrive(n as usize % replicas, 1));
        }
        world.run();
        let asked = world.calls.len();
        println!("{limit} by {replicas}: {asked} questions");
        assert_eq!((world.refused, world.lost), (0, 0), "{limit} by {replicas}");
    }
}

#[test]
fn far_from_its_limit_a_replica_asks_seldom() {
    let asked = |limit| {
        let mut world = World::new(Setting {
            replicas: 1,
            limit,
            window: SECOND,
            every: 1_000,
            until: 10 * SECOND,
            ..QUIET
        });
        world.run();
        assert_eq!((world.refused, world.lost), (0, 0));
        world.calls.len()
    };
    let (near, far) = (asked(2_000), asked(100_000));
    println!("{near} and {far} questions in ten seconds");
    assert!(far * 4 < near, "{far} instead of {near}");
}

#[test]
fn who_waits_as_told_gets_in() {
    for seed in 0..50 {
        let mut world = World::new(Setting {
            seed,
            limit: 20,
            most: 9,
            every: 2 * SECOND,
            until: 600 * SECOND,
            returns: true,
            ..QUIET
        });
        world.run();
        assert!(world.refused > 5, "{}", world.refused);
    }
}

/// It is started again at once, when others still take its name for the dead one's, and learns its own number later.
#[test]
fn what_a_replica_had_used_when_it_died_its_next_life_does_not_give_back() {
    let joined = Arc::new(AtomicU64::new(1_000));
    let (start, hour) = (Instant::now(), Duration::from_secs(3_600));
    let mut log = Log::new(3_600 * SECOND / PARTS);
    let life = || {
        let joined = joined.clone();
        let numbers = Numbers::behind(move || joined.load(Ordering::Relaxed));
        let mut lease = Lease::new(hour, start, numbers);
        assert_eq!(lease.look(600, 1_000, start), Look::Lacks);
        let asks = lease.wait(1, 600, start);
        (lease, asks)
    };
    let mut tell = |lease: &mut Lease, effect: Option<Effect>, now| {
        let Some(Effect::Ask(ask)) = effect else {
            panic!("{effect:?}")
        };
        let answer = log.ask(&"same".into(), &ask, &[], 1_790_000_000 * SECOND, "run");
        lease.answered(ask.seq, answer, now)
    };
    let (mut first, asks) = life();
    let served = tell(&mut first, asks, start);
    let [Effect::Serve(1, held)] = &served[..] else {
        panic!("{served:?}")
    };
    first.take(600, Some(held), start);
    drop(first);
    let (mut second, asks) = life();
    let Some(Effect::Ask(ask)) = asks else {
        panic!("{asks:?}")
    };
    second.postponed(ask.seq, start);
    joined.store(5_000, Ordering::Relaxed);
    let later = start + Duration::from_millis(20);
    let asks = second.tick(later).pop();
    let refused = tell(&mut second, asks, later);
    assert!(matches!(refused[..], [Effect::Refuse(1, _)]), "{refused:?}");
}
