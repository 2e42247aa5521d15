//! Who else may hold something of the shared state, as far as this replica has heard.
//!
//! Redis keeps a list of the replicas (`beat.lua`), and each of them remembers the others: so when Redis loses its data they know
//! still who there is, and write down again who is missing. Each join makes a new version of the list, and a replica that asks
//! for something first waits until all others have seen the version that it joined with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Reply, Script, Value};

/// The name of the key that lists the replicas.
pub(super) const KEY: &str = "members";

/// The script that a replica is listed by.
pub(super) static BEAT: LazyLock<Script> =
    LazyLock::new(|| Script::new("beat.lua", include_str!("beat.lua")));

/// The script that a replica is struck off by.
pub(super) static REMOVE: LazyLock<Script> =
    LazyLock::new(|| Script::new("remove.lua", include_str!("remove.lua")));

/// Whoever has been silent for longer is not waited for, and may be forgotten by an operator.
pub(super) const SILENT: Duration = Duration::from_secs(10);

/// Whoever has been silent for longer is forgotten: by then what it held of any budget's month is of the past.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// A replica, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub name: Arc<str>,
    /// When it was last heard of, by Redis's clock.
    pub last_beat: DateTime<Utc>,
    /// Whether it is this process.
    pub is_self: bool,
    /// Whether it was heard of lately.
    pub beats: bool,
}

/// What this replica knows of all.
pub(super) struct Members {
    replica: Arc<str>,
    /// When each of the others was last heard of, in ms of Redis's clock.
    others: HashMap<Arc<str>, i64>,
    last_beat: i64,
    /// The list that was last seen, and in which version.
    seen: Option<(List, i64)>,
    /// Others that this list does not have, though nobody has removed them: Redis has lost them.
    lost: Vec<Arc<str>>,
    is_known: bool,
}

/// A list that Redis keeps for as long as it does not lose its data: while both are the same, who is no longer in it has left.
#[derive(Clone, PartialEq, Eq)]
struct List {
    run_id: String,
    joined: i64,
}

/// What a beat brought, besides what [`Members`] remembers.
pub(super) struct Beaten {
    /// Redis's clock.
    pub now: DateTime<Utc>,
    /// Whether another beat is due at once, because there is something to tell.
    pub is_news: bool,
}

impl Members {
    pub fn new(replica: Arc<str>) -> Self {
        Self {
            replica,
            others: HashMap::new(),
            last_beat: 0,
            seen: None,
            lost: Vec::new(),
            is_known: false,
        }
    }

    /// The arguments of the next beat, whose changes are told on `channel`.
    pub fn arguments(&self, channel: &str) -> Vec<String> {
        let seen = self.seen.as_ref();
        let (version, run_id) = seen.map_or((0, ""), |(list, version)| (*version, &list.run_id));
        let mut arguments = vec![
            self.replica.to_string(),
            channel.to_owned(),
            version.to_string(),
            run_id.to_owned(),
            FORGOTTEN_AFTER.as_millis().to_string(),
        ];
        for name in &self.lost {
            let beat = self.others.get(name).copied().unwrap_or_default();
            arguments.extend([name.to_string(), beat.to_string()]);
        }
        arguments
    }

    /// Takes note of the answer to a beat. None if it is no such answer.
    pub fn note(&mut self, reply: &Reply) -> Option<Beaten> {
        let [
            Value::Int(version),
            Value::Text(run_id),
            Value::Int(joined),
            Value::Int(now_us),
            Value::Int(kept_since),
            rest @ ..,
        ] = &reply[..]
        else {
            return None;
        };
        let now = DateTime::from_timestamp_micros(*now_us)?;
        let silent_since = now.timestamp_millis() - SILENT.as_millis() as i64;
        let mut listed = HashMap::new();
        let mut is_known = true;
        for member in rest.chunks(3) {
            let [Value::Text(name), Value::Int(beat), Value::Int(seen)] = member else {
                return None;
            };
            if **name == *self.replica {
                self.last_beat = *beat;
                continue;
            }
            // A Redis that has only come up has heard of nobody: all have their time to be heard of.
            is_known &= seen >= joined || *beat.max(kept_since) < silent_since;
            listed.insert(Arc::from(name.as_str()), *beat);
        }
        let list = List {
            run_id: run_id.clone(),
            joined: *joined,
        };
        let is_same_list = self.seen.as_ref().is_some_and(|(seen, _)| *seen == list);
        if is_same_list {
            self.lost.clear();
        } else {
            let is_lost = |name: &&Arc<str>| !listed.contains_key(*name);
            self.lost = self.others.keys().filter(is_lost).cloned().collect();
            let lost = self.lost.iter();
            listed.extend(lost.map(|name| (name.clone(), self.others[name])));
        }
        self.others = listed;
        // Who is lost has not seen this list.
        self.is_known = is_known && self.lost.is_empty();
        let seen = (list, *version);
        let is_news = self.seen.as_ref() != Some(&seen) || !self.lost.is_empty();
        self.seen = Some(seen);
        Some(Beaten { now, is_news })
    }

    /// Whether all others that are alive know this replica.
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// The others, or those that have beaten at `since` or later.
    pub fn others(&self, since: Option<DateTime<Utc>>) -> Vec<Arc<str>> {
        let since = since.map(|since| since.timestamp_millis());
        let is_asked_for = |beat: i64| since.is_none_or(|since| beat >= since);
        let others = self.others.iter();
        let asked = others.filter(|(_, beat)| is_asked_for(**beat));
        asked.map(|(name, _)| name.clone()).collect()
    }

    /// All, this one included once it is listed, by their names.
    pub fn all(&self, now: DateTime<Utc>) -> Vec<Replica> {
        let replica = |name: &Arc<str>, beat: i64| {
            let last_beat = DateTime::from_timestamp_millis(beat).unwrap_or_default();
            Replica {
                name: name.clone(),
                last_beat,
                is_self: *name == self.replica,
                beats: (now - last_beat).to_std().unwrap_or_default() <= SILENT,
            }
        };
        let others = self.others.iter().map(|(name, beat)| replica(name, *beat));
        let itself = self.seen.as_ref();
        let itself = itself.map(|_| replica(&self.replica, self.last_beat));
        let mut all: Vec<_> = others.chain(itself).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;

    /// The answer to a beat of `a` after so many seconds: the list's version, the run_id, the version joined with, since when
    /// it is kept, and of each replica its name, when it was heard of and which version it has seen.
    fn reply(
        seconds: i64,
        (version, run_id, joined): (i64, &str, i64),
        kept_since: i64,
        members: &[(&str, i64, i64)],
    ) -> Reply {
        let at = |seconds: i64| START + seconds * 1_000;
        let mut reply = vec![
            Value::Int(version),
            Value::Text(run_id.to_owned()),
            Value::Int(joined),
            Value::Int(at(seconds) * 1_000),
            Value::Int(at(kept_since)),
        ];
        for (name, beat, seen) in members {
            let name = Value::Text((*name).to_owned());
            reply.extend([name, Value::Int(at(*beat)), Value::Int(*seen)]);
        }
        reply
    }

    fn names(members: &Members) -> Vec<String> {
        let mut names: Vec<_> = members
            .others(None)
            .iter()
            .map(ToString::to_string)
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replica_is_known_when_all_that_live_have_seen_it_join() {
        let mut a = Members::new("a".into());
        assert!(!a.is_known());
        a.note(&reply(100, (7, "r", 7), 0, &[("a", 100, 0), ("b", 99, 6)]));
        assert!(!a.is_known());
        a.note(&reply(101, (7, "r", 7), 0, &[("a", 101, 7), ("b", 100, 7)]));
        assert!(a.is_known());
        // One that has died since does not hinder, once it is silent for long enough.
        a.note(&reply(109, (8, "r", 8), 0, &[("a", 109, 7), ("b", 100, 7)]));
        assert!(!a.is_known());
        a.note(&reply(111, (8, "r", 8), 0, &[("a", 111, 8), ("b", 100, 7)]));
        assert!(a.is_known());
    }

    #[test]
    fn silence_counts_from_when_redis_can_hear() {
        let mut a = Members::new("a".into());
        a.note(&reply(100, (8, "r", 8), 95, &[("a", 100, 0), ("b", 50, 7)]));
        assert!(!a.is_known());
        a.note(&reply(106, (8, "r", 8), 95, &[("a", 106, 8), ("b", 50, 7)]));
        assert!(a.is_known());
    }

    #[test]
    fn who_is_off_the_list_has_left_and_who_was_lost_with_it_has_not() {
        let mut a = Members::new("a".into());
        let all = [("a", 100, 7), ("b", 99, 7), ("c", 99, 7)];
        a.note(&reply(100, (7, "r", 5), 0, &all));
        a.note(&reply(101, (8, "r", 5), 0, &all[..2]));
        assert_eq!(names(&a), ["b"]);
        // Another Redis, which knows nobody.
        let beaten = a
            .note(&reply(102, (9, "s", 9), 102, &[("a", 102, 0)]))
            .unwrap();
        assert!(beaten.is_news && !a.is_known());
        assert_eq!(names(&a), ["b"]);
        let beat_of_b = (START + 99_000).to_string();
        assert_eq!(a.arguments("c")[5..], ["b".to_owned(), beat_of_b]);
        a.note(&reply(
            103,
            (10, "s", 9),
            102,
            &[("a", 103, 9), ("b", 99, 0)],
        ));
        assert_eq!(a.arguments("c").len(), 5);
        a.note(&reply(104, (11, "s", 9), 102, &[("a", 104, 10)]));
        assert!(names(&a).is_empty());
    }

    #[test]
    fn others_are_asked_for_by_when_they_were_last_heard_of() {
        let mut a = Members::new("a".into());
        a.note(&reply(
            100,
            (7, "r", 5),
            0,
            &[("a", 100, 7), ("b", 99, 7), ("c", 50, 7)],
        ));
        let since = DateTime::from_timestamp_millis(START + 99_000);
        assert_eq!(a.others(since), [Arc::from("b")]);
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_one() {
        let mut a = Members::new("a".into());
        assert!(a.note(&vec![Value::Int(1)]).is_none());
        let mut cut = reply(100, (7, "r", 5), 0, &[("b", 99, 7)]);
        cut.pop();
        assert!(a.note(&cut).is_none());
        assert!(names(&a).is_empty());
    }
}
