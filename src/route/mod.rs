//! From the name that an application asks for to the target that answers.

mod able;
mod chance;
mod course;
pub mod gates;
pub mod health;
pub mod hedge;
mod model;
pub mod pick;
mod reader;
pub mod retry;
mod section;
mod targets;

pub use course::{Course, Ended, Next, Start, Surroundings};
pub use model::{Model, Spot, Step, Target};
pub use section::{DefaultsSection, ModelSection};
pub use targets::Listed;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Document, nearest};
use crate::provider::{Provider, check_calls};
use gates::Gates;
use health::Wards;
use reader::Reader;

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

/// What targets may name.
pub struct Providers<'a> {
    /// Those without a mistake.
    pub by_name: &'a HashMap<String, Arc<Provider>>,
    /// The names of all.
    pub names: &'a [String],
}

impl Models {
    /// Reads the models' sections; mistakes go to `document`.
    pub fn resolve(
        sections: Vec<(String, ModelSection)>,
        defaults: &DefaultsSection,
        providers: &Providers<'_>,
        wards: &Wards,
        document: &mut Document,
    ) -> Self {
        let mut models = Self::default();
        let names: Vec<_> = sections.iter().map(|(name, _)| name.clone()).collect();
        for (index, (name, section)) in sections.into_iter().enumerate() {
            check_calls(
                &["models", &name],
                &section.timeout,
                section.retry.as_ref(),
                section.health.as_ref(),
                document,
            );
            let reader = Reader {
                wards,
                defaults,
                providers,
                document,
                name: &name,
                section: &section,
            };
            let Some(model) = reader.model(index) else {
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
        models.check_judges(&names, document);
        models
            .wildcards
            .sort_by_key(|model| std::cmp::Reverse(model.name.len()));
        models
    }

    /// Every model that judges answers must be one, and must not be judged itself.
    fn check_judges(&self, names: &[String], document: &mut Document) {
        for model in &self.all {
            let steps = model.steps.iter().enumerate();
            for (at, step) in steps {
                let at = at.to_string();
                let place = ["models", &model.name, "chain", &at, "escalate_when"];
                for judge in step.gates.iter().flat_map(Gates::models) {
                    let name = &judge.model;
                    let Some(found) = self.exact.get(name) else {
                        // One that has a mistake of its own is there all the same.
                        if !names.contains(name) || name.contains('*') {
                            let help = nearest(name, names.iter().map(String::as_str));
                            let help = help.map(|near| format!("did you mean `{near}`?"));
                            document
                                .error(&place, format!("the judge `{name}` is no model"))
                                .help(help.unwrap_or_else(|| "`models` lists them".to_owned()));
                        }
                        continue;
                    };
                    let mut gates = found.steps.iter().filter_map(|step| step.gates.as_ref());
                    if gates.any(Gates::asks_models) {
                        document
                            .error(
                                &place,
                                format!("the judge `{name}` asks models about its own answers"),
                            )
                            .help("a judge may be a chain, whose gates ask nobody");
                    }
                }
            }
        }
    }

    /// Where `name` leads, and what the `*` of that model's name stands for: an exact name wins, then the longest pattern.
    pub fn find<'n>(&self, name: &'n str) -> Option<(&Arc<Model>, &'n str)> {
        if let Some(model) = self.exact.get(name) {
            return Some((model, ""));
        }
        let mut wildcards = self.wildcards.iter();
        wildcards.find_map(|model| Some((model, matched(&model.name, name)?)))
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
