//! The targets that models lead to, as operators see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::health::{Health, Wards};
use super::{Models, matched};

/// A target, and who leads there.
pub struct Listed {
    /// How it fares.
    pub health: Arc<Health>,
    /// The models that lead there, in the order of the file.
    pub models: Vec<Arc<str>>,
    /// Whether the configuration names it: a pattern's targets are named by callers.
    pub is_named: bool,
}

impl Models {
    /// Whether any model leads to a target of this name.
    pub fn leads_to(&self, target: &str) -> bool {
        let mut spots = self.all().iter().flat_map(|model| &model.spots);
        spots.any(|spot| *spot.target == *target || matched(&spot.target, target).is_some())
    }

    /// Every target by its name; of patterns those that have been asked for.
    pub fn targets(&self, wards: &Wards) -> BTreeMap<String, Listed> {
        let mut targets = BTreeMap::<String, Listed>::new();
        for model in self.all() {
            for (is_named, health) in model.healths(wards) {
                let listed = targets.entry(health.name()).or_insert(Listed {
                    health,
                    models: Vec::new(),
                    is_named,
                });
                listed.is_named |= is_named;
                if listed.models.last() != Some(&model.name) {
                    listed.models.push(model.name.clone());
                }
            }
        }
        targets
    }
}
