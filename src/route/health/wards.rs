//! Who is kept under observation: the targets, by provider, credential and model.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Account, Health};

/// How many models of one credential are kept: with a pattern of models callers can make names up.
const MODELS_MAX: usize = 1024;

/// How many credentials are kept: each reload may bring new ones.
const ACCOUNTS_MAX: usize = 256;

/// The targets. They live on across reloads. Where there is no more room for one, the one goes that was asked for least
/// recently, unless it is in use.
#[derive(Debug, Default)]
pub struct Wards {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    wards: Vec<Ward>,
    /// Goes up with each look.
    looks: u64,
}

#[derive(Debug)]
struct Ward {
    provider: Arc<str>,
    fingerprint: [u8; 32],
    account: Arc<Account>,
    models: HashMap<String, Kept>,
    looked: u64,
}

#[derive(Debug)]
struct Kept {
    health: Arc<Health>,
    looked: u64,
}

impl Wards {
    /// That of a target: a model of a provider that is called with the credential of this fingerprint.
    pub fn of(&self, provider: &str, fingerprint: [u8; 32], model: &str) -> Arc<Health> {
        let mut table = self.table.lock();
        table.looks += 1;
        let looked = table.looks;
        let same = |ward: &Ward| ward.fingerprint == fingerprint && *ward.provider == *provider;
        if let Some(ward) = table.wards.iter_mut().find(|ward| same(ward)) {
            ward.looked = looked;
            return ward.of(model, looked);
        }
        let mut ward = Ward {
            provider: provider.into(),
            fingerprint,
            account: Arc::default(),
            models: HashMap::new(),
            looked,
        };
        let health = ward.of(model, looked);
        if table.has_room() {
            table.wards.push(ward);
        }
        health
    }

    /// Those of a provider that are called with the credential of this fingerprint.
    pub fn known(&self, provider: &str, fingerprint: [u8; 32]) -> Vec<Arc<Health>> {
        let table = self.table.lock();
        let same = |ward: &&Ward| ward.fingerprint == fingerprint && *ward.provider == *provider;
        let models = table.wards.iter().filter(same);
        let kept = models.flat_map(|ward| ward.models.values());
        kept.map(|kept| kept.health.clone()).collect()
    }
}

impl Table {
    /// Makes room for one more, if there is none. There is none to be made where all are in use.
    fn has_room(&mut self) -> bool {
        if self.wards.len() < ACCOUNTS_MAX {
            return true;
        }
        let idle = self
            .wards
            .iter()
            .enumerate()
            .filter(|(_, ward)| ward.is_idle());
        let oldest = idle.min_by_key(|(_, ward)| ward.looked);
        let Some(place) = oldest.map(|(place, _)| place) else {
            return false;
        };
        self.wards.swap_remove(place);
        true
    }
}

impl Ward {
    fn of(&mut self, model: &str, looked: u64) -> Arc<Health> {
        if let Some(kept) = self.models.get_mut(model) {
            kept.looked = looked;
            return kept.health.clone();
        }
        let health = Arc::new(Health::new(&self.provider, model, &self.account));
        if self.has_room() {
            let kept = Kept {
                health: health.clone(),
                looked,
            };
            self.models.insert(model.to_owned(), kept);
        }
        health
    }

    /// Makes room for one more, if there is none.
    fn has_room(&mut self) -> bool {
        if self.models.len() < MODELS_MAX {
            return true;
        }
        let idle = self.models.iter().filter(|(_, kept)| kept.is_idle());
        let oldest = idle.min_by_key(|(_, kept)| kept.looked);
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return false;
        };
        self.models.remove(&name);
        true
    }

    /// Whether nobody has any of its models. Who has one that found no room has the account.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.account) == 1 + self.models.len()
            && self.models.values().all(Kept::is_idle)
    }
}

impl Kept {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.health) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wards: &Wards, account: usize, model: usize) -> Arc<Health> {
        wards.of(&format!("p{account}"), [0; 32], &format!("m{model}"))
    }

    #[test]
    fn made_up_names_displace_each_other_and_not_what_is_in_use() {
        let wards = Wards::default();
        let used = of(&wards, 0, 0);
        (1..3 * MODELS_MAX).for_each(|model| drop(of(&wards, 0, model)));
        assert_eq!(wards.known("p0", [0; 32]).len(), MODELS_MAX);
        assert!(Arc::ptr_eq(&used, &of(&wards, 0, 0)));
        (1..3 * ACCOUNTS_MAX).for_each(|account| drop(of(&wards, account, 0)));
        assert_eq!(wards.table.lock().wards.len(), ACCOUNTS_MAX);
        assert!(Arc::ptr_eq(&used, &of(&wards, 0, 0)));
    }

    #[test]
    fn the_one_that_was_asked_for_least_recently_goes() {
        let wards = Wards::default();
        let first = Arc::downgrade(&of(&wards, 0, 0));
        let second = Arc::downgrade(&of(&wards, 0, 1));
        (2..MODELS_MAX).for_each(|model| drop(of(&wards, 0, model)));
        assert!(first.ptr_eq(&Arc::downgrade(&of(&wards, 0, 0))));
        drop(of(&wards, 0, MODELS_MAX));
        assert!(first.upgrade().is_some() && second.upgrade().is_none());
    }

    #[test]
    fn what_finds_no_room_is_not_kept_and_still_keeps_its_account() {
        let wards = Wards::default();
        let used: Vec<_> = (0..MODELS_MAX).map(|model| of(&wards, 0, model)).collect();
        let more = of(&wards, 0, MODELS_MAX);
        assert!(!Arc::ptr_eq(&more, &of(&wards, 0, MODELS_MAX)));
        drop(used);
        assert!(!wards.table.lock().wards[0].is_idle());
        drop(more);
        assert!(wards.table.lock().wards[0].is_idle());
    }

    #[test]
    fn a_target_is_told_by_provider_credential_and_model() {
        let wards = Wards::default();
        let health = wards.of("p", [0; 32], "m");
        assert!(Arc::ptr_eq(&health, &wards.of("p", [0; 32], "m")));
        for other in [
            wards.of("q", [0; 32], "m"),
            wards.of("p", [1; 32], "m"),
            wards.of("p", [0; 32], "n"),
        ] {
            assert!(!Arc::ptr_eq(&health, &other));
        }
    }
}
