//! What one replica has of one budget in one of its windows: requests reserve from it, and settle.
//!
//! A pure state machine: an event goes in, [`Effect`]s come out, and nothing waits. The program, which carries them out, and
//! the simulation, which loses, delays and reorders them, run the same code.
//!
//! The rule that makes it hold: what was spent and what is reserved is never more than what the account has granted **and**
//! what has been noted durably. So whatever becomes of this process, its share of the account covers what it did.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::{Answer, Ask, Nano};
use crate::spend::Usd;

/// A replica that is in use holds this part of a budget for requests to come, and at most twice as much: what a crash may lose.
pub const SPARE_PART: u64 = 128;

/// A replica is in use for so long after a request.
const IN_USE: Duration = Duration::from_secs(10);

/// How exactly it is known when that was.
const USED_WITHIN: Duration = Duration::from_millis(100);

/// How many requests may wait for one budget; more are refused at once.
pub const WAITING_MAX: usize = 4096;

/// How often an account that had nothing is asked again while requests wait.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long an answer is waited for before the question is put again.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// When another replica lacked what lay idle here, nothing is kept for requests to come for so long.
const LEAN_FOR: Duration = Duration::from_secs(1);

/// After so long it is looked anew whether something is to be done.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// A request that waits, to be told by this.
pub type Waiter = u64;

/// A replica's purse: what every request changes first.
#[derive(Debug)]
#[repr(C)]
pub struct Purse {
    /// What was spent by this replica in this window.
    settled: Usd,
    /// What is reserved for requests that run, and what lives of this replica that died may have spent: nobody knows.
    reserved: Usd,
    /// When something was reserved last, to [`USED_WITHIN`].
    last_used: Option<Instant>,
    quiet: Option<Quiet>,
    /// Of what is reserved, what lives that died may have spent.
    unknown: Usd,
    replica: Arc<str>,
    limit: Usd,
    /// Which part of the limit is held for requests to come.
    spare_part: u64,
    /// What `settled` and `reserved` may come to: by the account, …
    granted: Usd,
    /// … and by what was noted durably.
    noted: Usd,
    /// What is being noted: one at a time, so that what is durable is never less than what is believed.
    noting: Option<Usd>,
    seq: u64,
    asked: Option<Asked>,
    /// Before this time the account is not asked for what it did not have.
    ask_again: Option<Instant>,
    /// Before this time it is not asked for spare money alone.
    ask_for_spare: Option<Instant>,
    /// The account had less than was wanted when it was last asked, …
    is_short: bool,
    /// … and that will not change soon: nobody holds anything, or those who do have been asked for what lies idle.
    has_asked_in_vain: bool,
    /// What all others had spent when the account was last heard of.
    spent_by_others: Usd,
    /// And what they had spent or held: None while that is not known for the present limit.
    had_by_others: Option<Usd>,
    waiting: VecDeque<Waiting>,
    /// Until then nothing is held for requests to come.
    lean_until: Option<Instant>,
    /// What `settled` and `reserved` may come to while the account cannot be asked, if this replica goes on alone.
    alone: Option<Usd>,
    is_closed: bool,
}

/// When nobody waits and nothing is to be done: most requests are admitted, and settled, by this alone.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    /// While what was spent and is reserved is between these, …
    least: Usd,
    most: Usd,
    /// … before this time.
    until: Instant,
}

/// What is known of the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What was spent.
    pub spent: Usd,
    /// What may have been spent besides, by a process that died: nobody knows.
    pub unknown: Usd,
}

/// A message under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    seq: u64,
    settled: Usd,
    held: Usd,
    want: Nano,
    is_for_more: bool,
    at: Instant,
}

#[derive(Debug)]
struct Waiting {
    id: Waiter,
    need: Usd,
    want: Usd,
    until: Instant,
    /// With fewer than so many before it, it waits for what others give back; else for an answer of the account only.
    queue: usize,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put this to the account.
    Ask(Ask),
    /// Note durably that this replica may spend so much in this window, and say so by [`Purse::noted`].
    Note(Usd),
    /// The request may spend so much: what it wanted, or less and no less than it needs.
    Admit(Waiter, Usd),
    /// The request is refused.
    Refuse(Waiter, Refusal),
}

/// Why a request gets no money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The least it needs is more than is left of the budget.
    Spent,
    /// Requests that run have reserved it; it may come back.
    Held,
    /// The account cannot be asked, or does not say yet what is left.
    Lost,
}

impl Purse {
    /// A purse with nothing in it, of a replica whose earlier lives did `past` in this window. It holds one `spare_part`th for
    /// requests to come. Its messages count from `seq`, which is more than what those have counted to.
    pub fn new(replica: Arc<str>, limit: Usd, spare_part: u64, past: Past, seq: u64) -> Self {
        // What was noted for the past is in the ledger, and the account has it or will be told.
        let had = past.spent + past.unknown;
        Self {
            replica,
            limit,
            spare_part,
            settled: past.spent,
            reserved: past.unknown,
            unknown: past.unknown,
            last_used: None,
            granted: had,
            noted: had,
            noting: None,
            seq,
            asked: None,
            ask_again: None,
            is_short: false,
            ask_for_spare: None,
            has_asked_in_vain: false,
            spent_by_others: Usd::ZERO,
            had_by_others: None,
            waiting: VecDeque::new(),
            lean_until: None,
            alone: None,
            quiet: None,
            is_closed: false,
        }
    }

    /// Admits a request at once that wants `want`, if the purse has that and nobody waits.
    pub fn take(&mut self, want: Usd, now: Instant) -> Option<Vec<Effect>> {
        // Every request asks this: it is written now and then.
        if self.last_used.is_none_or(|used| used + USED_WITHIN <= now) {
            self.last_used = Some(now);
        }
        if self.is_quiet(self.used() + want, now) {
            self.reserved += want;
            return Some(Vec::new());
        }
        (self.waiting.is_empty() && want <= self.usable()).then(|| {
            self.reserved += want;
            self.go_on_if_needed(now)
        })
    }

    /// A request needs at least `need`, and wants `want`. It is admitted at once if the purse has that; otherwise it waits
    /// until an [`Effect`] tells, at most until `until`, and for no longer than the account's answer takes where `queue` others
    /// wait already.
    pub fn reserve(
        &mut self,
        id: Waiter,
        need: Usd,
        want: Usd,
        until: Instant,
        queue: usize,
        now: Instant,
    ) -> (Option<Usd>, Vec<Effect>) {
        if let Some(effects) = self.take(want, now) {
            return (Some(want), effects);
        }
        if self.is_spent(need) {
            return (None, vec![Effect::Refuse(id, Refusal::Spent)]);
        }
        if self.waiting.len() >= WAITING_MAX {
            return (None, vec![Effect::Refuse(id, Refusal::Held)]);
        }
        self.waiting.push_back(Waiting {
            id,
            need,
            want,
            until,
            queue,
        });
        let mut effects = self.go_on(now);
        self.refuse_late(&mut effects, now);
        (None, effects)
    }

    /// A request that was admitted with `reserved` has ended, and cost `actual`.
    pub fn settle(&mut self, reserved: Usd, actual: Usd, now: Instant) -> Vec<Effect> {
        self.reserved = self.reserved - reserved;
        self.settled += actual;
        self.go_on_if_needed(now)
    }

    /// A request that waits has gone away.
    pub fn leave(&mut self, id: Waiter) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// The account has answered.
    pub fn answered(&mut self, answer: Answer, now: Instant) -> Vec<Effect> {
        let Some(asked) = self.asked.filter(|asked| asked.seq == answer.seq) else {
            // Too late: the next message has already given back what this one granted.
            return Vec::new();
        };
        self.asked = None;
        if answer.heard != asked.seq {
            // A life before this one has counted further, or others took this one for dead.
            self.seq = answer.heard;
        } else if answer.is_open {
            self.alone = None;
            self.granted += Usd::from_nano(answer.granted);
            self.spent_by_others = Usd::from_nano(answer.spent) - asked.settled;
            let held_by_others = Usd::from_nano(answer.held - answer.granted) - asked.held;
            self.had_by_others = Some(self.spent_by_others + held_by_others);
            let was_short = self.is_short;
            self.is_short = answer.granted < asked.want;
            let is_all = was_short || held_by_others <= Usd::ZERO;
            self.has_asked_in_vain = self.is_short && is_all;
            let is_in_vain = answer.granted == 0 && asked.is_for_more;
            self.ask_for_spare = is_in_vain.then(|| now + ASK_EVERY);
            self.ask_again = self.is_short.then(|| now + ASK_EVERY);
        } else {
            self.ask_again = Some(now + ASK_EVERY);
        }
        let mut effects = self.go_on(now);
        if answer.heard != asked.seq {
            // What was not heard is told again.
            effects.extend(self.tell(now));
        }
        self.refuse_late(&mut effects, now);
        effects
    }

    /// The account cannot be asked. What was granted is used; who needs more is refused.
    pub fn lost(&mut self, now: Instant) -> Vec<Effect> {
        self.quiet = None;
        self.asked = None;
        self.ask_again = Some(now + ASK_EVERY);
        let mut effects = Vec::new();
        self.serve(&mut effects);
        // What is being noted will be there without the account.
        if self.noting.is_none() {
            let refused = self.waiting.drain(..);
            effects.extend(refused.map(|one| Effect::Refuse(one.id, Refusal::Lost)));
        }
        effects.extend(self.note());
        effects
    }

    /// The account cannot be asked, and this replica, one of so many, goes on with its part of what was left when the account
    /// was last heard of.
    pub fn alone(&mut self, replicas: u64, now: Instant) -> Vec<Effect> {
        self.quiet = None;
        self.asked = None;
        let left = self.limit - self.had_by_others.unwrap_or_default() - self.granted;
        let part = Usd::from_pico(left.max(Usd::ZERO).pico() / i128::from(replicas));
        let bound = *self.alone.get_or_insert(self.granted + whole(part));
        self.had_by_others.get_or_insert_default();
        let wanted: Usd = self.waiting.iter().map(|one| one.want).sum();
        let granted = (self.used() + wanted).min(bound);
        self.granted = self.granted.max(whole(granted));
        self.has_asked_in_vain = granted == bound;
        self.ask_again = Some(now + ASK_EVERY);
        let mut effects = Vec::new();
        self.serve(&mut effects);
        effects.extend(self.note());
        effects
    }

    /// Messages count from there, so that they are later than those of earlier lives.
    pub fn count_from(&mut self, seq: u64) {
        // Every request asks this: what does not change is not written.
        if self.seq < seq {
            self.seq = seq;
        }
    }

    /// What others may spend without asking, as far as is known here.
    pub fn held_by_others(&self) -> Usd {
        let had = self.had_by_others;
        had.map_or(Usd::ZERO, |had| (had - self.spent_by_others).max(Usd::ZERO))
    }

    /// Whether an answer shows that the account has heard the last of what was said.
    pub const fn is_heard(&self, answer: &Answer) -> bool {
        answer.seq == self.seq && answer.heard == self.seq
    }

    /// Another replica lacks what may lie idle here.
    pub fn recall(&mut self, now: Instant) -> Vec<Effect> {
        self.lean_until = Some(now + LEAN_FOR);
        self.go_on(now)
    }

    /// The account is to be told what is, whether or not something is lacking. It is known that it was when it has answered.
    pub fn tell(&mut self, now: Instant) -> Option<Effect> {
        self.forget_unanswered(now);
        let is_silent = self.is_closed || self.asked.is_some();
        (!is_silent).then(|| Effect::Ask(self.message(Usd::ZERO, Usd::ZERO, Usd::ZERO, false, now)))
    }

    /// What [`Effect::Note`] said is durable.
    pub fn noted(&mut self, now: Instant) -> Vec<Effect> {
        if let Some(noted) = self.noting.take() {
            self.noted = noted;
        }
        self.go_on(now)
    }

    /// The configuration or an operator says another limit. Of a smaller one nothing is admitted until the account has been asked.
    pub fn limit(&mut self, limit: Usd, now: Instant) -> Vec<Effect> {
        if limit == self.limit {
            return Vec::new();
        }
        if limit < self.limit {
            // What comes back of it must not be spent again until the account has said that all of it is within the limit.
            self.had_by_others = None;
        }
        self.limit = limit;
        self.asked = None;
        self.ask_again = None;
        self.go_on(now)
    }

    /// Time has passed: who waited too long is refused, and what was not answered is asked again.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.forget_unanswered(now);
        let mut effects = self.go_on(now);
        self.refuse_late(&mut effects, now);
        effects
    }

    /// The end of this purse: tells the account what was spent, and gives back what is not reserved.
    pub fn close(&mut self, now: Instant) -> Vec<Effect> {
        self.is_closed = true;
        self.granted = self.used();
        let message = self.message(Usd::ZERO, Usd::ZERO, Usd::ZERO, false, now);
        [Some(Effect::Ask(message)), self.note()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// When [`Purse::tick`] has something to do; None where nobody waits.
    pub fn due(&self) -> Option<Instant> {
        let grace = self.grace();
        let first = self.waiting.iter().map(|one| one.until + grace).min()?;
        let answer = self.asked.map(|asked| asked.at + ANSWER_WITHIN);
        let others = [answer, self.ask_again].into_iter().flatten();
        Some(others.fold(first, Instant::min))
    }

    /// What was spent, by all, as far as is known here.
    pub fn spent(&self) -> Usd {
        self.spent_by_others + self.settled
    }

    /// Adds what was spent without being reserved, of a budget that refuses nothing.
    pub fn add(&mut self, amount: Usd) {
        self.settled += amount;
    }

    /// Whether more was spent than was noted.
    pub fn is_behind(&self) -> bool {
        self.settled > self.noted
    }

    /// What was spent by this replica.
    pub const fn settled(&self) -> Usd {
        self.settled
    }

    /// What requests of this replica have reserved.
    pub fn reserved(&self) -> Usd {
        self.reserved - self.unknown
    }

    /// What lives of this replica that died may have spent.
    pub const fn unknown(&self) -> Usd {
        self.unknown
    }

    /// What was spent and is reserved.
    fn used(&self) -> Usd {
        self.settled + self.reserved
    }

    /// What may be reserved at once.
    fn usable(&self) -> Usd {
        self.granted.min(self.noted).min(self.ceiling()) - self.used()
    }

    /// What the limit leaves to this replica. That is never less than what it was granted, unless the limit was lowered.
    fn ceiling(&self) -> Usd {
        self.had_by_others.map_or(Usd::ZERO, |had| self.limit - had)
    }

    /// Whether it is certain that so much is not left, whatever comes back of what is reserved.
    fn is_spent(&self, need: Usd) -> bool {
        need > self.limit - self.spent()
    }

    /// Does what can be done now, where more or less being used calls for it.
    fn go_on_if_needed(&mut self, now: Instant) -> Vec<Effect> {
        match self.is_quiet(self.used(), now) {
            true => Vec::new(),
            false => self.go_on(now),
        }
    }

    /// Whether there is nothing to be done while so much is used.
    fn is_quiet(&self, used: Usd, now: Instant) -> bool {
        let is_within =
            |quiet: Quiet| quiet.least <= used && used <= quiet.most && now < quiet.until;
        self.quiet.is_some_and(is_within)
    }

    /// Does what can be done now.
    fn go_on(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.serve(&mut effects);
        effects.extend(self.ask(now));
        effects.extend(self.note());
        self.quiet = self.quiet_from(now).filter(|_| effects.is_empty());
        effects
    }

    /// When there is nothing to be done from now on, as there is nothing now.
    fn quiet_from(&self, now: Instant) -> Option<Quiet> {
        if self.is_closed || self.asked.is_some() || !self.waiting.is_empty() {
            return None;
        }
        let bound = self.granted.min(self.ceiling());
        let spare = self.spare(now);
        let changes = [self.ask_again, self.ask_for_spare, self.lean_until];
        let coming = changes.into_iter().flatten().filter(|time| now < *time);
        Some(Quiet {
            least: bound - spare - spare,
            most: self.noted.min(bound - half(spare)),
            until: coming.fold(now + QUIET_MAX, Instant::min),
        })
    }

    /// Admits who waits and can be, and refuses who never can.
    fn serve(&mut self, effects: &mut Vec<Effect>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|one| {
            let usable = self.usable();
            // Less than was wanted only where the account has no more, and nothing more is on its way to be durable.
            let is_all = self.has_asked_in_vain && self.noted >= self.granted;
            if one.want <= usable || is_all && one.need <= usable {
                let admitted = one.want.min(usable);
                self.reserved += admitted;
                effects.push(Effect::Admit(one.id, admitted));
                return false;
            }
            let is_spent = self.is_spent(one.need);
            if is_spent {
                effects.push(Effect::Refuse(one.id, Refusal::Spent));
            }
            !is_spent
        });
        self.waiting = waiting;
    }

    /// What was not answered in time is asked anew.
    fn forget_unanswered(&mut self, now: Instant) {
        self.asked = self.asked.filter(|asked| now < asked.at + ANSWER_WITHIN);
    }

    /// Refuses who has waited long enough, and who has no place in the queue, or gives him what there is: not while the answer
    /// may be under way, to somebody who would wait for no longer.
    fn refuse_late(&mut self, effects: &mut Vec<Effect>, now: Instant) {
        let grace = self.grace();
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut before = 0;
        waiting.retain(|one| {
            let has_place = before < one.queue || !grace.is_zero();
            if has_place && now < one.until + grace {
                before += 1;
                return true;
            }
            let usable = self.usable();
            if one.need <= usable {
                let admitted = one.want.min(usable);
                self.reserved += admitted;
                effects.push(Effect::Admit(one.id, admitted));
            } else {
                // An account that does not grant yet has not said what others have.
                let refusal = match self.had_by_others {
                    Some(_) => Refusal::Held,
                    None => Refusal::Lost,
                };
                effects.push(Effect::Refuse(one.id, refusal));
            }
            false
        });
        self.waiting = waiting;
    }

    fn grace(&self) -> Duration {
        match self.asked.is_some() || self.noting.is_some() {
            true => ANSWER_WITHIN,
            false => Duration::ZERO,
        }
    }

    /// Asks the account for what is lacking, or gives it what lies idle.
    fn ask(&mut self, now: Instant) -> Option<Effect> {
        if self.is_closed || self.asked.is_some() || self.ask_again.is_some_and(|again| now < again)
        {
            return None;
        }
        let spare = self.spare(now);
        // What is granted and not noted yet is there soon.
        let free = match self.had_by_others {
            Some(_) => self.granted.min(self.ceiling()) - self.used(),
            None => Usd::ZERO,
        };
        let wanted: Usd = self.waiting.iter().map(|one| one.want).sum();
        let least = self.waiting.iter().map(|one| one.need).min();
        let is_idle = self.waiting.is_empty() && free > spare + spare;
        let has_spare = free >= half(spare) || self.ask_for_spare.is_some_and(|again| now < again);
        if wanted <= free && has_spare && !is_idle {
            return None;
        }
        if is_idle {
            self.granted = whole(self.used() + spare);
        }
        let lacking = |amount: Usd| (amount - free).max(Usd::ZERO);
        let need = lacking(least.unwrap_or_default());
        let spare = if is_idle { Usd::ZERO } else { lacking(spare) };
        let message = self.message(need, lacking(wanted), spare, !is_idle, now);
        Some(Effect::Ask(message))
    }

    /// What it holds for requests to come: nothing of a budget that nobody has used of late, so that a crash loses nothing of it,
    /// or that others lack.
    fn spare(&self, now: Instant) -> Usd {
        let is_used = self.last_used.is_some_and(|used| now < used + IN_USE);
        let is_lean = self.lean_until.is_some_and(|until| now < until);
        match is_used && !is_lean {
            true => self.spare_part(),
            false => Usd::ZERO,
        }
    }

    /// Whole, so that the account can grant exactly that.
    fn spare_part(&self) -> Usd {
        Usd::from_nano(self.limit.nano_rounded_down() / self.spare_part)
    }

    /// A message to the account.
    fn message(
        &mut self,
        need: Usd,
        want: Usd,
        spare: Usd,
        is_for_more: bool,
        now: Instant,
    ) -> Ask {
        // A limit that was lowered is kept as what was reserved comes back. And where a provider has charged more than it
        // could, the account hears of that, too.
        let ceiling = self.had_by_others.map(|_| self.ceiling());
        self.granted = ceiling.map_or(self.granted, |ceiling| self.granted.min(whole(ceiling)));
        self.granted = self.granted.max(self.used());
        self.quiet = None;
        self.seq += 1;
        let settled = self.settled.nano_rounded_up();
        let ask = Ask {
            replica: self.replica.clone(),
            seq: self.seq,
            limit: self.limit.nano_rounded_down(),
            settled,
            // What is granted is whole, unless it is what was spent and is reserved: then a little more is told than is used.
            held: self.granted.nano_rounded_up().saturating_sub(settled),
            need: need.nano_rounded_up(),
            want: want.nano_rounded_up(),
            spare: spare.nano_rounded_up(),
        };
        self.asked = Some(Asked {
            seq: ask.seq,
            settled: Usd::from_nano(ask.settled),
            held: Usd::from_nano(ask.held),
            want: ask.want,
            is_for_more,
            at: now,
        });
        self.ask_again = None;
        ask
    }

    /// Has noted what was granted, before it is used; and, when there is much less to note than was, that.
    fn note(&mut self) -> Option<Effect> {
        if self.noting.is_some() {
            return None;
        }
        let is_more = self.granted > self.noted;
        let is_much_less = match self.is_closed {
            // The last note says what was spent, too, also where it is for as much as the one before.
            true => self.granted < self.noted || self.last_used.take().is_some(),
            false => self.granted + self.spare_part() < self.noted,
        };
        if !(is_more || is_much_less) {
            return None;
        }
        self.noting = Some(self.granted);
        self.noted = self.noted.min(self.granted);
        Some(Effect::Note(self.granted))
    }
}

/// What the account can grant of an amount: whole nano-dollars. To round it up would be to grant oneself what is missing.
fn whole(amount: Usd) -> Usd {
    Usd::from_nano(amount.nano_rounded_down())
}

fn half(amount: Usd) -> Usd {
    Usd::from_pico(amount.pico() / 2)
}
