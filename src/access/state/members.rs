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
            is_known &= seen >= joined || *beat < silent_since;
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
        self.is_known = is_known;
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
