//! What a request's course goes by: how its targets fare, and what it costs there.

use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::bill::Bill;
use crate::access::limits::Forecast;
use crate::dialect::{Incoming, Tier, Usage};
use crate::route::health::{Health, Readings, Standing};
use crate::route::pick::Pick;
use crate::route::{Model, Surroundings};
use crate::spend::Usd;

/// The targets of a request's model.
pub struct Around<'a>(pub &'a Asked<'a>);

impl Around<'_> {
    /// A hash of what is the same in all of the conversation, where that is gone by.
    pub fn conversation(&self) -> u64 {
        conversation(self.0.model, self.0.incoming)
    }

    fn ask<T>(&self, spot: usize, ask: impl FnOnce(&Arc<Health>) -> T) -> T {
        let Asked {
            model,
            star,
            snapshot,
            ..
        } = self.0;
        model.health(spot, star, &snapshot.wards, ask)
    }
}

impl Surroundings for Around<'_> {
    fn standing(&self, spot: usize) -> Standing {
        let settings = self.0.model.spots[spot].health.as_ref();
        self.ask(spot, |health| health.look(settings, Instant::now()))
    }

    fn readings(&self, spot: usize) -> Readings {
        self.ask(spot, |health| health.readings(Instant::now()))
    }

    /// What a request such as this one usually costs.
    fn price(&self, spot: usize) -> Option<Usd> {
        let Asked {
            snapshot,
            model,
            incoming,
            ..
        } = self.0;
        let bill = Bill::new(&snapshot.prices, &self.0.target(spot));
        usual_price(&bill, snapshot.forecast(model), incoming)
    }
}

/// A hash of what is the same in all of a request's conversation, where that is gone by.
pub(super) fn conversation(model: &Model, incoming: &Incoming) -> u64 {
    let mut steps = model.steps.iter();
    match steps.any(|step| step.pick == Pick::Sticky) {
        true => incoming.conversation(),
        false => 0,
    }
}

/// What a request such as this one usually costs.
pub(super) fn usual_price(bill: &Bill, forecast: &Forecast, incoming: &Incoming) -> Option<Usd> {
    let (input_tokens, output_tokens) = forecast.parts(incoming.body().len(), None);
    let usage = Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    };
    Some(bill.price(&usage, Tier::Standard)?.cost.usd())
}
