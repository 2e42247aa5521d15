//! What one replica has of one limit in one of its windows: requests take from it, and settle.
//!
//! A pure state machine: an event goes in, [`Effect`]s come out, and nothing waits. The program, which carries them out, and
//! the simulation, which loses, delays and reorders them, run the same code.
//!
//! The rule that makes it hold: what is taken was granted by the log and its lease has not ended, so the log counts it for
//! a window from now at least. A lease is measured by this process's own clock, from before it was asked for.

mod asking;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::span::Span;
use super::super::told::AMOUNT_MAX;
use super::front::Front;
use super::log::{Answer, Ask, Counted, LIFE, PARTS, Told, part_of};
use super::news::News;
use super::numbers::Numbers;
use super::pace::Pace;
use super::portions::{Portion, Portions};
use super::standing::Standing;

/// How often a log that waits for others, …
const POLL_EVERY: Duration = Duration::from_millis(10);

/// … and a Redis that did not answer, is asked again.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// When a limit is far, a lease lasts for so long at least. Should more be used all at once, what leases have left by then counts for as
/// much longer: of a window of a second that is a tenth of a sixteenth, and less of longer ones.
const FAR_LIFE: Duration = Duration::from_millis(100);

/// How long what is taken in a window counts at most.
pub fn life(window: Duration) -> Duration {
    let part = part_of(window);
    window + FAR_LIFE.max(part * LIFE as u32) + part
}

/// A request that waits, to be told by this.
pub type Waiter = u64;

/// A replica's lease.
#[derive(Debug)]
pub struct Lease {
    /// What most requests take from; None while there is something to be done.
    front: Option<Front>,
    /// When the replica's clock began.
    start: Instant,
    numbers: Numbers,
    window: Duration,
    part: Duration,
    limit: u64,
    /// What this replica has used, by parts as long as the log's: a front lasts no longer than one.
    span: Span,
    /// What it may use.
    portions: Portions,
    /// How often that was taken from it, because the log began anew.
    epoch: u64,
    seq: u64,
    heard: u64,
    /// The log that it is in touch with, or is to report to; 0 where it has not heard of any.
    born: u64,
    /// The log knows what it has used, …
    is_in_touch: bool,
    /// … and what all others have.
    is_whole: bool,
    news: News,
    asked: Option<Asked>,
    /// Before this time the log is not asked again.
    ask_again: Option<Instant>,
    is_prompted: bool,
    /// Redis did not answer.
    is_lost: bool,
    /// The log had enough to give more than was wanted.
    is_roomy: bool,
    standing: Option<Standing>,
    waiting: VecDeque<Waiting>,
    pace: Pace,
    /// How long answers took of late.
    slowest: Duration,
    /// Since when the limit is far.
    far_since: Option<Instant>,
    /// It was asked for more at once the last time, because of that.
    is_long: bool,
}

/// A message under way.
#[derive(Debug)]
struct Asked {
    seq: u64,
    at: Instant,
    life: Duration,
    need: Option<u64>,
    largest: u64,
    wanted: u64,
    is_for_more: bool,
}

#[derive(Debug)]
struct Waiting {
    id: Waiter,
    amount: u64,
}

/// What is set aside for a request until it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    amount: u64,
    part: u64,
    until: Instant,
    epoch: u64,
}

/// What a request has taken, to settle it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Instant,
    /// How much.
    pub amount: u64,
    /// Where from.
    pub source: Source,
}

/// Where it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Granted until the end of a part.
    Granted {
        /// Which.
        part: u64,
        /// What the lease's epoch was.
        epoch: u64,
    },
    /// Taken without a grant, in a part of the replica's clock.
    Own {
        /// Which.
        part: u64,
    },
}

/// Whether a request may take what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is there.
    Has,
    /// The log is to be asked.
    Lacks,
    /// There is no room for so long.
    Full(Duration),
    /// Redis does not answer.
    Lost,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put this to the log.
    Ask(Ask),
    /// The request has what it needs.
    Serve(Waiter, Held),
    /// There is no room for the request for so long.
    Refuse(Waiter, Duration),
    /// Redis does not answer.
    Lose(Waiter),
}

impl Lease {
    /// A lease of nothing. `start` is one time for all leases of a process, and so are its `numbers`.
    pub fn new(window: Duration, start: Instant, numbers: Numbers) -> Self {
        let part = part_of(window);
        Self {
            front: None,
            start,
            numbers,
            window,
            part,
            limit: 0,
            span: Span::of_parts(window, PARTS as u32),
            portions: Portions::default(),
            epoch: 0,
            seq: 0,
            heard: 0,
            born: 0,
            is_in_touch: false,
            is_whole: false,
            news: News::default(),
            asked: None,
            ask_again: None,
            is_prompted: false,
            is_lost: false,
            is_roomy: false,
            standing: None,
            waiting: VecDeque::new(),
            pace: Pace::new(part * LIFE as u32),
            slowest: Duration::ZERO,
            far_since: None,
            is_long: false,
        }
    }

    /// Whether so much is to be had under this limit.
    pub fn look(&mut self, amount: u64, limit: u64, now: Instant) -> Look {
        if self
            .front
            .is_some_and(|front| front.has(amount, limit, now))
        {
            return Look::Has;
        }
        self.take_back();
        if limit != self.limit {
            self.limit = limit;
            self.forget_full();
        }
        self.end_portions(now);
        let amount = amount.min(AMOUNT_MAX);
        if self.waiting.is_empty() && self.portions.with(amount).is_some() {
            return Look::Has;
        }
        if self.is_lost && (self.asked.is_some() || !self.may_ask(now)) {
            return Look::Lost;
        }
        match self.full_for(amount, now) {
            Some(wait) => Look::Full(wait),
            None => Look::Lacks,
        }
    }

    /// Takes what was set aside, or what [`Self::look`] has found; without a grant where there is neither, and then the log
    /// hears of it when it can.
    pub fn take(
        &mut self,
        amount: u64,
        held: Option<&Held>,
        now: Instant,
    ) -> (Taken, Option<Effect>) {
        if held.is_none()
            && let Some(taken) = self
                .front
                .as_mut()
                .and_then(|front| front.take(amount, now))
        {
            return (taken, None);
        }
        self.take_back();
        let amount = amount.min(AMOUNT_MAX);
        let good = held.filter(|held| self.is_good(held, now)).copied();
        let source = match good.or_else(|| self.set_aside(amount)) {
            Some(Held { part, epoch, .. }) => Source::Granted { part, epoch },
            None => {
                let part = self.clock(now);
                self.news.add_use(part, amount);
                Source::Own { part }
            }
        };
        self.pace.add(amount, now);
        self.span.used(now);
        self.span.add(amount, now);
        let taken = Taken {
            at: now,
            amount,
            source,
        };
        let asks = self.ask(false, now);
        self.lend(now);
        (taken, asks)
    }

    /// What it has lent, …
    pub const fn front(&self) -> Option<&Front> {
        self.front.as_ref()
    }

    /// … and what was taken of that elsewhere.
    pub fn was_taken(&mut self, amount: i64) {
        if let Some(front) = &mut self.front {
            front.was_taken(amount);
        }
    }

    /// Whether what was set aside can still be taken.
    pub fn is_good(&self, held: &Held, now: Instant) -> bool {
        held.epoch == self.epoch && now < held.until
    }

    /// Whether so much is to be had by what this replica alone has used.
    pub fn look_alone(&mut self, amount: u64, limit: u64, now: Instant) -> Look {
        self.take_back();
        let wait = self.span.wait(amount, limit, now);
        wait.map_or(Look::Has, Look::Full)
    }

    /// Lines up for what [`Self::look`] has not found. An [`Effect`] will tell.
    pub fn wait(&mut self, id: Waiter, amount: u64, now: Instant) -> Option<Effect> {
        self.take_back();
        let amount = amount.min(AMOUNT_MAX);
        self.waiting.push_back(Waiting { id, amount });
        self.ask(false, now)
    }

    /// A request that waits has gone away.
    pub fn leave(&mut self, id: Waiter) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// What was set aside is not needed.
    pub fn put_back(&mut self, held: &Held, now: Instant) -> Vec<Effect> {
        self.take_back();
        if held.epoch == self.epoch {
            self.free(held.part, held.amount, now);
        }
        self.go_on(now)
    }

    /// A request has used so much of what it took.
    pub fn settle(&mut self, taken: Taken, used: u64, now: Instant) -> Vec<Effect> {
        let front = self.front.as_mut();
        if front.is_some_and(|front| front.settle(&taken, used)) {
            return Vec::new();
        }
        self.take_back();
        let used = used.min(AMOUNT_MAX);
        let (less, more) = (
            taken.amount.saturating_sub(used),
            used.saturating_sub(taken.amount),
        );
        self.span.amend(taken.at, taken.amount, used);
        match taken.source {
            Source::Granted { part, epoch } if epoch == self.epoch => {
                self.free(part, less, now);
                self.news.more(part, more);
            }
            // What it took was reported to the log as it was then.
            Source::Granted { .. } => self.news.add_use(self.clock(now), more),
            Source::Own { part } => {
                self.news.add_use(part, more);
                self.news.take_off_use(part, less);
            }
        }
        self.go_on(now)
    }

    /// The log has answered the message of that number.
    pub fn answered(&mut self, seq: u64, answer: Answer, now: Instant) -> Vec<Effect> {
        self.take_back();
        let Some(asked) = self.asked.take_if(|asked| asked.seq == seq) else {
            // Too late: the next message gives back what this one granted.
            return Vec::new();
        };
        self.heard = seq;
        self.is_lost = false;
        self.ask_again = None;
        self.slowest = (now - asked.at).max(self.slowest * 7 / 8);
        self.born = answer.born;
        self.is_in_touch = answer.told != Told::Report;
        self.is_whole = matches!(answer.told, Told::Counted(_));
        self.news.heard();
        match answer.told {
            Told::Report => self.begin_anew(),
            Told::Wait => self.ask_again = Some(now + POLL_EVERY),
            Told::Counted(counted) => self.count(&asked, &counted, now),
        }
        self.go_on(now)
    }

    /// The message of that number was not answered.
    pub fn unanswered(&mut self, seq: u64, now: Instant) -> Vec<Effect> {
        self.take_back();
        if self.asked.take_if(|asked| asked.seq == seq).is_none() {
            return Vec::new();
        }
        self.is_lost = true;
        self.ask_again = Some(now + PROBE_EVERY);
        let lost = |waiting: Waiting| Effect::Lose(waiting.id);
        self.waiting.drain(..).map(lost).collect()
    }

    /// The message of that number was not sent: other replicas do not know of this one yet.
    pub fn postponed(&mut self, seq: u64, now: Instant) -> Vec<Effect> {
        self.take_back();
        if self.asked.take_if(|asked| asked.seq == seq).is_some() {
            self.ask_again = Some(now + POLL_EVERY);
        }
        Vec::new()
    }

    /// The log asks what this replica has used.
    pub fn prompted(&mut self, now: Instant) -> Vec<Effect> {
        self.take_back();
        self.is_prompted = true;
        self.ask(false, now).into_iter().collect()
    }

    /// Time has passed: what leases left unused goes back, and what is to be told is.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.take_back();
        self.end_portions(now);
        let mut effects = Vec::new();
        self.serve(now, &mut effects);
        effects.extend(self.ask(true, now));
        effects
    }

    /// Whether nothing of it is anywhere but in the log.
    pub fn is_idle(&self) -> bool {
        self.portions.is_none() && self.asked.is_none() && self.news.is_none()
    }

    /// What is left of a limit, what is `held` included, and when nothing of it will be used, as far as is known here.
    pub fn remaining(&mut self, limit: u64, held: Option<&Held>, now: Instant) -> (u64, Duration) {
        if let Some(front) = self.front.filter(|front| front.lasts(limit, now)) {
            let held = held.map_or(0, |held| held.amount);
            return (front.remaining + held, front.reset - now);
        }
        self.take_back();
        let standing = self.standing.as_ref();
        let standing = standing.filter(|standing| now < standing.reset && !self.is_lost);
        let Some(standing) = standing else {
            let used = self.span.used(now);
            return (limit.saturating_sub(used), self.span.reset(now));
        };
        let idle = self.portions.left() + held.map_or(0, |held| held.amount);
        let used = standing.total.saturating_sub(idle);
        (limit.saturating_sub(used), standing.reset - now)
    }

    /// What this replica has used.
    pub fn used(&mut self, now: Instant) -> u64 {
        self.take_back();
        self.span.used(now)
    }

    /// Lends a front, if there is nothing to be done but to take from a portion.
    fn lend(&mut self, now: Instant) {
        let is_busy = !self.waiting.is_empty() || self.is_prompted || self.is_lost;
        let portion = self.portions.largest().filter(|_| !is_busy);
        let Some((part, left)) = portion else {
            return;
        };
        // Less than this, and the log is asked for more.
        let asks_below = match self.is_roomy && self.asked.is_none() {
            true => self.asks_below(now),
            false => 0,
        };
        let room = left.min(self.portions.left().saturating_sub(asks_below));
        if room == 0 {
            return;
        }
        self.span.used(now);
        self.span.add(0, now);
        let (remaining, reset) = self.remaining(self.limit, None, now);
        let reset = now + reset;
        let asks_at = self.portions.last_ends();
        let asks_at = asks_at.and_then(|end| end.checked_sub(self.ahead()));
        let changes = [
            self.portions.ends(),
            asks_at.filter(|time| now < *time),
            self.pace.changes(),
            self.span.changes_after(now),
            self.ask_again.filter(|again| now < *again),
        ];
        self.front = Some(Front {
            since: now,
            until: changes.into_iter().flatten().fold(reset, Instant::min),
            limit: self.limit,
            part,
            epoch: self.epoch,
            room,
            taken: 0,
            remaining,
            reset,
        });
    }

    /// Enters what was taken from a front, which is no more.
    fn take_back(&mut self) {
        let Some(front) = self.front.take() else {
            return;
        };
        let Front {
            since, part, taken, ..
        } = front;
        self.portions.take(part, taken);
        self.pace.add(taken.max(0).cast_unsigned(), since);
        self.span.change_last(taken);
    }

    fn count(&mut self, asked: &Asked, counted: &Counted, now: Instant) {
        let needed = asked.need.map(|least| (least, asked.largest));
        self.standing = Some(Standing::new(counted, needed, self.part, now));
        // Who asked for nothing has not heard whether there is more.
        if asked.is_for_more {
            self.is_roomy = counted.granted > asked.wanted;
        }
        if counted.granted > 0 {
            self.portions.add(Portion {
                part: counted.part,
                left: counted.granted,
                until: asked.at + asked.life,
            });
            self.end_portions(now);
        }
    }

    /// What leases of a log that is no more have left must not be used: that log's successor does not count it.
    fn begin_anew(&mut self) {
        self.epoch += 1;
        self.portions = Portions::default();
        self.forget_full();
        self.is_prompted = true;
    }

    /// Does what can be done now.
    fn go_on(&mut self, now: Instant) -> Vec<Effect> {
        if self.waiting.is_empty() && !self.is_prompted {
            return Vec::new();
        }
        let mut effects = Vec::new();
        self.serve(now, &mut effects);
        effects.extend(self.ask(false, now));
        effects
    }

    /// Serves who waits and can be, and refuses for whom there is no room.
    fn serve(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|one| {
            if let Some(held) = self.set_aside(one.amount) {
                effects.push(Effect::Serve(one.id, held));
                return false;
            }
            let full = self.full_for(one.amount, now);
            effects.extend(full.map(|wait| Effect::Refuse(one.id, wait)));
            full.is_none()
        });
        self.waiting = waiting;
    }

    fn set_aside(&mut self, amount: u64) -> Option<Held> {
        let epoch = self.epoch;
        let portion = self.portions.with(amount)?;
        portion.left -= amount;
        Some(Held {
            amount,
            part: portion.part,
            until: portion.until,
            epoch,
        })
    }

    fn full_for(&self, amount: u64, now: Instant) -> Option<Duration> {
        self.standing.as_ref()?.wait(amount, now)
    }

    fn forget_full(&mut self) {
        if let Some(standing) = &mut self.standing {
            standing.forget_full();
        }
    }

    /// So much of what was granted until a part is free again.
    fn free(&mut self, part: u64, amount: u64, now: Instant) {
        if !self.portions.put_back(part, amount, now) {
            self.news.less(part, amount);
        }
    }

    fn end_portions(&mut self, now: Instant) {
        let ended = self.portions.ended(now);
        ended.for_each(|portion| self.news.less(portion.part, portion.left));
    }
}
