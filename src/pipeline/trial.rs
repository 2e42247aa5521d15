//! One call to one target, from when it is let through until it is settled.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::bill::{Bill, Charge};
use super::fare::Fare;
use super::settle::Evidence;
use crate::dialect::{Incoming, Tier, Usage};
use crate::route::Target;
use crate::route::health::{Ended, Entered};
use crate::spend::prices::Tariff;

/// What is known of an attempt that is under way.
pub struct Trial {
    /// Which of its request's it is, from 1.
    pub number: u32,
    /// What is asked.
    pub incoming: Arc<Incoming>,
    /// Who is asked.
    pub place: Place,
    /// What it is billed by.
    pub bill: Bill,
    /// What came of it.
    pub charge: Charge,
    /// What the last step of its chain charges, if it is of an earlier one.
    pub last_step: Option<Arc<Tariff>>,
    /// What is known of an answer whose provider does not say what it used.
    pub evidence: Option<Box<Evidence>>,
    /// What it was let through with.
    pub fare: Fare,
    /// Its place among the calls of its target.
    pub entered: Entered,
}

/// Who is asked by an attempt.
#[derive(Clone, Debug)]
pub struct Place {
    /// The model's place in the configuration: that of the request, or one that judges its answers.
    pub model: usize,
    /// Where the target stands among the model's.
    pub spot: usize,
    /// The target's name.
    pub target: Arc<str>,
}

/// How an attempt ended: in a word for `x-tollgate-route`, and with a status for the ledger.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// `ok`, `refusal`, `503`, `timeout`, …
    pub word: Cow<'static, str>,
    /// An HTTP status.
    pub status: u16,
}

/// What the last step charges of the chain that a spot is in, if that is of an earlier one.
fn last_step(asked: &Asked<'_>, spot: usize) -> Option<Arc<Tariff>> {
    let (last, earlier) = asked.model.steps.split_last()?;
    let first = last.spots.start;
    let is_earlier = !earlier.is_empty() && spot < first;
    is_earlier.then(|| asked.target(first).tariff(&asked.snapshot.prices))?
}

impl Verdict {
    /// Of an answer that came as it should.
    pub fn of_answer(word: &'static str) -> Self {
        Self {
            word: word.into(),
            status: 200,
        }
    }
}

impl Trial {
    /// A call that is about to be made.
    pub fn new(
        asked: &Asked<'_>,
        target: &Target,
        bill: Bill,
        mut fare: Fare,
        entered: Entered,
    ) -> Self {
        fare.spend();
        Self {
            number: 0,
            incoming: asked.incoming.clone(),
            place: Place {
                model: asked.model.index,
                spot: target.spot,
                target: target.name.clone(),
            },
            last_step: last_step(asked, target.spot),
            bill,
            charge: Charge::Open,
            evidence: None,
            fare,
            entered,
        }
    }

    /// The provider said what it used.
    pub fn used(&mut self, usage: Usage, tier: Tier) {
        let priced = self.bill.price(&usage, tier);
        self.charge = Charge::Reported(usage, priced);
    }

    /// The beginning of a stream has come.
    pub fn first_token(&mut self) {
        self.entered.first_token(Instant::now());
    }

    /// Nothing more comes of it, well or not.
    pub fn ended(&mut self, ended: Ended) {
        self.entered.ended(ended, Instant::now());
    }

    /// It cost nothing: it was refused, or never got there.
    pub fn free(&mut self) {
        self.charge = Charge::Free;
    }
}
