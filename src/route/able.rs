//! Whom a request is no matter for: targets that lack what it needs, where others have it.

use std::ops::{BitAnd, BitOr};
use std::sync::LazyLock;

use serde::Deserialize;

use super::model::Model;
use crate::dialect::{Capability, Incoming, Needs};
use crate::spend::prices::Match;

impl Model {
    /// The spots from `first` on whose targets lack something that a request needs, and what; none where nobody has it all.
    pub fn unable(&self, first: usize, incoming: &Incoming) -> Vec<(usize, Needs)> {
        let caller = incoming.operation.dialect();
        let lacks = || {
            self.spots[first..]
                .iter()
                .map(|spot| spot.lacks[caller as usize])
        };
        let of_some = lacks().fold(Needs::default(), BitOr::bitor);
        let of_all = lacks().fold(of_some, BitAnd::bitand);
        // What nobody has makes no difference.
        let needs = incoming.needs(of_some.without(of_all));
        let lacking = (first..).zip(lacks().map(|lacks| lacks & needs));
        let lacking: Vec<_> = lacking.filter(|(_, lacks)| !lacks.is_empty()).collect();
        match lacking.len() == lacks().len() {
            true => Vec::new(),
            false => lacking,
        }
    }
}

/// What the model of this name is known not to be able to do. Whatever is not known, it can.
pub(super) fn known_lacks(model: &str) -> Needs {
    let name = model.to_lowercase();
    let known = KNOWN.iter().find(|known| known.names.is_about(&name));
    known.map_or(Needs::default(), |known| {
        known.lacks.iter().copied().collect()
    })
}

/// `config/lacks.json`: its models, of which the first that matches is meant.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let json = include_str!("../../config/lacks.json");
    let file: File = serde_json::from_str(json).expect("a test reads it");
    file.models
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "date")]
    _date: chrono::NaiveDate,
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    models: Vec<Known>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(rename = "match")]
    names: Match,
    lacks: Vec<Capability>,
}

#[cfg(test)]
mod tests;
