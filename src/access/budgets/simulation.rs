//! Replicas, their purses and an account in a world where everything goes wrong that can: messages are late, lost and out of
//! order, processes die at any moment, limits change, streams are cut. Each run is made by its seed, so a failure repeats.
//!
//! Three things are held against the truth, which is what the providers were paid: it never exceeds the budget; nobody is told
//! that a budget is spent while what is left holds what he needs; and when all is quiet the counters are what the ledger says.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::{Account, Answer, Ask, Share};
use super::purse::{Effect, Purse, Refusal, Waiter};
use crate::chance::Chance;
use crate::spend::Usd;

/// How many worlds `cargo test` makes.
const SEEDS: u64 = 2_000;

/// What a world is like.
#[derive(Clone, Copy, Debug)]
struct Setting {
    seed: u64,
    replicas: usize,
    /// The account lives in the one replica and dies with it; otherwise it stands elsewhere and lives on.
    is_in_memory: bool,
    /// Processes die.
    has_crashes: bool,
    /// A bug: this settlement is forgotten.
    forgets: Option<u64>,
}

struct World {
    setting: Setting,
    chance: Chance,
    start: Instant,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    events: u64,
    limit: Usd,
    account: Account,
    replicas: Vec<Replica>,
    /// What the providers were paid.
    paid: Usd,
    /// What was lost track of by crashes: it may have been paid.
    lost: Usd,
    next_waiter: Waiter,
    settlements: u64,
    admitted: u64,
}

#[derive(Default)]
struct Replica {
    life: u64,
    purse: Option<Purse>,
    /// Requests that wait for money: what they need and want.
    waiting: BTreeMap<Waiter, (Usd, Usd)>,
    /// Requests that run, with what is reserved for them.
    running: BTreeMap<Waiter, Usd>,
    disk: Disk,
    /// What was paid for by this life.
    paid: Usd,
    /// When the purse is to hear that time has passed.
    tick: Option<Duration>,
}

/// What a replica's ledger has durably.
#[derive(Clone, Copy, Default)]
struct Disk {
    /// The sum of its rows.
    rows: Usd,
    /// What may have been spent in all: what was, or was lost, in earlier lives, and what this one may spend.
    bound: Usd,
    /// Of that: the earlier lives'.
    past: Usd,
    /// Rows of this life.
    rows_of_life: Usd,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize),
    End(usize, u64, Waiter),
    Asked(usize, u64, Message),
    Answered(usize, u64, Reply),
    Durable(usize, u64, Usd),
    Noted(usize, u64),
    RowStored(usize, u64, Usd),
    Tick(usize),
    Crash(usize),
    Start(usize),
    Limit(Usd),
}

/// An [`Ask`] that can be put in an order.
type Message = (u64, [u64; 6]);
/// An [`Answer`] that can.
type Reply = (u64, [u64; 3]);

/// How long a message or a disk takes: mostly some milliseconds, and now and then so long that nobody waits for it.
fn latency(chance: &mut Chance) -> Duration {
    match chance.one_in(8) {
        true => chance.micros(1_500_000),
        false => chance.micros(20_000),
    }
}

impl World {
    fn new(setting: Setting) -> Self {
        let limit = Usd::from_nano(1_000_000_000);
        let mut world = Self {
            setting,
            chance: Chance::new(setting.seed),
            start: Instant::now(),
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            events: 0,
            limit,
            account: Account::default(),
            replicas: (0..setting.replicas).map(|_| Replica::default()).collect(),
            paid: Usd::ZERO,
            lost: Usd::ZERO,
            next_waiter: 0,
            settlements: 0,
            admitted: 0,
        };
        for replica in 0..setting.replicas {
            world.start_replica(replica);
            for _ in 0..60 {
                let at = world.chance.micros(3_000_000);
                world.later(at, Event::Arrive(replica));
            }
            for _ in 0..if setting.has_crashes {
                world.chance.below(4)
            } else {
                0
            } {
                let at = world.chance.micros(3_000_000);
                world.later(at, Event::Crash(replica));
            }
        }
        if world.chance.one_in(3) {
            let (at, nano) = (
                world.chance.micros(2_000_000),
                world.chance.below(1_500_000_000),
            );
            world.later(at, Event::Limit(Usd::from_nano(nano)));
        }
        world
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.events += 1;
        self.agenda
            .push(Reverse((self.now + delay, self.events, event)));
    }

    /// Lives until nothing happens any more.
    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            self.happen(event);
            self.check();
        }
        self.check_quiet();
    }

    fn happen(&mut self, event: Event) {
        let now = self.instant();
        match event {
            Event::Arrive(replica) => self.arrive(replica),
            Event::End(replica, life, waiter) if self.lives(replica, life) => {
                self.end(replica, waiter)
            }
            Event::Asked(replica, life, (seq, [limit, settled, held, need, want, spare])) => {
                let name = name(replica, life);
                let answer = self.account.ask(&Ask {
                    replica: name,
                    seq,
                    limit,
                    settled,
                    held,
                    need,
                    want,
                    spare,
                });
                let reply = (answer.seq, [answer.granted, answer.spent, answer.held]);
                if !self.chance.one_in(20) {
                    let delay = latency(&mut self.chance);
                    self.later(delay, Event::Answered(replica, life, reply));
                }
            }
            Event::Answered(replica, life, (seq, [granted, spent, held]))
                if self.lives(replica, life) =>
            {
                let answer = Answer {
                    seq,
                    granted,
                    spent,
                    held,
                };
                let effects = self.purse(replica).answered(answer, now);
                self.carry_out(replica, effects);
            }
            Event::Durable(replica, life, bound) if self.lives(replica, life) => {
                let disk = &mut self.replicas[replica].disk;
                disk.bound = disk.past + bound;
                // Before it has heard of it, or soon after.
                if self.setting.has_crashes && self.chance.one_in(12) {
                    let delay = self.chance.micros(30_000);
                    self.later(delay, Event::Crash(replica));
                }
                let delay = self.chance.micros(20_000);
                self.later(delay, Event::Noted(replica, life));
            }
            Event::Noted(replica, life) if self.lives(replica, life) => {
                let effects = self.purse(replica).noted(now);
                self.carry_out(replica, effects);
            }
            Event::RowStored(replica, life, amount) if self.lives(replica, life) => {
                let disk = &mut self.replicas[replica].disk;
                disk.rows += amount;
                disk.rows_of_life += amount;
            }
            Event::Tick(replica) if self.replicas[replica].purse.is_some() => {
                self.replicas[replica].tick = None;
                let effects = self.purse(replica).tick(now);
                self.carry_out(replica, effects);
            }
            Event::Crash(replica) => self.crash(replica),
            Event::Start(replica) => self.start_replica(replica),
            Event::Limit(limit) => {
                self.limit = limit;
                for replica in 0..self.replicas.len() {
                    if self.replicas[replica].purse.is_some() {
                        let effects = self.purse(replica).limit(limit, now);
                        self.carry_out(replica, effects);
                    }
                }
            }
            // Of a process that is dead.
            _ => {}
        }
    }

    fn lives(&self, replica: usize, life: u64) -> bool {
        let replica = &self.replicas[replica];
        replica.life == life && replica.purse.is_some()
    }

    fn purse(&mut self, replica: usize) -> &mut Purse {
        self.replicas[replica].purse.as_mut().unwrap()
    }

    fn arrive(&mut self, replica: usize) {
        if self.replicas[replica].purse.is_none() {
            return;
        }
        // From a ten-thousandth to a twentieth of the budget.
        let size = 10 + self.chance.below(19);
        let want = 100_000 + self.chance.below(1 << size);
        let need = if self.chance.one_in(3) {
            want
        } else {
            want / 4 + 1
        };
        let (need, want) = (Usd::from_nano(need), Usd::from_nano(want));
        let id = self.next_waiter;
        self.next_waiter += 1;
        self.replicas[replica].waiting.insert(id, (need, want));
        let now = self.instant();
        let until = now + self.chance.micros(500_000);
        let (admitted, effects) = self.purse(replica).reserve(id, need, want, until, now);
        if let Some(amount) = admitted {
            self.admit(replica, id, amount);
        }
        self.carry_out(replica, effects);
        if self.chance.one_in(10) && self.replicas[replica].waiting.remove(&id).is_some() {
            self.purse(replica).leave(id);
        }
    }

    fn admit(&mut self, replica: usize, id: Waiter, amount: Usd) {
        let life = self.replicas[replica].life;
        let (need, want) = self.replicas[replica].waiting.remove(&id).unwrap();
        assert!(need <= amount && amount <= want, "{need} {amount} {want}");
        self.replicas[replica].running.insert(id, amount);
        let exposed = self.paid + self.running();
        assert!(
            exposed <= self.limit,
            "admitted {amount} up to {exposed} of {}",
            self.limit
        );
        self.admitted += 1;
        let delay = self.chance.micros(200_000);
        self.later(delay, Event::End(replica, life, id));
    }

    fn end(&mut self, replica: usize, id: Waiter) {
        let Some(reserved) = self.replicas[replica].running.remove(&id) else {
            return;
        };
        let actual = self.part_of(reserved);
        self.paid += actual;
        self.replicas[replica].paid += actual;
        let (life, now) = (self.replicas[replica].life, self.instant());
        let delay = self.chance.micros(100_000);
        self.later(delay, Event::RowStored(replica, life, actual));
        self.settlements += 1;
        if self.setting.forgets == Some(self.settlements) {
            return;
        }
        let effects = self.purse(replica).settle(reserved, actual, now);
        self.carry_out(replica, effects);
    }

    /// All of it, nothing, or something in between.
    fn part_of(&mut self, amount: Usd) -> Usd {
        match self.chance.below(4) {
            0 => amount,
            1 => Usd::ZERO,
            _ => Usd::from_pico(amount.pico() * i128::from(self.chance.below(1_000)) / 1_000),
        }
    }

    fn carry_out(&mut self, replica: usize, effects: Vec<Effect>) {
        let life = self.replicas[replica].life;
        for effect in effects {
            match effect {
                Effect::Ask(ask) if self.setting.is_in_memory => {
                    let answer = self.account.ask(&ask);
                    let now = self.instant();
                    let effects = self.purse(replica).answered(answer, now);
                    self.carry_out(replica, effects);
                }
                Effect::Ask(ask) => {
                    let message = (
                        ask.seq,
                        [
                            ask.limit,
                            ask.settled,
                            ask.held,
                            ask.need,
                            ask.want,
                            ask.spare,
                        ],
                    );
                    // Lost, late, or twice.
                    for _ in 0..[0, 1, 1, 1, 1, 1, 1, 1, 1, 2][self.chance.below(10) as usize] {
                        let delay = latency(&mut self.chance);
                        self.later(delay, Event::Asked(replica, life, message));
                    }
                }
                Effect::Note(bound) => {
                    let delay = latency(&mut self.chance);
                    self.later(delay, Event::Durable(replica, life, bound));
                }
                Effect::Admit(id, amount) => {
                    // A caller who has left meanwhile has taken himself off.
                    self.admit(replica, id, amount);
                }
                Effect::Refuse(id, refusal) => {
                    let (need, _) = self.replicas[replica].waiting.remove(&id).unwrap();
                    let left = self.limit - self.paid;
                    assert!(
                        refusal == Refusal::Held || need > left,
                        "refused {need} of {left}"
                    );
                }
            }
        }
        let due = self.replicas[replica].purse.as_ref().and_then(Purse::due);
        if let Some(due) = due.map(|due| due - self.start)
            && self.replicas[replica].tick.is_none_or(|tick| due < tick)
        {
            self.replicas[replica].tick = Some(due);
            let delay = due.saturating_sub(self.now).max(Duration::from_micros(100));
            self.later(delay, Event::Tick(replica));
        }
    }

    /// The process dies. What ran may be paid for, all of it or in part.
    fn crash(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if replica.purse.take().is_none() {
            return;
        }
        replica.waiting.clear();
        replica.tick = None;
        let running: Vec<_> = std::mem::take(&mut replica.running).into_values().collect();
        for reserved in running {
            let paid = self.part_of(reserved);
            self.paid += paid;
            self.lost += reserved;
        }
        let delay = self.chance.micros(500_000);
        self.later(delay, Event::Start(at));
    }

    fn start_replica(&mut self, at: usize) {
        let (limit, seed) = (self.limit, self.setting.seed);
        let replica = &mut self.replicas[at];
        let ended = name(at, replica.life);
        replica.life += 1;
        let disk = &mut replica.disk;
        // What was spent is what the ledger has; the rest of what this replica could have spent is kept for it.
        let unknown = (disk.bound - disk.rows).max(Usd::ZERO);
        disk.past = disk.rows + unknown;
        if self.setting.is_in_memory {
            let share = Share {
                seq: 0,
                settled: disk.rows.nano_rounded_up(),
                held: unknown.nano_rounded_up(),
            };
            self.account = Account::new(&"past".into(), share);
        } else if replica.life > 1 && !(seed / 4).is_multiple_of(2) {
            // The account has what the ended life was granted; the ledger says how much of it is known to be spent.
            self.account
                .reconcile(&ended, disk.rows_of_life.nano_rounded_up());
        }
        disk.rows_of_life = Usd::ZERO;
        replica.paid = Usd::ZERO;
        replica.purse = Some(Purse::new(name(at, replica.life), limit));
    }

    fn running(&self) -> Usd {
        self.replicas
            .iter()
            .flat_map(|replica| replica.running.values().copied())
            .sum()
    }

    fn check(&self) {
        let most = self.limit.max(Usd::from_nano(1_000_000_000));
        let exposed = self.paid + self.running();
        assert!(exposed <= most, "{exposed} of {most}");
        for replica in self
            .replicas
            .iter()
            .filter(|replica| replica.purse.is_some())
        {
            let purse = replica.purse.as_ref().unwrap();
            let running: Usd = replica.running.values().copied().sum();
            // Should it die now, its ledger knows that it may have spent so much.
            let known = replica.disk.bound - replica.disk.past;
            assert!(
                replica.paid + running <= known,
                "{} and {running} of {known}",
                replica.paid
            );
            if self.setting.forgets.is_none() {
                assert_eq!(purse.reserved(), running);
            }
        }
    }

    fn check_quiet(&mut self) {
        for replica in &self.replicas {
            assert!(replica.waiting.is_empty() && replica.running.is_empty());
            let purse = replica.purse.as_ref().unwrap();
            assert_eq!(
                purse.reserved(),
                Usd::ZERO,
                "something is reserved for ever"
            );
        }
        (1..self.replicas.len()).for_each(|replica| self.give_back(replica));
        if !self.setting.has_crashes {
            self.check_all_is_to_be_had();
        }
        self.give_back(0);
        let (spent, held) = self.account.totals();
        let rows: Usd = self.replicas.iter().map(|replica| replica.disk.rows).sum();
        let known = rows.nano_rounded_up();
        // Each life of a replica is rounded up to a nano-dollar.
        let lives: u64 = self.replicas.iter().map(|replica| replica.life).sum();
        if self.setting.is_in_memory || !self.setting.has_crashes {
            assert!(
                (known..=known + lives).contains(&spent),
                "{spent} by the account, {known} by the ledger"
            );
        }
        if !self.setting.has_crashes {
            assert_eq!(rows, self.paid);
            assert_eq!(held, 0, "nobody holds it");
        }
    }

    /// What is left can be had by one request, for nobody holds anything.
    fn check_all_is_to_be_had(&mut self) {
        let rounding = self.replicas.len() as u64;
        let left = (self.limit - self.paid)
            .nano_rounded_down()
            .saturating_sub(rounding);
        if left == 0 {
            return;
        }
        let (id, left) = (u64::MAX, Usd::from_nano(left));
        let (now, until) = (self.instant(), self.instant() + Duration::from_secs(60));
        self.replicas[0].waiting.insert(id, (left, left));
        let (admitted, effects) = self.purse(0).reserve(id, left, left, until, now);
        if let Some(amount) = admitted {
            self.admit(0, id, amount);
        }
        self.carry_out(0, effects);
        let before = self.admitted;
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            self.happen(event);
            self.check();
        }
        assert!(
            admitted.is_some() || self.admitted > before,
            "{left} was left and not to be had"
        );
    }

    /// Has a replica tell the account what it spent, and keep nothing.
    fn give_back(&mut self, replica: usize) {
        let now = self.instant();
        let effects = self.purse(replica).close(now);
        for effect in effects {
            if let Effect::Ask(ask) = effect {
                self.account.ask(&ask);
            }
        }
    }
}

fn name(replica: usize, life: u64) -> Arc<str> {
    format!("{replica}#{life}").into()
}

fn settings(seed: u64) -> [Setting; 4] {
    let setting = |replicas, is_in_memory, has_crashes| Setting {
        seed,
        replicas,
        is_in_memory,
        has_crashes,
        forgets: None,
    };
    [
        setting(1, true, true),
        setting(1, true, false),
        setting(3, false, false),
        setting(3, false, true),
    ]
}

#[test]
fn a_budget_is_never_exceeded_whatever_goes_wrong() {
    let seeds = std::env::var("TOLLGATE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    let first = std::env::var("TOLLGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut admitted = 0;
    let first: u64 = first.unwrap_or(0);
    for seed in first..first + seeds.unwrap_or(SEEDS) {
        let settings = settings(seed);
        let setting = settings[seed as usize % settings.len()];
        let ended = std::panic::catch_unwind(|| {
            let mut world = World::new(setting);
            world.run();
            world.admitted
        });
        match ended {
            Ok(count) => admitted += count,
            Err(panic) => {
                eprintln!("this was TOLLGATE_SEED={seed} TOLLGATE_SEEDS=1: {setting:?}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{admitted} requests were admitted");
}

#[test]
fn a_settlement_that_is_forgotten_is_noticed() {
    let noticed = (0..50).all(|seed| {
        let setting = Setting {
            forgets: Some(3),
            ..settings(seed)[2]
        };
        std::panic::catch_unwind(|| World::new(setting).run()).is_err()
    });
    assert!(noticed);
}
