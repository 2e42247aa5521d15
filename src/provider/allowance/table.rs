//! The allowances of a provider's models, by their names there.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Allowance;

/// How many models of one provider are kept: with a pattern of models callers can make names up. The one that was asked for
/// least recently goes, unless the configuration names it.
const MODELS_MAX: usize = 1024;

/// The allowances of a provider's models. They live on across a reload that leaves the provider as it is.
#[derive(Debug, Default)]
pub struct Allowances {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    kept: HashMap<String, Kept>,
    /// Goes up with each look.
    looks: u64,
}

#[derive(Debug)]
struct Kept {
    allowance: Arc<Allowance>,
    looked: u64,
}

impl Allowances {
    /// That of a model.
    pub fn of(&self, model: &str) -> Arc<Allowance> {
        let mut table = self.table.lock();
        table.looks += 1;
        let looked = table.looks;
        if let Some(kept) = table.kept.get_mut(model) {
            kept.looked = looked;
            return kept.allowance.clone();
        }
        let allowance = Arc::<Allowance>::default();
        if table.has_room() {
            let kept = Kept {
                allowance: allowance.clone(),
                looked,
            };
            table.kept.insert(model.to_owned(), kept);
        }
        allowance
    }
}

impl Table {
    /// Makes room for one more, if there is none. There is none to be made where all are in use.
    fn has_room(&mut self) -> bool {
        if self.kept.len() < MODELS_MAX {
            return true;
        }
        let idle = self
            .kept
            .iter()
            .filter(|(_, kept)| Arc::strong_count(&kept.allowance) == 1);
        let oldest = idle.min_by_key(|(_, kept)| kept.looked);
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return false;
        };
        self.kept.remove(&name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_displace_each_other_and_not_what_is_in_use() {
        let allowances = Allowances::default();
        let used = allowances.of("used");
        let first = Arc::downgrade(&allowances.of("0"));
        (1..MODELS_MAX - 1).for_each(|n| drop(allowances.of(&n.to_string())));
        assert!(first.ptr_eq(&Arc::downgrade(&allowances.of("0"))));
        (0..3).for_each(|n| drop(allowances.of(&format!("new-{n}"))));
        assert_eq!(allowances.table.lock().kept.len(), MODELS_MAX);
        assert!(Arc::ptr_eq(&used, &allowances.of("used")));
        assert!(first.ptr_eq(&Arc::downgrade(&allowances.of("0"))));
        let table = allowances.table.lock();
        assert!(
            ["1", "2", "3"]
                .iter()
                .all(|name| !table.kept.contains_key(*name))
        );
    }

    #[test]
    fn what_finds_no_room_is_not_kept() {
        let allowances = Allowances::default();
        let used: Vec<_> = (0..MODELS_MAX)
            .map(|n| allowances.of(&n.to_string()))
            .collect();
        assert!(!Arc::ptr_eq(&allowances.of("more"), &allowances.of("more")));
        assert_eq!(allowances.table.lock().kept.len(), used.len());
    }
}
