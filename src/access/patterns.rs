//! Sets of model names.

use std::collections::HashSet;

/// Names that are allowed: some, those with a prefix, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    exact: HashSet<String>,
    /// What stands before the `*`; empty allows everything.
    prefixes: Vec<String>,
}

impl Patterns {
    /// A `*` at the end of a name stands for anything.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = Self::default();
        for name in names {
            match name.strip_suffix('*') {
                Some(prefix) => patterns.prefixes.push(prefix.to_owned()),
                None => {
                    patterns.exact.insert(name.to_owned());
                }
            }
        }
        patterns
    }

    /// Whether `name` is among them.
    pub fn allow(&self, name: &str) -> bool {
        self.exact.contains(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_behind_it() {
        let patterns = Patterns::new(["fast", "openai/*"]);
        for (name, allowed) in [
            ("fast", true),
            ("faster", false),
            ("openai/gpt-5", true),
            ("openai", false),
        ] {
            assert_eq!(patterns.allow(name), allowed, "{name}");
        }
        assert!(Patterns::new(["*"]).allow("anything"));
        assert!(!Patterns::new([]).allow("anything"));
    }
}
