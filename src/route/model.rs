//! A name that applications ask for, and the targets behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use super::gates::{Gates, Hold};
use super::health::{Health, HealthSettings, Wards};
use super::hedge::Hedge;
use super::matched;
use super::pick::Pick;
use super::retry::Retry;
use crate::config::Document;
use crate::config::limits::Limits;
use crate::dialect::{Dialect, Needs, Tier, Usage};
use crate::provider::{Allowance, Provider, Timeouts};
use crate::spend::prices::{Place, Prices, Tariff};
use crate::telemetry::AllowedState;

/// The most targets of one model, over all of its steps; with each key of its provider a target is another one.
pub const SPOTS_MAX: usize = 64;

/// A name, or a pattern of names, and where it leads.
pub struct Model {
    /// As it stands in the configuration: bounded, so it may be a metric's label.
    pub name: Arc<str>,
    /// Its place among the models.
    pub index: usize,
    /// How long an answer may take, all calls for it together.
    pub total: Duration,
    /// Whether a field that the target cannot carry is an error.
    pub strict: bool,
    /// How much it may be asked for.
    pub limits: Limits,
    /// The longest answer of each choice, in tokens.
    pub max_output_tokens: Option<u64>,
    /// When a second target is asked beside the first.
    pub hedge: Option<Hedge>,
    /// Whether another target goes on with a stream that breaks.
    pub continues: bool,
    /// What is tried in order, cheapest first; at least one.
    pub steps: Vec<Step>,
    /// Every place that may answer, in the order of the steps; at least one.
    pub spots: Vec<Spot>,
}

/// One step of a model: targets that are as good as each other.
pub struct Step {
    /// Where its targets stand among the model's.
    pub spots: std::ops::Range<usize>,
    /// How one of several is picked.
    pub pick: Pick,
    /// Requests with so many tokens begin here.
    pub start_at: Option<u64>,
    /// What sends a request on to the next step; never of the last.
    pub gates: Option<Gates>,
    /// How much of a stream is held back until they have judged it.
    pub hold: Hold,
}

/// A place in a model where a request may go: a target, with one of its provider's keys.
pub struct Spot {
    /// Its target as it stands in the configuration: bounded, too.
    pub target: Arc<str>,
    /// Its share of what its step is asked.
    pub weight: u32,
    /// A hash of its name.
    pub id: u64,
    /// How long a call may take.
    pub timeouts: Timeouts,
    /// How it is called again.
    pub retry: Retry,
    /// When it is left alone; None for never.
    pub health: Option<HealthSettings>,
    /// The most tokens that a request and its answer can have there, where that is published.
    pub window: Option<u64>,
    /// What a request may need that it lacks, by the caller's dialect: what it cannot do, and what does not reach it.
    pub(super) lacks: [Needs; Dialect::ALL.len()],
    pub(super) provider: Arc<Provider>,
    /// Of the provider, see [`Provider::fingerprint`].
    pub(super) fingerprint: [u8; 32],
    /// How it fares, if it is the only one.
    pub(super) ward: Option<Arc<Health>>,
    /// The provider's name for the model, with a `*` where the name's `*` goes.
    pub(super) upstream_name: String,
    /// What the provider takes for it, if it is the only one.
    pub(super) allowance: Option<Arc<Allowance>>,
}

/// One model at one provider.
pub struct Target {
    /// Where it stands among its model's.
    pub spot: usize,
    /// `provider/model-name`
    pub name: Arc<str>,
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model's name there.
    pub model: String,
    /// How it fares.
    pub health: Arc<Health>,
}

impl Model {
    /// What the provider takes for one of its targets by its own account; None where that is not gone by.
    pub fn allowance(&self, target: &Target) -> Option<Arc<Allowance>> {
        let only = self.spots[target.spot].allowance.clone();
        only.or_else(|| target.provider.allowance(&target.model))
    }

    /// How the limits stand that providers have told of, of targets that are but one model each.
    pub fn allowed(&self, now: Instant) -> impl Iterator<Item = AllowedState> {
        self.spots.iter().flat_map(move |spot| spot.allowed(now))
    }

    /// The step at which a request with so many tokens begins.
    pub fn first_step(&self, prompt_tokens: u64) -> usize {
        let begins_here = |step: &Step| step.start_at.is_some_and(|tokens| prompt_tokens >= tokens);
        self.steps.iter().rposition(begins_here).unwrap_or(0)
    }

    /// Warns of a step that costs more than the one behind it, where prices are known of both.
    pub fn warn_of_order(&self, prices: &Prices, wards: &Wards, document: &mut Document) {
        let cheapest = |step: &Step| {
            let targets = step.spots.clone().map(|spot| self.target(spot, "", wards));
            let costs = targets.map(|target| {
                let usual = Usage {
                    input_tokens: 1_000,
                    output_tokens: 500,
                    ..Usage::default()
                };
                let priced = target
                    .tariff(prices)?
                    .price(&usual, Tier::Standard, Utc::now())?;
                Some(priced.cost.usd())
            });
            costs.min().flatten()
        };
        let costs: Vec<_> = self.steps.iter().map(cheapest).collect();
        for (at, pair) in costs.windows(2).enumerate() {
            if let [Some(cost), Some(next)] = pair
                && cost > next
            {
                let place = ["models", &self.name, "chain", &at.to_string()];
                let message = format!(
                    "this step costs more than the next one ({cost} USD for 1000 tokens in and 500 out, and {next})"
                );
                document
                    .warning(&place, message)
                    .help("the cheapest step comes first: what it answers well never goes on");
            }
        }
    }

    /// Warns of a model whose broken streams nobody goes on with.
    pub fn warn_of_breaking(&self, wards: &Wards, document: &mut Document) {
        let goes_on = |spot: usize| {
            let target = self.target(spot, "", wards);
            target.provider.goes_on(Dialect::Chat, &target.model)
        };
        let first = &self.spots[0];
        let is_repeated = first.retry.attempts > 1 && goes_on(0);
        let others = (1..self.spots.len()).filter(|spot| self.spots[*spot].target != first.target);
        let is_known = self.spots.iter().all(|spot| spot.ward.is_some());
        if !self.continues || !is_known || is_repeated || others.clone().any(goes_on) {
            return;
        }
        let mut names: Vec<_> = others
            .map(|spot| format!("`{}`", self.spots[spot].target))
            .collect();
        names.dedup();
        let message = match names.is_empty() {
            true => "nobody goes on with a stream that breaks: there is no other target".to_owned(),
            false => format!(
                "nobody goes on with a stream that breaks: {} cannot take the beginning of an answer",
                names.join(", ")
            ),
        };
        document
            .warning(&["models", &self.name, "continue"], message)
            .help("docs/reliability.md lists who can; a server of your own is told by `prefill: true` of its provider");
    }

    /// The step of the target at a spot.
    pub fn step_of(&self, spot: usize) -> &Step {
        let before = self.steps.partition_point(|step| step.spots.end <= spot);
        &self.steps[before]
    }

    /// Whether any step's answers are judged.
    pub fn has_gates(&self) -> bool {
        self.steps.iter().any(|step| step.gates.is_some())
    }

    /// How each of its targets fares, and whether the configuration names it; of a pattern's those that have been asked for.
    pub fn healths(&self, wards: &Wards) -> Vec<(bool, Arc<Health>)> {
        let healths = self.spots.iter().flat_map(|spot| match &spot.ward {
            Some(ward) => vec![(true, ward.clone())],
            None => {
                let mut known = wards.known(&spot.provider.name, spot.fingerprint);
                known.retain(|health| matched(&spot.target, &health.name()).is_some());
                known.into_iter().map(|health| (false, health)).collect()
            }
        });
        healths.collect()
    }

    /// How the target at a spot fares.
    pub fn health<T>(
        &self,
        spot: usize,
        star: &str,
        wards: &Wards,
        ask: impl FnOnce(&Arc<Health>) -> T,
    ) -> T {
        let spot = &self.spots[spot];
        match &spot.ward {
            Some(ward) => ask(ward),
            None => {
                let model = spot.upstream_name.replacen('*', star, 1);
                ask(&wards.of(&spot.provider.name, spot.fingerprint, &model))
            }
        }
    }

    /// The target at a spot, `star` being what the `*` of the model's name stands for.
    pub fn target(&self, spot: usize, star: &str, wards: &Wards) -> Target {
        let Spot {
            target,
            provider,
            upstream_name,
            fingerprint,
            ward,
            ..
        } = &self.spots[spot];
        let model = upstream_name.replacen('*', star, 1);
        Target {
            spot,
            name: match model == *upstream_name {
                true => target.clone(),
                false => [&provider.name, "/", &model].concat().into(),
            },
            provider: provider.clone(),
            health: match ward {
                Some(ward) => ward.clone(),
                None => wards.of(&provider.name, *fingerprint, &model),
            },
            model,
        }
    }
}

impl Target {
    /// What it charges; None where nobody says.
    pub fn tariff(&self, prices: &Prices) -> Option<Arc<Tariff>> {
        let provider = &self.provider;
        prices.of(&Place {
            provider: &provider.name,
            address: &provider.address,
            house: provider.house(),
            is_own: provider.is_own,
            model: &self.model,
        })
    }
}

impl Spot {
    fn allowed(&self, now: Instant) -> impl Iterator<Item = AllowedState> {
        let left = self
            .allowance
            .iter()
            .flat_map(move |allowance| allowance.left(now));
        left.map(|left| AllowedState {
            provider: self.provider.name.clone(),
            model: self.upstream_name.clone(),
            unit: left.unit.name(),
            limit: left.limit,
            remaining: left.remaining,
        })
    }
}
