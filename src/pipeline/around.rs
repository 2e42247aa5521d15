//! What a request's course goes by: how its targets fare, and what it costs there.

use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::bill::Bill;
use crate::dialect::{Tier, Usage};
use crate::route::health::{Health, Readings, Standing};
use crate::route::pick::Pick;
use crate::route::{Start, Surroundings};
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
            ..
        } = self.0;
        let mut steps = model.steps.iter();
        let usual = match model.steps.iter().any(|step| step.start_at.is_some()) {
            true => {
                let forecast = snapshot.forecast(model);
                let (tokens, _) = forecast.parts(incoming.body().len(), None);
                model.first_step(tokens)
            }
            false => 0,
        };
        Start {
            step: self.0.start_at.unwrap_or(usual),
            is_thrifty: self.0.is_thrifty,
            conversation: match steps.any(|step| step.pick == Pick::Sticky) {
                true => incoming.conversation(),
                false => 0,
            },
        }
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
        let forecast = snapshot.forecast(model);
        let (input_tokens, output_tokens) = forecast.parts(incoming.body().len(), None);
        let usage = Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        };
        Some(bill.price(&usage, Tier::Standard)?.cost.usd())
    }
}
