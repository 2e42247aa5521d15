//! What all replicas have of one budget in one of its windows: the account that they draw on.
//!
//! A pure state machine: in memory it is the account itself, and the script that runs in Redis does step by step the same.
//! Amounts are whole nano-dollars, which Redis's scripts hold exactly up to nine million dollars.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Whole nano-dollars.
pub type Nano = u64;

/// One budget in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    shares: Shares,
}

/// What each replica has of it.
pub type Shares = BTreeMap<Arc<str>, Share>;

/// What one replica has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The last message that was heard of it.
    pub seq: u64,
    /// What it has spent.
    pub settled: Nano,
    /// What it may spend besides, without asking, and what it may have spent before it died.
    pub held: Nano,
}

/// What a replica says, and asks for.
///
/// It says what is, not what has changed: a message or its answer may be lost, and the next one puts all right. What an
/// answer that was lost had granted is given back by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub replica: Arc<str>,
    /// Larger than in all of its messages before.
    pub seq: u64,
    /// The budget, as its configuration has it.
    pub limit: Nano,
    /// What it has spent in this window.
    pub settled: Nano,
    /// What it keeps of what it was granted.
    pub held: Nano,
    /// The least that is of use; less is not granted.
    pub need: Nano,
    /// What is wanted.
    pub want: Nano,
    /// What is welcome besides, so that it need not ask again soon.
    pub spare: Nano,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the message that it answers.
    pub seq: u64,
    /// Of the last message that was heard of this replica: that one, unless it came too late.
    pub heard: u64,
    /// Whether the account can grant anything at all at present.
    pub is_open: bool,
    /// What it holds more than it said.
    pub granted: Nano,
    /// What all replicas have spent.
    pub spent: Nano,
    /// What all replicas may spend besides, this grant included.
    pub held: Nano,
}

impl Ask {
    /// Its numbers, in the order in which they are sent.
    pub const fn numbers(&self) -> [u64; 7] {
        [
            self.seq,
            self.limit,
            self.settled,
            self.held,
            self.need,
            self.want,
            self.spare,
        ]
    }
}

impl Account {
    /// Hears what a replica knows of all shares. The newest word on each counts.
    #[cfg(test)]
    pub fn hear(&mut self, shares: &Shares) {
        for (replica, share) in shares {
            let known = self.shares.entry(replica.clone()).or_default();
            if share.seq > known.seq {
                *known = *share;
            }
        }
    }

    /// Hears a replica and, when it is open, grants what there is. Together, what was spent and what is held never come to more
    /// than the limit, unless a provider has charged more than the most it could, or the limit was lowered.
    pub fn ask(&mut self, ask: &Ask, is_open: bool) -> Answer {
        let share = self.shares.entry(ask.replica.clone()).or_default();
        let is_news = ask.seq > share.seq;
        if is_news {
            *share = Share {
                seq: ask.seq,
                settled: ask.settled,
                held: ask.held,
            };
        }
        let heard = share.seq;
        let (spent, held) = self.totals();
        let room = ask.limit.saturating_sub(spent.saturating_add(held));
        let granted = match is_open && is_news && room >= ask.need {
            true => {
                let wanted = ask.want.min(room);
                // The nearer the end, the smaller the portions, so that little lies idle with one while another lacks it.
                let portion = (room - wanted) / (2 * self.holders(&ask.replica));
                wanted + ask.spare.min(portion)
            }
            false => 0,
        };
        if let Some(share) = self.shares.get_mut(&ask.replica) {
            share.held += granted;
        }
        Answer {
            seq: ask.seq,
            heard,
            is_open,
            granted,
            spent,
            held: held + granted,
        }
    }

    /// What each has.
    #[cfg(test)]
    pub const fn shares(&self) -> &Shares {
        &self.shares
    }

    /// What was spent, and what is held, in all.
    pub fn totals(&self) -> (Nano, Nano) {
        let add = |sum: (Nano, Nano), share: &Share| {
            (
                sum.0.saturating_add(share.settled),
                sum.1.saturating_add(share.held),
            )
        };
        self.shares.values().fold((0, 0), add)
    }

    /// How many replicas hold something or ask for it.
    fn holders(&self, asking: &str) -> u64 {
        let holds =
            |(replica, share): &(&Arc<str>, &Share)| share.held > 0 || ***replica == *asking;
        self.shares.iter().filter(holds).count() as u64
    }
}
