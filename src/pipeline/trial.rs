//! One call to one target, from when it is let through until it is settled.

use std::borrow::Cow;
use std::sync::Arc;

use super::bill::{Bill, Charge};
use super::fare::Fare;
use super::settle::Evidence;
use crate::dialect::{Tier, Usage};
use crate::route::Target;

/// What is known of an attempt that is under way.
pub struct Trial {
    /// Which of its request's it is, from 1.
    pub number: u32,
    /// Who is asked.
    pub target: Arc<str>,
    /// Where that stands among its model's targets.
    pub spot: usize,
    /// What it is billed by.
    pub bill: Bill,
    /// What came of it.
    pub charge: Charge,
    /// What is known of an answer whose provider does not say what it used.
    pub evidence: Option<Box<Evidence>>,
    /// What it was let through with.
    pub fare: Fare,
}

/// How an attempt ended: in a word for `x-tollgate-route`, and with a status for the ledger.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// `ok`, `refusal`, `503`, `timeout`, …
    pub word: Cow<'static, str>,
    /// An HTTP status.
    pub status: u16,
}

impl Trial {
    /// A call that is about to be made.
    pub fn new(target: &Target, bill: Bill, mut fare: Fare) -> Self {
        fare.spend();
        Self {
            number: 0,
            target: target.name.clone(),
            spot: target.spot,
            bill,
            charge: Charge::Open,
            evidence: None,
            fare,
        }
    }

    /// The provider said what it used.
    pub fn used(&mut self, usage: Usage, tier: Tier) {
        let priced = self.bill.price(&usage, tier);
        self.charge = Charge::Reported(usage, priced);
    }

    /// It cost nothing: it was refused, or never got there.
    pub fn free(&mut self) {
        self.charge = Charge::Free;
    }
}
