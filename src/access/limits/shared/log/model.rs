//! `rate.lua` in Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Answer, Ask, Counted, LIFE, PARTS, Told};

/// After so many microseconds a log that began anew waits no longer for what replicas have to say.
const REPORTS_WITHIN: u64 = 1_000_000;

/// One limit in one window, as all replicas have used it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The length of a part, in microseconds.
    length: u64,
    /// The life of the server that it belongs to.
    epoch: String,
    born: u64,
    at: u64,
    parts: BTreeMap<u64, u64>,
    replicas: BTreeMap<Arc<str>, Heard>,
    awaited: BTreeSet<Arc<str>>,
    is_whole: bool,
    most: u64,
    /// What was counted for replicas that never answered, and under which part.
    lost: Option<(u64, u64)>,
}

/// What was last heard of a replica.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    seq: u64,
    /// What that message was granted, and under which part.
    granted: (u64, u64),
    at: u64,
}

impl Log {
    /// A log that does not exist yet, of parts of so many microseconds.
    pub fn new(length: u64) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    /// What counts, in all.
    pub fn total(&self) -> u64 {
        self.parts.values().sum()
    }

    /// Whether some was counted for replicas that never said what they had used.
    pub fn is_unsure(&self) -> bool {
        self.lost.is_some()
    }

    /// Hears `replica`, which knows `others`, at a time of a server in its life `run`.
    pub fn ask(
        &mut self,
        replica: &Arc<str>,
        ask: &Ask,
        others: &[Arc<str>],
        now: u64,
        run: &str,
    ) -> Answer {
        let now = self.arrive(now, run);
        let mine = self.replicas.get(replica).copied();
        let is_in_touch = ask.born == self.born && (mine.is_some() || ask.is_anew);
        let is_new = ask.is_anew && ask.born == 0;
        if !is_in_touch && !is_new {
            return self.answer(Told::Report);
        }
        if mine.is_none() {
            let at = self.at;
            self.replicas
                .retain(|_, heard| heard.at.max(heard.granted.0) + PARTS + 1 > at);
        }
        let known = mine.unwrap_or_default();
        let is_news = ask.seq > known.seq;
        if is_news {
            self.hear(replica, ask, known);
        }
        if !self.is_whole && !self.gather(others, now) {
            return self.answer(Told::Wait);
        }
        let counted = match is_news {
            true => self.grant(replica, ask, others.len() as u64 + 1, now),
            false => Counted {
                part: self.at + ask.life,
                ..Counted::default()
            },
        };
        let total = self.total();
        let newest = self.parts.last_key_value().filter(|_| total > 0);
        let reset = newest.map_or(0, |(part, _)| self.leaves(*part) - now);
        self.answer(Told::Counted(Counted {
            total,
            reset,
            ..counted
        }))
    }

    /// Begins anew if it is of another life of the server, or of another time; and forgets what is old.
    fn arrive(&mut self, now: u64, run: &str) -> u64 {
        let part = now / self.length;
        if self.epoch != run || self.at > part + PARTS {
            *self = Self {
                epoch: run.to_owned(),
                born: now,
                ..Self::new(self.length)
            };
        }
        self.at = self.at.max(part);
        let at = self.at;
        self.parts.retain(|part, _| part + PARTS + 1 > at);
        now.max(self.at * self.length)
    }

    fn hear(&mut self, replica: &Arc<str>, ask: &Ask, known: Heard) {
        if ask.heard < known.seq {
            self.take_out(known.granted.0, known.granted.1);
        }
        let mut used = 0;
        if ask.batch.seq > known.seq {
            for (part, amount) in &ask.batch.amendments {
                match amount {
                    ..0 => self.take_out(*part, amount.unsigned_abs()),
                    _ => self.enter(*part, amount.unsigned_abs()),
                }
            }
            for (part, amount) in &ask.batch.uses {
                used += amount;
                // Which part of Redis's time it was is known to two parts.
                if let Some(part) = (self.at + LIFE).checked_sub(ask.clock - part) {
                    self.enter(part, *amount);
                }
            }
        }
        if !self.is_whole {
            self.most = self.most.max(ask.most);
        }
        if self.awaited.remove(replica)
            && let Some((part, lost)) = self.lost
        {
            let found = used.min(lost);
            self.take_out(part, found);
            self.lost = Some((part, lost - found));
        }
        let heard = Heard {
            seq: ask.seq,
            granted: (self.at + ask.life, 0),
            at: self.at,
        };
        self.replicas.insert(replica.clone(), heard);
    }

    /// Whether it is known what everyone has used, or no more will be.
    fn gather(&mut self, others: &[Arc<str>], now: u64) -> bool {
        let unheard = others
            .iter()
            .filter(|other| !self.replicas.contains_key(*other));
        self.awaited.extend(unheard.cloned());
        if !self.awaited.is_empty() {
            if now - self.born < REPORTS_WITHIN {
                return false;
            }
            let lost = self.most.saturating_sub(self.total());
            let part = self.at + LIFE;
            self.lost = Some((part, lost));
            self.enter(part, lost);
        }
        self.is_whole = true;
        true
    }

    fn grant(&mut self, replica: &Arc<str>, ask: &Ask, replicas: u64, now: u64) -> Counted {
        let part = self.at + ask.life;
        let total = self.total();
        let room = ask.limit.saturating_sub(total);
        let need = ask.need.unwrap_or(0);
        if ask.need.is_some() && total > ask.limit.saturating_sub(need) {
            return Counted {
                part,
                wait: self.wait(need, ask.limit, now),
                wait_largest: self.wait(ask.largest, ask.limit, now),
                ..Counted::default()
            };
        }
        // What is larger than the limit goes alone.
        let wanted = ask.want.min(room).max(need);
        let portion = room.saturating_sub(wanted) / (2 * replicas);
        let granted = wanted + ask.welcome.min(portion);
        self.enter(part, granted);
        if let Some(heard) = self.replicas.get_mut(replica) {
            heard.granted = (part, granted);
        }
        Counted {
            granted,
            part,
            ..Counted::default()
        }
    }

    fn wait(&self, amount: u64, limit: u64, now: u64) -> u64 {
        let room = limit.saturating_sub(amount);
        let mut excess = self.total().saturating_sub(room);
        for (part, there) in &self.parts {
            excess = excess.saturating_sub(*there);
            if excess == 0 {
                return self.leaves(*part) - now;
            }
        }
        0
    }

    fn enter(&mut self, part: u64, amount: u64) {
        if amount > 0 && part + PARTS + 1 > self.at {
            *self.parts.entry(part).or_default() += amount;
        }
    }

    fn take_out(&mut self, part: u64, amount: u64) {
        if let Some(there) = self.parts.get_mut(&part) {
            *there = there.saturating_sub(amount);
        }
    }

    /// When a part does not count any more.
    fn leaves(&self, part: u64) -> u64 {
        (part + PARTS + 1) * self.length
    }

    fn answer(&self, told: Told) -> Answer {
        Answer {
            born: self.born,
            told,
        }
    }
}
