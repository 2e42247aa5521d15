//! A name that applications ask for, and the targets behind it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use super::gates::{Gates, Hold};
use super::health::{Health, HealthSettings, Wards};
use super::hedge::Hedge;
use super::pick::{self, Pick};
use super::retry::Retry;
use super::section::{DefaultsSection, HoldWord, MemberSection, ModelSection, StepSection};
use super::{Providers, matched};
use crate::config::limits::Limits;
use crate::config::{Document, ScalarOr, nearest};
use crate::dialect::{Dialect, Tier, Usage};
use crate::provider::{Allowance, Provider, Timeouts};
use crate::spend;
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
    provider: Arc<Provider>,
    /// Of the provider, see [`Provider::fingerprint`].
    fingerprint: [u8; 32],
    /// How it fares, if it is the only one.
    ward: Option<Arc<Health>>,
    /// The provider's name for the model, with a `*` where the name's `*` goes.
    upstream_name: String,
    /// What the provider takes for it, if it is the only one.
    allowance: Option<Arc<Allowance>>,
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

/// What a model's section is read with.
pub(super) struct Reader<'a> {
    pub wards: &'a Wards,
    pub defaults: &'a DefaultsSection,
    pub providers: &'a Providers<'a>,
    pub document: &'a mut Document,
    /// The model's name, and what it says itself.
    pub name: &'a str,
    pub section: &'a ModelSection,
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

// === impl Reader ===

impl Reader<'_> {
    /// The model; None where it has a mistake.
    pub fn model(mut self, index: usize) -> Option<Model> {
        let (name, section) = (self.name, self.section);
        let limits = ["models", name, "limits"];
        let limits = Limits::resolve(section.limits.as_ref(), &limits, self.document);
        if stars(name) > 1 {
            self.document
                .error_at_key(&["models", name], "a name may hold one `*`")
                .help("one is enough: `gpt-*` stands for all that begins so");
            return None;
        }
        let (steps, spots) = self.steps()?;
        let longest = spots.iter().map(|spot| spot.timeouts.total).max();
        Some(Model {
            name: name.into(),
            index,
            total: longest.unwrap_or_default(),
            strict: section.strict,
            limits,
            max_output_tokens: section.max_output_tokens.map(NonZeroU64::get),
            hedge: self.hedge(&steps),
            continues: section.r#continue,
            steps,
            spots,
        })
    }

    fn steps(&mut self) -> Option<(Vec<Step>, Vec<Spot>)> {
        let (name, section) = (self.name, self.section);
        let path = ["models", name];
        let ways = ["target", "any_of", "chain"];
        let said: Vec<_> = ways
            .into_iter()
            .filter(|way| self.document.has(&["models", name, way]))
            .collect();
        if let [first, second, ..] = said[..] {
            self.document
                .error(
                    &["models", name, second],
                    format!("the model `{name}` has a `{first}` already"),
                )
                .help("a model leads to one `target`, to `any_of` several, or through a `chain`");
            return None;
        }
        let (mut steps, mut spots) = (Vec::new(), Vec::new());
        match &section.chain {
            Some(chain) => {
                if chain.is_empty() {
                    self.document
                        .error(&["models", name, "chain"], "a chain has a step or more");
                }
                for (at, said) in chain.iter().enumerate() {
                    let at = at.to_string();
                    let path = ["models", name, "chain", &at];
                    let members = self.members(&path, said.target.as_deref(), &said.any_of);
                    let first = spots.len();
                    spots.extend(members?);
                    let gates = self.gates(&path, said, chain.len());
                    steps.push(Step {
                        spots: first..spots.len(),
                        pick: said.pick.unwrap_or_default(),
                        start_at: said.start_at.map(|start| start.prompt_tokens.get()),
                        hold: self.hold(&path, said, gates.as_ref()),
                        gates,
                    });
                }
            }
            None => {
                let usual = (said.is_empty() && name.contains('*')).then_some(name);
                let target = section.target.as_deref().or(usual);
                let members = self.members(&path, target, &section.any_of);
                spots.extend(members?);
                steps.push(Step {
                    spots: 0..spots.len(),
                    pick: section.pick.unwrap_or_default(),
                    start_at: None,
                    gates: None,
                    hold: Hold::First(0),
                });
            }
        }
        if spots.len() > SPOTS_MAX {
            let message = format!("a model has at most {SPOTS_MAX} targets, one for each key");
            self.document.error_at_key(&path, message);
        }
        (!spots.is_empty() && spots.len() <= SPOTS_MAX).then_some((steps, spots))
    }

    /// When a second target is asked, where there is one.
    fn hedge(&mut self, steps: &[Step]) -> Option<Hedge> {
        let section = self.section.hedge.as_ref()?;
        let place = ["models", self.name, "hedge"];
        if steps.iter().all(|step| step.spots.len() == 1) {
            self.document
                .warning(&place, "there is no second target to ask")
                .help("name several in `any_of`");
        }
        Some(Hedge::resolve(section, &place, self.document))
    }

    /// The gates of the step that stands at `path`, one of so many.
    fn gates(&mut self, path: &[&str], said: &StepSection, steps: usize) -> Option<Gates> {
        let place = [path, &["escalate_when"]].concat();
        let gates = Gates::resolve(said.escalate_when.as_ref()?, &place, self.document)?;
        let is_last = path.last().is_some_and(|at| *at == (steps - 1).to_string());
        if is_last {
            self.document
                .warning(
                    &place,
                    "the last step's answer is the caller's, whatever it is",
                )
                .help("add a step behind it, or leave `escalate_when` out");
            return None;
        }
        Some(gates)
    }

    /// How much of a stream the step that stands at `path` holds back.
    fn hold(&mut self, path: &[&str], said: &StepSection, gates: Option<&Gates>) -> Hold {
        let Some(gates) = gates else {
            return Hold::First(0);
        };
        let (section, place) = match (&said.hold, &self.section.hold) {
            (Some(own), _) => (own, [path, &["hold"]].concat()),
            (None, Some(of_model)) => (of_model, vec!["models", self.name, "hold"]),
            (None, None) => return gates.hold(),
        };
        let hold = match section {
            ScalarOr::Scalar(HoldWord::None) => Hold::First(0),
            ScalarOr::Scalar(HoldWord::All) => Hold::All,
            ScalarOr::Collection(said) => Hold::First(said.first),
        };
        let undecided = gates.needing_more_than(hold);
        if !undecided.is_empty() {
            let names = undecided.iter().map(|name| format!("`{name}`"));
            let names = names.collect::<Vec<_>>().join(", ");
            let least = match gates.hold() {
                Hold::All => "`all`".to_owned(),
                Hold::First(tokens) => format!("`{{ first: {tokens} }}`"),
            };
            self.document
                .error(
                    &place,
                    format!("so little of a stream does not let {names} decide"),
                )
                .help(format!("the least is {least}, which is the default"));
        }
        hold
    }

    /// Each target that stands at `path`, with its weight.
    fn members(
        &mut self,
        path: &[&str],
        target: Option<&str>,
        any_of: &Option<Vec<ScalarOr<String, MemberSection>>>,
    ) -> Option<Vec<Spot>> {
        if let Some(target) = target {
            let has_own = self.document.has(&[path, &["target"]].concat());
            let place = match has_own {
                true => [path, &["target"]].concat(),
                false => path.to_vec(),
            };
            return self.spots(&place, target, 1);
        }
        let Some(any_of) = any_of else {
            // A field that could not be read is an error already.
            let mut ways = ["target", "any_of"].into_iter();
            if !ways.any(|way| self.document.has(&[path, &[way]].concat())) {
                let message = match path {
                    [_, name] => format!("the model `{name}` leads nowhere"),
                    _ => "this step leads nowhere".to_owned(),
                };
                self.document
                    .error_at_key(path, message)
                    .help("add `target: provider/model-name`");
            }
            return None;
        };
        let place = [path, &["any_of"]].concat();
        if any_of.is_empty() {
            self.document.error(&place, "`any_of` has a target or more");
        }
        let mut spots = Vec::new();
        for (at, member) in any_of.iter().enumerate() {
            let at = at.to_string();
            let mut place = [&place[..], &[&at]].concat();
            let (target, weight) = match member {
                ScalarOr::Scalar(target) => (target, 1),
                ScalarOr::Collection(member) => {
                    place.push("target");
                    (&member.target, member.weight)
                }
            };
            spots.push(self.spots(&place, target, weight));
        }
        let firsts = spots.iter().flatten().filter_map(|spots| spots.first());
        let names: Vec<_> = firsts.map(|spot| spot.target.clone()).collect();
        if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
            let index = at.to_string();
            self.document
                .error(
                    &[&place[..], &[&index]].concat(),
                    format!("the target `{}` is named twice", names[at]),
                )
                .help("`weight` says how often it is asked");
            return None;
        }
        let spots: Option<Vec<_>> = spots.into_iter().collect();
        Some(spots?.into_iter().flatten().collect())
    }

    /// The target that is named at `place`: a spot for each key of its provider.
    fn spots(&mut self, place: &[&str], target: &str, weight: u32) -> Option<Vec<Spot>> {
        let document = &mut *self.document;
        if stars(target) > stars(self.name) {
            document
                .error(place, "the target holds a `*`, but the name does not")
                .help("what the name's `*` stands for is put there");
            return None;
        }
        let Some((provider_name, upstream_name)) = target.split_once('/') else {
            document
                .error(place, format!("the target `{target}` names no model"))
                .help("it has the form provider/model-name");
            return None;
        };
        let Some(provider) = self.providers.by_name.get(provider_name) else {
            // A provider that is there but has a mistake of its own is no second mistake.
            if !document.has(&["providers", provider_name]) {
                let names = self.providers.names.iter().map(String::as_str);
                let help =
                    nearest(provider_name, names).map(|near| format!("did you mean `{near}`?"));
                let mistake =
                    document.error(place, format!("there is no provider `{provider_name}`"));
                mistake.help(help.unwrap_or_else(|| "`providers` lists them".to_owned()));
            }
            return None;
        };
        let timeouts = [
            &self.section.timeout,
            &provider.timeout,
            &self.defaults.timeout,
        ];
        let (section, defaults, share) = (self.section, self.defaults, provider.share());
        let retry = [&section.retry, &provider.retry, &defaults.retry];
        let health = [&section.health, &provider.health, &defaults.health];
        let is_one = !upstream_name.contains('*');
        let spot = |provider: &Arc<Provider>| {
            let fingerprint = provider.fingerprint();
            let id = match provider.key {
                // Its conversations stay where they are when keys are added.
                None | Some(1) => pick::hash(target.as_bytes()),
                Some(_) => pick::hash(&[target.as_bytes(), &fingerprint].concat()),
            };
            let ward = || self.wards.of(provider_name, fingerprint, upstream_name);
            Spot {
                target: target.into(),
                weight: weight.saturating_mul(share),
                id,
                timeouts: Timeouts::resolve(timeouts),
                retry: Retry::resolve(retry.map(Option::as_ref)),
                health: HealthSettings::resolve(health.map(Option::as_ref)),
                window: spend::Limits::of(upstream_name).and_then(|limits| limits.window),
                provider: provider.clone(),
                ward: is_one.then(ward),
                fingerprint,
                upstream_name: upstream_name.to_owned(),
                allowance: match is_one {
                    true => provider.allowance(upstream_name),
                    false => None,
                },
            }
        };
        let with_keys = std::iter::once(provider).chain(&provider.others);
        Some(with_keys.map(spot).collect())
    }
}

fn stars(text: &str) -> usize {
    text.matches('*').count()
}
