//! What a replica has to tell the log: what has changed of what that counts.

use std::collections::BTreeMap;

use super::log::Batch;

/// What is being told, and what is to be told after it.
#[derive(Debug, Default)]
pub struct News {
    told: Option<Batch>,
    /// By parts of the log.
    amendments: BTreeMap<u64, i64>,
    /// By parts of the replica's clock.
    uses: BTreeMap<u64, u64>,
}

impl News {
    /// So much more was used of what was granted until a part, …
    pub fn more(&mut self, part: u64, amount: u64) {
        self.amend(part, amount.cast_signed());
    }

    /// … or so much less.
    pub fn less(&mut self, part: u64, amount: u64) {
        self.amend(part, -amount.cast_signed());
    }

    /// So much was used without having been granted, …
    pub fn add_use(&mut self, part: u64, amount: u64) {
        if amount != 0 {
            *self.uses.entry(part).or_default() += amount;
        }
    }

    /// … or so much less, which only helps while that is not told.
    pub fn take_off_use(&mut self, part: u64, amount: u64) {
        if let Some(there) = self.uses.get_mut(&part) {
            *there = there.saturating_sub(amount);
        }
    }

    /// What message `seq` tells: the same as the one before it, until that was heard. With a `report` of all that was used it
    /// tells that instead of what has changed.
    pub fn tell(&mut self, seq: u64, report: Option<BTreeMap<u64, u64>>) -> Batch {
        if let Some(told) = &self.told {
            return told.clone();
        }
        let mut amendments = std::mem::take(&mut self.amendments);
        let mut uses = std::mem::take(&mut self.uses);
        if let Some(report) = report {
            amendments.clear();
            uses = report;
        }
        amendments.retain(|_, amount| *amount != 0);
        uses.retain(|_, amount| *amount != 0);
        let batch = Batch {
            seq,
            amendments: amendments.into_iter().collect(),
            uses: uses.into_iter().collect(),
        };
        self.told.insert(batch).clone()
    }

    /// What was told was heard.
    pub fn heard(&mut self) {
        self.told = None;
    }

    /// Whether something is being told.
    pub const fn is_under_way(&self) -> bool {
        self.told.is_some()
    }

    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        !self.is_under_way() && self.amendments.is_empty() && self.uses.is_empty()
    }

    fn amend(&mut self, part: u64, amount: i64) {
        if amount != 0 {
            *self.amendments.entry(part).or_default() += amount;
        }
    }
}
