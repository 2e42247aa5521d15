//! Sets of model names.

use std::collections::HashSet;

/// Names that are allowed: some, those that a pattern matches, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    exact: HashSet<String>,
    /// What stands before and behind a `*`; nothing on either side allows everything.
    around: Vec<(String, String)>,
}

impl Patterns {
    /// One `*` in a name stands for anything.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = Self::default();
        for name in names {
            match name.split_once('*') {
                Some((before, behind)) => {
                    patterns.around.push((before.to_owned(), behind.to_owned()));
                }
                None => {
                    patterns.exact.insert(name.to_owned());
                }
            }
        }
        patterns
    }

    /// Whether `name` is among them.
    pub fn allow(&self, name: &str) -> bool {
        let matches = |(before, behind): &(String, String)| {
            let rest = name.strip_prefix(before.as_str());
            rest.is_some_and(|rest| rest.ends_with(behind.as_str()))
        };
        self.exact.contains(name) || self.around.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let patterns = Patterns::new(["fast", "openai/*", "gpt-*-mini"]);
        for (name, allowed) in [
            ("fast", true),
            ("faster", false),
            ("openai/gpt-5", true),
            ("openai", false),
            ("gpt-5-mini", true),
            ("gpt-5", false),
        ] {
            assert_eq!(patterns.allow(name), allowed, "{name}");
        }
        assert!(Patterns::new(["*"]).allow("anything"));
        assert!(!Patterns::new([]).allow("anything"));
    }
}
