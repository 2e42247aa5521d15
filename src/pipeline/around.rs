//! What a request's course goes by: how its targets fare, and what it costs there.

use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::bill::Bill;
use crate::access::limits::Forecast;
use crate::dialect::{Incoming, Tier, Usage};
use crate::route::health::{Health, Readings, Standing};
use crate::route::pick::Pick;
use crate::route::{Model, Start, Surroundings};
use crate::spend::Usd;

/// The targets of a request's model.
pub struct Around<'a>(pub &'a Asked<'a>);

impl Around<'_> {
    /// Where the request's course begins.
    pub fn start(&self) -> Start {
        let Asked {
            model,
            incoming,
            snapshot,
            start_at,
            is_thrifty,
            ..
        } = self.0;
        let forecast = snapshot.forecast(model);
        let step = start_at.unwrap_or_else(|| usual_step(model, incoming, forecast));
        start(model, incoming, step, *is_thrifty)
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

/// The step at which a request begins of which nobody says more.
pub(super) fn usual_step(model: &Model, incoming: &Incoming, forecast: &Forecast) -> usize {
    match model.steps.iter().any(|step| step.start_at.is_some()) {
        true => model.first_step(forecast.parts(incoming.body().len(), None).0),
        false => 0,
    }
}

/// Where the course of a request begins that is to begin at a step, or at the cheapest of all targets.
pub(super) fn start(model: &Model, incoming: &Incoming, step: usize, is_thrifty: bool) -> Start {
    let first = match is_thrifty {
        true => 0,
        false => model.steps[step].spots.start,
    };
    let unable = model.unable(first, incoming).into_iter();
    let is_sticky = model.steps.iter().any(|step| step.pick == Pick::Sticky);
    Start {
        step,
        is_thrifty,
        conversation: match is_sticky {
            true => incoming.conversation(),
            false => 0,
        },
        unable: unable.fold(0, |spots, (spot, _)| spots | 1 << spot),
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
