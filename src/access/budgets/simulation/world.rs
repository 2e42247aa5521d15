//! A world, its events, and what must hold in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::{Era, Store};
use crate::access::budgets::account::{Answer, Ask, Nano, Share, Shares};
use crate::access::budgets::purse::{
    Effect, Past, Purse, Refusal, SPARE_PART, WAITING_MAX, Waiter,
};
use crate::chance::Chance;
use crate::spend::Usd;

/// How often a replica says that it lives, at least.
const BEAT_EVERY: u64 = 100_000;

/// What a world is like.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub replicas: usize,
    /// The account lives in the one replica and dies with it; otherwise it stands elsewhere and lives on.
    pub is_in_memory: bool,
    /// Processes die.
    pub has_crashes: bool,
    /// What keeps the account dies, too, and comes back with its data, with older data, or with none.
    pub has_losses: bool,
    /// A bug: this settlement is forgotten.
    pub forgets: Option<u64>,
}

/// The world.
pub struct World {
    setting: Setting,
    chance: Chance,
    start: Instant,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    events: u64,
    limit: Usd,
    store: Store,
    replicas: Vec<Replica>,
    /// What the providers were paid.
    paid: Usd,
    next_waiter: Waiter,
    settlements: u64,
    admitted: u64,
}

#[derive(Default)]
struct Replica {
    life: u64,
    /// What its clock is ahead of the others'.
    skew: Duration,
    died: Duration,
    /// What it knows of the store, …
    era: Era,
    /// … which life of it has heard from it, …
    told: u64,
    /// … and what everybody had when it last looked, while nothing was missing there.
    looked: Duration,
    shares: Shares,
    purse: Option<Purse>,
    /// Requests that wait for money: what they need and want.
    waiting: BTreeMap<Waiter, (Usd, Usd)>,
    /// Requests that run, with what is reserved for them.
    running: BTreeMap<Waiter, Usd>,
    disk: Disk,
    /// What was paid for, by all of its lives.
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
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize),
    End(usize, u64, Waiter),
    Asked(usize, u64, Era, Message, Vec<Told>),
    Answered(usize, u64, Option<u64>, Reply),
    Beat(usize, u64),
    Beaten(usize, u64, u64, Duration),
    Heard(usize, u64, Era),
    Look(usize, u64, Era),
    Seen(usize, u64, Duration, Vec<Told>),
    Keep,
    Die,
    Live(bool),
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
type Reply = (u64, u64, bool, [u64; 3]);
/// A [`Share`] that can, and whose it is.
type Told = (Arc<str>, [u64; 3]);

impl World {
    pub fn new(setting: Setting) -> Self {
        let limit = Usd::from_nano(1_000_000_000);
        let mut world = Self {
            setting,
            chance: Chance::new(setting.seed),
            start: Instant::now(),
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            events: 0,
            limit,
            store: Store::default(),
            replicas: (0..setting.replicas).map(|_| Replica::default()).collect(),
            paid: Usd::ZERO,
            next_waiter: 0,
            settlements: 0,
            admitted: 0,
        };
        if setting.has_losses {
            for _ in 0..30 {
                let at = world.chance.micros(3_000_000);
                world.later(at, Event::Keep);
            }
            for _ in 0..1 + world.chance.below(3) {
                let at = world.chance.micros(3_000_000);
                world.later(at, Event::Die);
            }
        }
        for replica in 0..setting.replicas {
            world.replicas[replica].skew = world.chance.micros(3_600_000_000);
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

    /// How many requests were admitted.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    /// The time, by the clock of a replica.
    fn instant(&self, replica: usize) -> Instant {
        self.start + self.replicas[replica].skew + self.now
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.events += 1;
        self.agenda
            .push(Reverse((self.now + delay, self.events, event)));
    }

    /// Lives until nothing happens any more.
    pub fn run(&mut self) {
        self.live_on();
        self.check_quiet();
    }

    fn live_on(&mut self) {
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            self.happen(event);
            self.check();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(replica) => self.arrive(replica),
            Event::End(replica, life, waiter) if self.lives(replica, life) => {
                self.end(replica, waiter)
            }
            Event::Asked(replica, life, believed, message, shares) if !self.store.is_down => {
                let shares = shares.into_iter().map(share).collect();
                let answer = self.store.ask(&ask(replica, message), believed, &shares);
                let Answer {
                    seq,
                    heard,
                    is_open,
                    granted,
                    spent,
                    held,
                } = answer;
                let reply = (seq, heard, is_open, [granted, spent, held]);
                // To whoever meant another life of the store it did not say what all have.
                let told = (believed.0 == self.store.run).then_some(believed.0);
                self.maybe_later(Event::Answered(replica, life, told, reply));
            }
            Event::Answered(replica, life, told, reply) if self.lives(replica, life) => {
                let (seq, heard, is_open, [granted, spent, held]) = reply;
                let answer = Answer {
                    seq,
                    heard,
                    is_open,
                    granted,
                    spent,
                    held,
                };
                let now = self.instant(replica);
                let is_heard = self.purse(replica).is_heard(&answer);
                if let Some(run) = told.filter(|_| is_heard) {
                    let told = &mut self.replicas[replica].told;
                    *told = run.max(*told);
                }
                let effects = self.purse(replica).answered(answer, now);
                self.carry_out(replica, effects);
            }
            Event::Beat(replica, life) if self.lives(replica, life) => self.beat(replica),
            Event::Beaten(replica, life, told, looked) if !self.store.is_down => {
                let dead = self.replicas.iter().enumerate();
                let vouched = dead.filter(|(_, dead)| dead.purse.is_none() && dead.died < looked);
                let vouched: Vec<_> = vouched.map(|(replica, _)| replica).collect();
                let era = self.store.beat(replica, told, &vouched);
                self.maybe_later(Event::Heard(replica, life, era));
            }
            Event::Heard(replica, life, era) if self.lives(replica, life) => {
                let now = self.instant(replica);
                let one = &mut self.replicas[replica];
                one.era = one.era.max(era);
                if one.told < one.era.0 {
                    let effects = self.purse(replica).tell(now);
                    self.carry_out(replica, effects.into_iter().collect());
                }
            }
            // What is incomplete teaches nothing.
            Event::Look(replica, life, believed)
                if !self.store.is_down && believed.1 && believed == self.store.era() =>
            {
                let shares = self.store.account.shares();
                let seen = Event::Seen(replica, life, self.now, tell(shares));
                self.maybe_later(seen);
            }
            Event::Seen(replica, life, at, shares) if self.lives(replica, life) => {
                let one = &mut self.replicas[replica];
                if at > one.looked {
                    one.looked = at;
                    one.shares = shares.into_iter().map(share).collect();
                }
            }
            Event::Keep => self.store.keep(),
            Event::Die if !self.store.is_down => {
                self.store.is_down = true;
                let (delay, has_data) = (self.chance.micros(400_000), self.chance.one_in(2));
                self.later(delay, Event::Live(has_data));
            }
            Event::Live(has_data) => {
                let all = (0..self.replicas.len()).collect();
                self.store.live(has_data, all);
            }
            Event::Durable(replica, life, bound) if self.lives(replica, life) => {
                self.replicas[replica].disk.bound = bound;
                // Before it has heard of it, or soon after.
                if self.setting.has_crashes && self.chance.one_in(12) {
                    let delay = self.chance.micros(30_000);
                    self.later(delay, Event::Crash(replica));
                }
                let delay = self.chance.micros(20_000);
                self.later(delay, Event::Noted(replica, life));
            }
            Event::Noted(replica, life) if self.lives(replica, life) => {
                let now = self.instant(replica);
                let effects = self.purse(replica).noted(now);
                self.carry_out(replica, effects);
            }
            Event::RowStored(replica, life, amount) if self.lives(replica, life) => {
                self.replicas[replica].disk.rows += amount;
            }
            Event::Tick(replica) if self.replicas[replica].purse.is_some() => {
                self.replicas[replica].tick = None;
                let now = self.instant(replica);
                let effects = self.purse(replica).tick(now);
                self.carry_out(replica, effects);
            }
            Event::Crash(replica) => self.crash(replica),
            Event::Start(replica) => self.start_replica(replica),
            Event::Limit(limit) => {
                self.limit = limit;
                for replica in 0..self.replicas.len() {
                    if self.replicas[replica].purse.is_some() {
                        let now = self.instant(replica);
                        let effects = self.purse(replica).limit(limit, now);
                        self.carry_out(replica, effects);
                    }
                }
            }
            // Of a process that is dead.
            _ => {}
        }
    }

    /// Later, if it is not lost.
    fn maybe_later(&mut self, event: Event) {
        if !self.chance.one_in(20) {
            let delay = self.chance.latency();
            self.later(delay, event);
        }
    }

    /// A replica says that it lives, looks now and then what everybody has, and gives back what others lack.
    fn beat(&mut self, replica: usize) {
        let one = &self.replicas[replica];
        let (life, told, looked, era) = (one.life, one.told, one.looked, one.era);
        self.maybe_later(Event::Beaten(replica, life, told, looked));
        if self.chance.one_in(3) {
            self.maybe_later(Event::Look(replica, life, era));
        }
        if self.chance.one_in(5) {
            let now = self.instant(replica);
            let effects = self.purse(replica).recall(now);
            self.carry_out(replica, effects);
        }
        let is_settled = self.store.era().1 && era == self.store.era() && told == era.0;
        if self.now < Duration::from_secs(4) || !is_settled {
            let delay = self.chance.micros(BEAT_EVERY);
            self.later(delay, Event::Beat(replica, life));
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
        let now = self.instant(replica);
        let until = now + self.chance.micros(500_000);
        let (admitted, effects) =
            self.purse(replica)
                .reserve(id, need, want, until, WAITING_MAX, now);
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
        let (life, now) = (self.replicas[replica].life, self.instant(replica));
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
                    let answer = self.store.account.ask(&ask, true);
                    let now = self.instant(replica);
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
                    let one = &self.replicas[replica];
                    let (era, is_told) = (one.era, one.told == one.era.0);
                    let shares = if is_told {
                        Vec::new()
                    } else {
                        tell(&one.shares)
                    };
                    // Lost, late, or twice.
                    for _ in 0..[0, 1, 1, 1, 1, 1, 1, 1, 1, 2][self.chance.below(10) as usize] {
                        let delay = self.chance.latency();
                        let asked = Event::Asked(replica, life, era, message, shares.clone());
                        self.later(delay, asked);
                    }
                }
                Effect::Note(bound) => {
                    let delay = self.chance.latency();
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
                        refusal != Refusal::Spent || need > left,
                        "refused {need} of {left}"
                    );
                }
            }
        }
        let due = self.replicas[replica].purse.as_ref().and_then(Purse::due);
        if let Some(due) = due.map(|due| due - self.start - self.replicas[replica].skew)
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
        replica.died = self.now;
        replica.waiting.clear();
        replica.tick = None;
        let running: Vec<_> = std::mem::take(&mut replica.running).into_values().collect();
        for reserved in running {
            let paid = self.part_of(reserved);
            self.paid += paid;
            self.replicas[at].paid += paid;
        }
        let most = [500_000, 3_000_000][usize::from(self.setting.has_losses)];
        let delay = self.chance.micros(most);
        self.later(delay, Event::Start(at));
    }

    fn start_replica(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        replica.life += 1;
        (replica.era, replica.told) = Default::default();
        (replica.looked, replica.shares) = Default::default();
        if self.setting.is_in_memory {
            self.store = Store::default();
        }
        // What was spent is what the ledger has; the rest of what this replica could have spent is kept for it.
        let disk = replica.disk;
        let past = Past {
            spent: disk.rows,
            unknown: (disk.bound - disk.rows).max(Usd::ZERO),
        };
        let seq = self.now.as_millis() as u64 * 1024;
        replica.purse = Some(Purse::new(name(at), self.limit, SPARE_PART, past, seq));
        let life = replica.life;
        if !self.setting.is_in_memory {
            self.later(Duration::ZERO, Event::Beat(at, life));
        }
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
            let (paid, known) = (replica.paid, replica.disk.bound);
            assert!(paid + running <= known, "{paid} and {running} of {known}");
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
        assert!(self.setting.is_in_memory || self.store.era().1);
        let rounding = self.replicas.len() as u64;
        (1..self.replicas.len()).for_each(|replica| self.give_back(replica));
        self.setting.has_crashes = false;
        self.check_all_is_to_be_had();
        self.give_back(0);
        let (spent, held) = self.store.account.totals();
        let sum = |amount: fn(&Replica) -> Usd| self.replicas.iter().map(amount).sum::<Usd>();
        let rows = sum(|replica| replica.disk.rows);
        let known = rows.nano_rounded_up();
        // Each replica's is rounded up to a nano-dollar.
        assert!(
            (known..=known + rounding).contains(&spent),
            "{spent} by the account, {known} by the ledger"
        );
        let unknown = sum(|replica| replica.purse.as_ref().unwrap().unknown());
        let lost = unknown.nano_rounded_up();
        assert!(
            held <= lost + rounding,
            "{held} is held, {lost} are unknown"
        );
        let paid = self.paid;
        assert!(
            rows <= paid && paid <= rows + unknown,
            "{rows} {paid} {unknown}"
        );
    }

    /// What is left can be had by one request, for nobody holds anything.
    fn check_all_is_to_be_had(&mut self) {
        let rounding = 2 * self.replicas.len() as u64;
        let own = self.purse(0);
        let kept = (own.settled() + own.unknown()).nano_rounded_up();
        let name = name(0);
        let others = self
            .store
            .account
            .shares()
            .iter()
            .filter(|(replica, _)| **replica != name);
        let others: Nano = others.map(|(_, share)| share.settled + share.held).sum();
        let left = self
            .limit
            .nano_rounded_down()
            .saturating_sub(kept + others + rounding);
        if left == 0 {
            return;
        }
        let (id, left) = (u64::MAX, Usd::from_nano(left));
        let now = self.instant(0);
        let until = now + Duration::from_secs(60);
        self.replicas[0].waiting.insert(id, (left, left));
        let before = self.admitted;
        let (admitted, effects) = self
            .purse(0)
            .reserve(id, left, left, until, WAITING_MAX, now);
        if let Some(amount) = admitted {
            self.admit(0, id, amount);
        }
        self.carry_out(0, effects);
        self.live_on();
        assert!(self.admitted > before, "{left} was left and not to be had");
    }

    /// Has a replica tell the account what it spent, and keep nothing.
    fn give_back(&mut self, replica: usize) {
        let now = self.instant(replica);
        let effects = self.purse(replica).close(now);
        for effect in effects {
            if let Effect::Ask(ask) = effect {
                self.store.account.ask(&ask, true);
            }
        }
    }
}

fn name(replica: usize) -> Arc<str> {
    replica.to_string().into()
}

fn ask(replica: usize, (seq, [limit, settled, held, need, want, spare]): Message) -> Ask {
    Ask {
        replica: name(replica),
        seq,
        limit,
        settled,
        held,
        need,
        want,
        spare,
    }
}

fn tell(shares: &Shares) -> Vec<Told> {
    let told = |(replica, share): (&Arc<str>, &Share)| {
        (replica.clone(), [share.seq, share.settled, share.held])
    };
    shares.iter().map(told).collect()
}

fn share((replica, [seq, settled, held]): Told) -> (Arc<str>, Share) {
    let share = Share { seq, settled, held };
    (replica, share)
}
