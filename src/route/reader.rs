//! From a model's section to the model; mistakes are told, not passed on.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::Providers;
use super::able;
use super::gates::{Gates, Hold};
use super::health::{HealthSettings, Wards};
use super::hedge::Hedge;
use super::model::{Model, SPOTS_MAX, Spot, Step};
use super::pick;
use super::retry::Retry;
use super::section::{DefaultsSection, HoldWord, MemberSection, ModelSection, StepSection};
use crate::config::limits::Limits;
use crate::config::{Document, ScalarOr, nearest};
use crate::dialect::{Capability, Dialect};
use crate::provider::{Provider, Timeouts};
use crate::spend;

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
            return self.spots(&place, target, 1, None);
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
            let (target, weight, lacks) = match member {
                ScalarOr::Scalar(target) => (target, 1, None),
                ScalarOr::Collection(member) => {
                    place.push("target");
                    (&member.target, member.weight, member.lacks.as_deref())
                }
            };
            spots.push(self.spots(&place, target, weight, lacks));
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
    fn spots(
        &mut self,
        place: &[&str],
        target: &str,
        weight: u32,
        lacks: Option<&[Capability]>,
    ) -> Option<Vec<Spot>> {
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
        let lacks = lacks.map(|lacks| lacks.iter().copied().collect());
        let lacks = lacks.or(provider.lacks);
        let lacks = lacks.unwrap_or_else(|| able::known_lacks(upstream_name));
        let lacks = Dialect::ALL.map(|caller| lacks | provider.loses(caller, upstream_name));
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
                lacks,
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
