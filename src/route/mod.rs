//! From the name that an application asks for to the target that answers.

mod section;

pub use section::{DefaultsSection, ModelSection};

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use crate::config::limits::Limits;
use crate::config::{Document, nearest};
use crate::provider::{Allowance, Provider, Timeouts, check_calls};
use crate::telemetry::AllowedState;

/// Every name that applications may ask for.
#[derive(Default)]
pub struct Models {
    exact: HashMap<String, Arc<Model>>,
    /// Longest fixed part first, so that the narrowest pattern wins.
    wildcards: Vec<Arc<Model>>,
    /// The exact names in the order of the file.
    names: Vec<String>,
    /// Every model, in the order of the file.
    all: Vec<Arc<Model>>,
}

/// A name, or a pattern of names, and where it leads.
pub struct Model {
    /// As it stands in the configuration: bounded, so it may be a metric's label.
    pub name: Arc<str>,
    /// Its place among the models.
    pub index: usize,
    /// The target as it stands in the configuration: bounded, too.
    pub target: Arc<str>,
    /// How long an answer may take.
    pub timeouts: Timeouts,
    /// Whether a field that the target cannot carry is an error.
    pub strict: bool,
    /// How much it may be asked for.
    pub limits: Limits,
    /// The longest answer of each choice, in tokens.
    pub max_output_tokens: Option<u64>,
    provider: Arc<Provider>,
    /// The provider's name for it, with a `*` where the name's `*` goes.
    upstream_name: String,
    /// What the provider takes for it, if it is the only one.
    allowance: Option<Arc<Allowance>>,
}

/// One model at one provider.
pub struct Target {
    /// `provider/model-name`
    pub name: Arc<str>,
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model's name there.
    pub model: String,
}

impl Models {
    /// Reads the models' sections; mistakes go to `document`.
    pub fn resolve(
        sections: Vec<(String, ModelSection)>,
        defaults: &DefaultsSection,
        providers: &HashMap<String, Arc<Provider>>,
        provider_names: &[String],
        document: &mut Document,
    ) -> Self {
        let mut models = Self::default();
        for (index, (name, section)) in sections.into_iter().enumerate() {
            check_calls(
                &["models", &name],
                &section.timeout,
                section.retry.as_ref(),
                section.health.as_ref(),
                document,
            );
            let Some(model) = Model::resolve(
                index,
                &name,
                &section,
                defaults,
                providers,
                provider_names,
                document,
            ) else {
                continue;
            };
            let model = Arc::new(model);
            models.all.push(model.clone());
            if name.contains('*') {
                models.wildcards.push(model);
            } else {
                models.names.push(name.clone());
                models.exact.insert(name, model);
            }
        }
        models
            .wildcards
            .sort_by_key(|model| std::cmp::Reverse(model.name.len()));
        models
    }

    /// Where `name` leads: an exact name wins, then the longest pattern.
    pub fn find(&self, name: &str) -> Option<(&Arc<Model>, Target)> {
        if let Some(model) = self.exact.get(name) {
            return Some((model, model.target_for("")));
        }
        self.wildcards.iter().find_map(|model| {
            let star = matched(&model.name, name)?;
            Some((model, model.target_for(star)))
        })
    }

    /// Every model, in the order of the file, which is the order of their indexes.
    pub fn all(&self) -> &[Arc<Model>] {
        &self.all
    }

    /// The exact names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl Model {
    fn resolve(
        index: usize,
        name: &str,
        section: &ModelSection,
        defaults: &DefaultsSection,
        providers: &HashMap<String, Arc<Provider>>,
        provider_names: &[String],
        document: &mut Document,
    ) -> Option<Self> {
        let path = ["models", name];
        let limits = ["models", name, "limits"];
        let limits = Limits::resolve(section.limits.as_ref(), &limits, document);
        let stars = |text: &str| text.matches('*').count();
        if stars(name) > 1 {
            document
                .error_at_key(&path, "a name may hold one `*`")
                .help("one is enough: `gpt-*` stands for all that begins so");
            return None;
        }
        let has = |field| document.has(&["models", name, field]);
        let has_other_way = has("any_of") || has("chain") || has("target");
        let target = match &section.target {
            Some(target) => target.as_str(),
            None if has_other_way => return None, // already an error
            None if name.contains('*') => name,
            None => {
                document
                    .error_at_key(&path, format!("the model `{name}` leads nowhere"))
                    .help("add `target: provider/model-name`");
                return None;
            }
        };
        let place: &[&str] = match section.target {
            Some(_) => &["models", name, "target"],
            None => &path,
        };
        if stars(target) > stars(name) {
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
        let Some(provider) = providers.get(provider_name) else {
            // A provider that is there but has a mistake of its own is no second mistake.
            if !document.has(&["providers", provider_name]) {
                let near = nearest(provider_name, provider_names.iter().map(String::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let mistake =
                    document.error(place, format!("there is no provider `{provider_name}`"));
                mistake.help(help.unwrap_or_else(|| "`providers` lists them".to_owned()));
            }
            return None;
        };
        let sections = [&section.timeout, &provider.timeout, &defaults.timeout];
        Some(Self {
            name: name.into(),
            index,
            target: target.into(),
            timeouts: Timeouts::resolve(sections),
            strict: section.strict,
            limits,
            max_output_tokens: section.max_output_tokens.map(NonZeroU64::get),
            provider: provider.clone(),
            upstream_name: upstream_name.to_owned(),
            allowance: match upstream_name.contains('*') {
                true => None,
                false => provider.allowance(upstream_name),
            },
        })
    }

    /// What the provider takes for one of its targets by its own account; None where that is not gone by.
    pub fn allowance(&self, target: &Target) -> Option<Arc<Allowance>> {
        let only = self.allowance.clone();
        only.or_else(|| target.provider.allowance(&target.model))
    }

    /// How the limits stand that the provider has told of, if there is but one target.
    pub fn allowed(&self, now: Instant) -> impl Iterator<Item = AllowedState> {
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

    fn target_for(&self, star: &str) -> Target {
        let model = self.upstream_name.replacen('*', star, 1);
        Target {
            name: match model == self.upstream_name {
                true => self.target.clone(),
                false => [&self.provider.name, "/", &model].concat().into(),
            },
            provider: self.provider.clone(),
            model,
        }
    }
}

/// What the `*` of `pattern` stands for in `name`: something, never nothing.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let (prefix, suffix) = pattern.split_once('*')?;
    let star = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!star.is_empty()).then_some(star)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_something() {
        assert_eq!(matched("openai/*", "openai/gpt-5"), Some("gpt-5"));
        assert_eq!(matched("gpt-*-mini", "gpt-5-mini"), Some("5"));
        assert_eq!(matched("openai/*", "openai/"), None);
        assert_eq!(matched("aa*aa", "aaa"), None);
        assert_eq!(matched("openai/*", "groq/x"), None);
    }
}
