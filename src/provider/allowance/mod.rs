//! What a provider still takes of us, by its own account: the limits that its answers tell of, less what was sent since.
//!
//! A pure state machine: what is asked, sent and heard goes in with its time, and nothing waits. It errs on the open side.
//! What is unknown, or was said too long ago, refuses nobody: the next answer will tell.

mod standing;
mod table;
#[cfg(test)]
mod tests;
mod told;

pub use table::Allowances;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use standing::Standing;
use told::{Reset, Told};

/// How long an answer is believed at the most. Limits are raised, and others who use the same account stop: whoever is told to
/// wait for a day is asked again after a minute.
pub const BELIEVED_MAX: Duration = Duration::from_secs(60);

/// What limits are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens, input and output together.
    Tokens,
    /// Tokens of input.
    InputTokens,
    /// Tokens of output.
    OutputTokens,
}

/// How many units there are.
pub const UNITS: usize = 4;

/// So much in each of the units, by their places.
pub type Amounts = [u64; UNITS];

/// What one model of a provider takes.
#[derive(Debug, Default)]
pub struct Allowance {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many requests were let through; each has its number from here.
    number: u64,
    /// What they were foretold to use.
    sent: Amounts,
    standings: [Option<Standing>; UNITS],
    closed: Option<Closed>,
    /// The newest request that was answered well.
    answered: u64,
}

/// The provider has refused a request, and said when it takes others.
#[derive(Clone, Copy, Debug)]
struct Closed {
    status: StatusCode,
    until: Instant,
    number: u64,
}

/// What a request has taken of an allowance. Dropped, it stays taken until an answer tells what is left.
#[derive(Debug)]
pub struct Taken {
    allowance: Arc<Allowance>,
    amounts: Amounts,
    /// What had been sent with it and before it.
    marks: Amounts,
    number: u64,
    at: Instant,
    is_given_back: AtomicBool,
}

/// Why nothing is sent at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the provider would say.
    pub status: StatusCode,
    /// The limit of which nothing is left, and how much it is, if that is known; None where the provider has said no more than
    /// when to come again.
    pub limit: Option<(Unit, Option<u64>)>,
    /// When it is asked again.
    pub retry_after: Duration,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of what it is.
    pub unit: Unit,
    /// All of it, if that is known.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: u64,
}

// === impl Allowance ===

impl Allowance {
    /// Takes what a request will use, unless nothing is left. A request that is larger than what is left is sent: how large it
    /// is for the provider, only the provider knows.
    ///
    /// # Errors
    /// Nothing is left, by what the provider said.
    pub fn take(self: &Arc<Self>, amounts: Amounts, now: Instant) -> Result<Taken, Refused> {
        let mut state = self.state.lock();
        state.forget(now);
        if let Some(refused) = state.refusal(now) {
            return Err(refused);
        }
        state.number += 1;
        for (sent, amount) in state.sent.iter_mut().zip(amounts) {
            *sent = sent.saturating_add(amount);
        }
        Ok(Taken {
            allowance: self.clone(),
            amounts,
            marks: state.sent,
            number: state.number,
            at: now,
            is_given_back: AtomicBool::new(false),
        })
    }

    /// How the limits stand that are known.
    pub fn left(&self, now: Instant) -> impl Iterator<Item = Left> + use<> {
        let mut state = self.state.lock();
        state.forget(now);
        let left = UNIT_LIST.map(|unit| {
            let standing = state.standings[unit as usize]?;
            Some(Left {
                unit,
                limit: standing.limit,
                remaining: standing.left(state.sent[unit as usize], now),
            })
        });
        left.into_iter().flatten()
    }
}

// === impl Taken ===

impl Taken {
    /// The head of the answer has come.
    pub fn hear(&self, status: StatusCode, fields: &HeaderMap) {
        let now = Instant::now();
        self.learn(status, &Told::read(status, fields, now, Utc::now()), now);
    }

    /// The answer says so.
    fn learn(&self, status: StatusCode, told: &Told, now: Instant) {
        let mut state = self.allowance.state.lock();
        let newest = state.number;
        let news = told.quotas.iter().zip(&mut state.standings).zip(self.marks);
        for ((quota, standing), mark) in news {
            let Some(quota) = quota else { continue };
            let new = Standing {
                limit: quota.limit,
                remaining: quota.remaining,
                since: self.at,
                reset: match quota.reset {
                    Reset::After(delay) => self.at + delay,
                    Reset::At(time) => time,
                },
                is_steady: quota.is_steady,
                mark,
                number: self.number,
                heard: newest,
            };
            *standing = Some(match *standing {
                Some(known) => known.and(new),
                None => new,
            });
        }
        state.judge(self.number, status, told.retry_after, now);
        if told::is_refusal(status) {
            self.give_back_to(&mut state);
        }
    }

    /// It has never left, so the provider does not count it.
    pub fn give_back(&self) {
        self.give_back_to(&mut self.allowance.state.lock());
    }

    /// It counts no longer, neither as sent nor as what an answer has told of already.
    fn give_back_to(&self, state: &mut State) {
        if self.is_given_back.swap(true, Ordering::Relaxed) {
            return;
        }
        let counts = state.sent.iter_mut().zip(&mut state.standings);
        for ((sent, standing), amount) in counts.zip(self.amounts) {
            *sent = sent.saturating_sub(amount);
            if let Some(standing) = standing
                && standing.number >= self.number
            {
                standing.mark = standing.mark.saturating_sub(amount);
            }
        }
    }
}

// === impl State ===

impl State {
    /// Forgets what is over, or was said too long ago.
    fn forget(&mut self, now: Instant) {
        self.closed.take_if(|closed| closed.until <= now);
        for standing in &mut self.standings {
            standing.take_if(|standing| standing.end() <= now);
        }
    }

    /// Why nothing is sent now: what lasts longest.
    fn refusal(&self, now: Instant) -> Option<Refused> {
        let closed = self.closed.map(|closed| Refused {
            status: closed.status,
            limit: None,
            retry_after: closed.until - now,
        });
        let used_up = UNIT_LIST.into_iter().filter_map(|unit| {
            let standing = self.standings[unit as usize]?;
            let room = standing.room(self.sent[unit as usize], now)?;
            Some(Refused {
                status: StatusCode::TOO_MANY_REQUESTS,
                limit: Some((unit, standing.limit)),
                retry_after: room - now,
            })
        });
        used_up
            .chain(closed)
            .max_by_key(|refused| refused.retry_after)
    }

    /// Closes where the provider said when to come again, and opens where it has answered a later request.
    fn judge(
        &mut self,
        number: u64,
        status: StatusCode,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        if status.is_success() {
            self.answered = self.answered.max(number);
            self.closed.take_if(|closed| closed.number < number);
        }
        let is_news =
            number > self.answered && self.closed.is_none_or(|closed| closed.number <= number);
        if let Some(delay) = retry_after
            && is_news
        {
            self.closed = Some(Closed {
                status,
                until: now + delay.min(BELIEVED_MAX),
                number,
            });
        }
    }
}

// === impl Refused ===

impl Refused {
    /// Why, for the caller.
    pub fn message(&self, provider: &str, model: &str) -> String {
        let delay = self.retry_after.as_secs_f64();
        match self.limit {
            Some((unit, limit)) => {
                let unit = unit.words();
                let limit = match limit {
                    Some(limit) => format!("{limit} {unit}"),
                    None => unit.to_owned(),
                };
                format!(
                    "the provider `{provider}` says that it has a limit of {limit} for `{model}`, and that none are left; there is room in {delay:.3}s"
                )
            }
            None => {
                let status = self.status.as_u16();
                format!(
                    "the provider `{provider}` answered a request for `{model}` with status {status}, and said when to come again; it is asked again in {delay:.3}s"
                )
            }
        }
    }
}

// === impl Unit ===

/// Every unit, in the order of their places.
const UNIT_LIST: [Unit; UNITS] = [
    Unit::Requests,
    Unit::Tokens,
    Unit::InputTokens,
    Unit::OutputTokens,
];

impl Unit {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
        }
    }
}
