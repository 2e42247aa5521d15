//! Who else may hold something of the shared state, as far as this replica has heard.
//!
//! Redis keeps a list of the replicas (`beat.lua`), and each of them remembers the others: so when Redis loses its data they know
//! still who there is, and write down again who is missing. Each join makes a new version of the list, and a replica that asks
//! for something first waits until all others have seen the version that it joined with.
//!
//! Each life of Redis is an era. Nothing is granted in it before it is settled: before all replicas have told it what they hold, and
//! somebody has told it of those that are dead (`Holding`, `told`, `vouched`).

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

/// Another life of a replica may take its name after so long a silence.
const TAKEN_AFTER: Duration = Duration::from_secs(3);

/// A Redis that has nothing may have lost it: so long it waits for replicas that still live.
const NEW_ERA: Duration = Duration::from_secs(3);

/// How much later than a replica's last beat others have to have looked, to know all that it held when it died.
const AFTER_DEATH: i64 = 2_000;

/// A life of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Era {
    /// Its run_id.
    pub run: Arc<str>,
    /// Whether it has been told of all that is held.
    pub is_settled: bool,
}

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
    /// Whether this life of Redis knows what it holds; if not, it is waited for.
    pub has_told: bool,
}

/// What this replica knows of all.
pub(super) struct Members {
    replica: Arc<str>,
    /// This process, of those that have that name one after the other.
    life: String,
    others: HashMap<Arc<str>, Other>,
    last_beat: i64,
    has_told: bool,
    era: Option<Era>,
    /// The list that was last seen, and in which version.
    seen: Option<(List, i64)>,
    /// Others that this list does not have, though nobody has removed them: Redis has lost them.
    lost: Vec<Arc<str>>,
    is_known: bool,
}

/// What is known of another replica.
#[derive(Clone, Copy)]
struct Other {
    /// When it was last heard of, in ms of Redis's clock.
    beat: i64,
    /// Whether this life of Redis knows what it holds.
    has_told: bool,
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
    /// Whether this replica may be granted anything: it is known to the others, and all is known to this life of Redis.
    pub is_granted: bool,
}

/// When this replica last looked what all have; None if it never did.
pub(super) struct Looked(pub Option<DateTime<Utc>>);

impl Members {
    pub fn new(replica: Arc<str>) -> Self {
        Self {
            replica,
            life: uuid::Uuid::now_v7().simple().to_string(),
            others: HashMap::new(),
            last_beat: 0,
            has_told: false,
            era: None,
            seen: None,
            lost: Vec::new(),
            is_known: false,
        }
    }

    /// The arguments of the next beat, whose changes are told on `channel`. `looked` is when this replica last looked what all
    /// have, if the present era has been told what it holds and what it saw then.
    pub fn arguments(&self, channel: &str, looked: Option<Looked>) -> Vec<String> {
        let seen = self.seen.as_ref();
        let (version, run_id) = seen.map_or((0, ""), |(list, version)| (*version, &list.run_id));
        let told = if looked.is_some() { run_id } else { "" };
        let mut arguments = vec![
            self.replica.to_string(),
            self.life.clone(),
            channel.to_owned(),
            version.to_string(),
            run_id.to_owned(),
            told.to_owned(),
            FORGOTTEN_AFTER.as_millis().to_string(),
            TAKEN_AFTER.as_millis().to_string(),
            NEW_ERA.as_millis().to_string(),
            self.lost.len().to_string(),
        ];
        for name in &self.lost {
            let beat = self.others.get(name).map_or(0, |other| other.beat);
            arguments.extend([name.to_string(), beat.to_string()]);
        }
        if let Some(Looked(Some(looked))) = looked {
            let looked = looked.timestamp_millis();
            let is_vouched = |other: &Other| !other.has_told && other.beat + AFTER_DEATH < looked;
            let others = self.others.iter();
            let vouched = others.filter(|(_, other)| is_vouched(other));
            arguments.extend(vouched.map(|(name, _)| name.to_string()));
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
            Value::Int(is_settled),
            Value::Int(is_taken),
            rest @ ..,
        ] = &reply[..]
        else {
            return None;
        };
        let now = DateTime::from_timestamp_micros(*now_us)?;
        let silent_since = now.timestamp_millis() - SILENT.as_millis() as i64;
        let mut listed = HashMap::new();
        let mut is_known = *is_taken == 0;
        for member in rest.chunks(4) {
            let [
                Value::Text(name),
                Value::Int(beat),
                Value::Int(seen),
                Value::Int(has_told),
            ] = member
            else {
                return None;
            };
            let (beat, has_told) = (*beat, *has_told == 1);
            if **name == *self.replica {
                (self.last_beat, self.has_told) = (beat, has_told);
                continue;
            }
            // A Redis that has only come up has heard of nobody: all have their time to be heard of.
            is_known &= seen >= joined || beat.max(*kept_since) < silent_since;
            listed.insert(Arc::from(name.as_str()), Other { beat, has_told });
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
            listed.extend(lost.map(|name| {
                let beat = self.others[name].beat;
                let has_told = false;
                (name.clone(), Other { beat, has_told })
            }));
        }
        self.others = listed;
        // Who is lost has not seen this list.
        self.is_known = is_known && self.lost.is_empty();
        let is_settled = *is_settled == 1;
        self.era = Some(Era {
            run: run_id.as_str().into(),
            is_settled,
        });
        let seen = (list, *version);
        let is_news = self.seen.as_ref() != Some(&seen) || !self.lost.is_empty();
        self.seen = Some(seen);
        Some(Beaten {
            now,
            is_news,
            is_granted: is_settled && self.is_known,
        })
    }

    /// Whether all others that are alive know this replica.
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// The present life of Redis, while all others that are alive know this replica.
    pub fn era(&self) -> Option<Era> {
        self.era.clone().filter(|_| self.is_known)
    }

    /// Why nothing is granted, in words.
    pub fn trouble(&self) -> Option<String> {
        let Some(era) = self.era() else {
            return Some("the other replicas do not know this one yet".to_owned());
        };
        if era.is_settled {
            return None;
        }
        let untold = self.others.iter().filter(|(_, other)| !other.has_told);
        let mut untold: Vec<&str> = untold.map(|(name, _)| &**name).collect();
        untold.sort_unstable();
        Some(match untold.is_empty() {
            true => "it has started anew, and is being told what replicas hold".to_owned(),
            false => format!(
                "it has started anew, and these have not told what they hold: {}",
                untold.join(", ")
            ),
        })
    }

    /// The life of Redis that was last heard.
    pub fn run(&self) -> Option<&str> {
        self.era.as_ref().map(|era| &*era.run)
    }

    /// The version that this replica has joined with: later than all that it asked for in lives before.
    pub fn joined(&self) -> u64 {
        let joined = self.seen.as_ref().map(|(list, _)| list.joined);
        joined.unwrap_or_default().unsigned_abs()
    }

    /// The others, or those that have beaten at `since` or later.
    pub fn others(&self, since: Option<DateTime<Utc>>) -> Vec<Arc<str>> {
        let since = since.map(|since| since.timestamp_millis());
        let is_asked_for = |beat: i64| since.is_none_or(|since| beat >= since);
        let others = self.others.iter();
        let asked = others.filter(|(_, other)| is_asked_for(other.beat));
        asked.map(|(name, _)| name.clone()).collect()
    }

    /// Those that live, this one included: None while it has not been heard itself for too long to know.
    pub fn alive(&self, now: DateTime<Utc>) -> Option<Vec<Arc<str>>> {
        let silent = SILENT.as_millis() as i64;
        // By one list and its clock, so that whoever was away himself takes nobody for dead.
        self.seen.as_ref()?;
        let is_heard = self.last_beat >= now.timestamp_millis() - silent;
        let mut alive = self.others(DateTime::from_timestamp_millis(self.last_beat - silent));
        alive.push(self.replica.clone());
        is_heard.then_some(alive)
    }

    /// All, this one included once it is listed, by their names.
    pub fn all(&self, now: DateTime<Utc>) -> Vec<Replica> {
        let replica = |name: &Arc<str>, beat: i64, has_told: bool| {
            let last_beat = DateTime::from_timestamp_millis(beat).unwrap_or_default();
            Replica {
                name: name.clone(),
                last_beat,
                is_self: *name == self.replica,
                beats: (now - last_beat).to_std().unwrap_or_default() <= SILENT,
                has_told,
            }
        };
        let others = self.others.iter();
        let others = others.map(|(name, other)| replica(name, other.beat, other.has_told));
        let itself = self.seen.as_ref();
        let itself = itself.map(|_| replica(&self.replica, self.last_beat, self.has_told));
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
            Value::Int(1),
            Value::Int(0),
        ];
        for (name, beat, seen) in members {
            let name = Value::Text((*name).to_owned());
            let (beat, seen) = (Value::Int(at(*beat)), Value::Int(*seen));
            reply.extend([name, beat, seen, Value::Int(1)]);
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
        assert_eq!(a.arguments("c", None)[10..], ["b".to_owned(), beat_of_b]);
        a.note(&reply(
            103,
            (10, "s", 9),
            102,
            &[("a", 103, 9), ("b", 99, 0)],
        ));
        assert_eq!(a.arguments("c", None).len(), 10);
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
