//! From a presented key to who presents it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::budgets::{Allowance, Budget, Fund, Owner, Payers};
use super::counters::Counters;
use super::limits::Limiter;
use super::patterns::Patterns;
use super::section::{ModelsSection, TeamSection};
use crate::config::limits::Limits;
use crate::config::{Document, ScalarOr, nearest};
use crate::hex;

/// The SHA-256 of the quickstart's public key `tg_demo`, which no other file may use.
const DEMO_KEY: &str = "755c93bad36311215cbf70a59a66505ebd6211f573c5275420ee63e2c7eb78f1";

/// A key's SHA-256.
pub type Digest = [u8; 32];

/// Every key, found by its digest.
#[derive(Default)]
pub struct Keys {
    /// Looked up by the digest of what was presented: how long that takes tells something about a digest's bytes and
    /// so nothing about a key's. The whole digest is compared at the end.
    by_digest: HashMap<Digest, Arc<Key>>,
}

/// A credential and what it may do.
pub struct Key {
    /// Its name in logs.
    pub name: Arc<str>,
    /// Who pays.
    pub team: Arc<Team>,
    models: Option<Patterns>,
    /// The first day on which it is refused.
    expires: Option<NaiveDate>,
    /// Whether it may say at which step of a chain a request begins.
    pub may_start_at: bool,
    /// What it may cost.
    pub funds: Vec<Arc<Fund>>,
    /// Who pays for its requests to models that the team has budgets for, by their names in the configuration, …
    payers_of_models: HashMap<String, Payers>,
    /// … and to all others.
    payers: Payers,
    /// How much it may ask for; None where that is not limited.
    pub limiter: Option<Limiter>,
}

/// Who pays.
pub struct Team {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// Its place among the teams.
    pub index: usize,
    models: Patterns,
    /// What its keys may cost together.
    pub funds: Vec<Arc<Fund>>,
    /// What they may cost by a model, by its name in the configuration.
    pub per_model: HashMap<String, Vec<Arc<Fund>>>,
    /// What each user may cost.
    pub per_user: Vec<Arc<Allowance>>,
    /// How much its keys may ask for together; None where that is not limited.
    pub limiter: Option<Limiter>,
}

/// Why a presented key is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIdentified {
    /// Nobody has it.
    Unknown,
    /// It was good once.
    Expired,
}

impl Keys {
    /// Reads the teams' sections; mistakes go to `document`. `model_exists` tells whether a name or a pattern of the
    /// teams' lists can mean any model.
    pub fn resolve(
        teams: Vec<(String, TeamSection)>,
        is_quickstart: bool,
        known_models: &[String],
        counters: &Counters,
        document: &mut Document,
    ) -> Self {
        let mut keys = Self::default();
        for (index, (name, section)) in teams.into_iter().enumerate() {
            let team = Team::resolve(index, &name, &section, known_models, counters, document);
            let team = Arc::new(team);
            for (at, key) in section.keys.into_iter().enumerate() {
                let at = at.to_string();
                let path = ["teams", name.as_str(), "keys", at.as_str()];
                let field = |field| [&path[..], &[field]].concat();
                if key.sha256 == DEMO_KEY && !is_quickstart {
                    document
                        .error(&field("sha256"), "this is the public demo key `tg_demo`")
                        .help("make one of your own: tollgate keys new");
                }
                let Some(digest) = hex::digest(&key.sha256) else {
                    document
                        .error(
                            &field("sha256"),
                            "`sha256` is not 64 lower-case hexadecimal digits",
                        )
                        .help("tollgate keys new prints a line that fits");
                    continue;
                };
                let models = key
                    .models
                    .map(|models| narrower(&models, &team, &path, known_models, document));
                let limits = Limits::resolve(key.limits.as_ref(), &field("limits"), document);
                let budgets = Budget::resolve(key.budget.as_ref(), &field("budget"), document);
                let key_name: Arc<str> = key.name.as_str().into();
                let owner = Owner::Key(team.name.clone(), key_name.clone());
                let funds = counters.funds(&owner, &budgets);
                let payers =
                    |of_model: &[Arc<Fund>]| [&funds, of_model, &team.funds].concat().into();
                let of_models = team.per_model.iter();
                let entry = Key {
                    name: key_name,
                    team: team.clone(),
                    models,
                    expires: key.expires.map(|date| date.0),
                    may_start_at: key.start_at,
                    payers_of_models: of_models
                        .map(|(model, funds)| (model.clone(), payers(funds)))
                        .collect(),
                    payers: payers(&[]),
                    funds,
                    limiter: counters.limiter("key", &[&name, &key.name], limits),
                };
                if let Some(first) = keys.by_digest.get(&digest) {
                    let message = format!(
                        "the key of `{}` in team `{}` has the same `sha256`",
                        first.name, first.team.name
                    );
                    document
                        .error(&field("sha256"), message)
                        .help("a key belongs to one entry; make another: tollgate keys new");
                    continue;
                }
                keys.by_digest.insert(digest, Arc::new(entry));
            }
        }
        keys
    }

    /// Who presents `presented`.
    pub fn identify(
        &self,
        presented: &[u8],
        now: DateTime<Utc>,
    ) -> Result<&Arc<Key>, NotIdentified> {
        let (_, key) = self
            .by_digest
            .get_key_value(&digest(presented))
            .ok_or(NotIdentified::Unknown)?;
        match key.expires {
            Some(date) if now.date_naive() >= date => Err(NotIdentified::Expired),
            _ => Ok(key),
        }
    }

    /// Every fund of every key and team.
    pub fn funds(&self) -> impl Iterator<Item = &Arc<Fund>> {
        self.by_digest.values().flat_map(|key| {
            let of_models = key.team.per_model.values().flatten();
            key.funds.iter().chain(of_models).chain(&key.team.funds)
        })
    }

    /// What each team grants its users.
    pub fn allowances(&self) -> impl Iterator<Item = &Arc<Allowance>> {
        let teams = self
            .by_digest
            .values()
            .map(|key| (key.team.index, &key.team));
        let teams: BTreeMap<_, _> = teams.collect();
        teams.into_values().flat_map(|team| &team.per_user)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }
}

impl Key {
    /// Whether it may use `model`.
    pub fn may_use(&self, model: &str) -> bool {
        self.team.models.allow(model) && self.models.as_ref().is_none_or(|own| own.allow(model))
    }

    /// The budgets that pay for its requests to the model of that name in the configuration, besides those of their users: its
    /// own, the team's for the model, the team's.
    pub fn payers(&self, model: &str) -> &Payers {
        self.payers_of_models.get(model).unwrap_or(&self.payers)
    }
}

impl Team {
    fn resolve(
        index: usize,
        name: &str,
        section: &TeamSection,
        known_models: &[String],
        counters: &Counters,
        document: &mut Document,
    ) -> Self {
        let path = ["teams", name];
        let at = |field| ["teams", name, field];
        let models = patterns(&section.models, &path, known_models, document);
        let team: Arc<str> = name.into();
        let mut per_model = HashMap::new();
        for (model, share) in &section.per_model {
            let path = ["teams", name, "per_model", model];
            check_model(model, &section.models, &path, known_models, document);
            let budget = [&path[..], &["budget"]].concat();
            let budgets = Budget::resolve(Some(&share.budget), &budget, document);
            let owner = Owner::Model(team.clone(), model.as_str().into());
            per_model.insert(model.clone(), counters.funds(&owner, &budgets));
        }
        let per_user = section.per_user.as_ref().map(|section| {
            let path = ["teams", name, "per_user", "budget"];
            let budgets = Budget::resolve(Some(&section.budget), &path, document);
            counters.allowances(&team, &budgets, section.users_max)
        });
        let limits = Limits::resolve(section.limits.as_ref(), &at("limits"), document);
        let budgets = Budget::resolve(section.budget.as_ref(), &at("budget"), document);
        Self {
            funds: counters.funds(&Owner::Team(team.clone()), &budgets),
            name: team,
            index,
            models,
            per_model,
            per_user: per_user.unwrap_or_default(),
            limiter: counters.limiter("team", &[name], limits),
        }
    }
}

/// A model with a budget of its own is one of the file, and the team may use it.
fn check_model(
    model: &String,
    allowed: &ModelsSection,
    path: &[&str],
    known_models: &[String],
    document: &mut Document,
) {
    if !known_models.contains(model) {
        let near = nearest(model, known_models.iter().map(String::as_str));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        document
            .error_at_key(path, format!("there is no model `{model}`"))
            .help(help.unwrap_or_else(|| "`models` lists them".to_owned()));
        return;
    }
    let entries = entries(allowed).into_iter();
    let mut names = entries.map(|(_, name)| name);
    if !names.any(|name| is_known(name, std::slice::from_ref(model))) {
        document
            .error_at_key(path, format!("the team may not use `{model}`"))
            .help("add it to the team's `models`");
    }
}

/// The SHA-256 of a key.
pub fn digest(key: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, key).as_ref());
    digest
}

/// A list of models; a name that means none is a mistake.
fn patterns(
    section: &ModelsSection,
    path: &[&str],
    known_models: &[String],
    document: &mut Document,
) -> Patterns {
    let entries = entries(section);
    for (index, (at, name)) in entries.iter().enumerate() {
        let mut place = [path, &["models"]].concat();
        place.extend(at.as_deref());
        if entries[..index].iter().any(|(_, earlier)| earlier == name) {
            document
                .error(&place, format!("`{name}` stands twice in the list"))
                .help("remove one");
        }
        if is_known(name, known_models) {
            continue;
        }
        let candidates = known_models.iter().map(String::as_str);
        let nearest = nearest(name, candidates);
        let mistake = document.error(&place, format!("there is no model `{name}`"));
        match nearest {
            Some(nearest) => mistake.help(format!("did you mean `{nearest}`?")),
            None => mistake.help("`models` lists them"),
        };
    }
    Patterns::new(entries.into_iter().map(|(_, name)| name))
}

/// A key's own list, which should lie within its team's.
fn narrower(
    section: &ModelsSection,
    team: &Team,
    path: &[&str],
    known_models: &[String],
    document: &mut Document,
) -> Patterns {
    for (at, name) in entries(section) {
        let beyond = !team.models.allow(name.trim_end_matches('*')) && !team.models.allow(name);
        if beyond && name != "*" && is_known(name, known_models) {
            let mut place = [path, &["models"]].concat();
            place.extend(at.as_deref());
            document
                .warning(
                    &place,
                    format!("the team may not use `{name}`, so neither may this key"),
                )
                .help(format!("add it to `teams.{}.models`", team.name));
        }
    }
    patterns(section, path, known_models, document)
}

/// The names, and where each stands below the field.
fn entries(section: &ModelsSection) -> Vec<(Option<String>, &str)> {
    match section {
        ScalarOr::Scalar(name) => vec![(None, name.as_str())],
        ScalarOr::Collection(names) => {
            let places = names.iter().enumerate();
            places
                .map(|(at, name)| (Some(at.to_string()), name.as_str()))
                .collect()
        }
    }
}

/// Whether a name, or a pattern, can mean a model; the configured names may themselves be patterns.
fn is_known(name: &str, known_models: &[String]) -> bool {
    let asked = name.strip_suffix('*');
    known_models
        .iter()
        .any(|known| match (asked, known.split_once('*')) {
            (None, None) => known == name,
            (None, Some((prefix, suffix))) => {
                name.len() >= prefix.len() + suffix.len()
                    && name.starts_with(prefix)
                    && name.ends_with(suffix)
            }
            (Some(asked), None) => known.starts_with(asked),
            (Some(asked), Some((prefix, _))) => {
                prefix.starts_with(asked) || asked.starts_with(prefix)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_key_is_the_one_that_everybody_knows() {
        assert_eq!(hex::encode(&digest(b"tg_demo")), DEMO_KEY);
    }

    #[test]
    fn a_key_expires_with_the_first_moment_of_its_day() {
        let team = Arc::new(Team {
            name: "t".into(),
            index: 0,
            models: Patterns::new(["*"]),
            funds: Vec::new(),
            per_model: HashMap::new(),
            per_user: Vec::new(),
            limiter: None,
        });
        let key = Key {
            name: "k".into(),
            team,
            models: None,
            expires: NaiveDate::from_ymd_opt(2027, 1, 1),
            may_start_at: false,
            funds: Vec::new(),
            payers_of_models: HashMap::new(),
            payers: [].into(),
            limiter: None,
        };
        let keys = Keys {
            by_digest: HashMap::from([(digest(b"secret"), Arc::new(key))]),
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(keys.identify(b"secret", at("2026-12-31T23:59:59Z")).is_ok());
        let expired = keys.identify(b"secret", at("2027-01-01T00:00:00Z"));
        assert_eq!(expired.err(), Some(NotIdentified::Expired));
        let unknown = keys.identify(b"Secret", at("2026-01-01T00:00:00Z"));
        assert_eq!(unknown.err(), Some(NotIdentified::Unknown));
    }

    #[test]
    fn patterns_and_names_meet() {
        let known = ["fast".to_owned(), "openai/*".to_owned()];
        for (name, is) in [
            ("fast", true),
            ("fas*", true),
            ("*", true),
            ("openai/gpt", true),
            ("openai/g*", true),
            ("open*", true),
            ("slow", false),
            ("slow*", false),
        ] {
            assert_eq!(is_known(name, &known), is, "{name}");
        }
    }
}
