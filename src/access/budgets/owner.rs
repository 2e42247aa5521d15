//! Whose money it is.

use std::fmt;
use std::sync::Arc;

use super::window::{Per, Windows};
use crate::access::Patterns;
use crate::spend::ledger::Spent;

/// Whose money it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A team's.
    Team(Arc<str>),
    /// A key's, by its team and its name.
    Key(Arc<str>, Arc<str>),
    /// A team's for one model, or for those of a pattern.
    Model(Arc<str>, Arc<str>),
    /// A user's, by the team and what requests call him; or that of all requests that name nobody.
    User(Arc<str>, Arc<str>),
    /// That of all users of a team who are too many to be told apart.
    Others(Arc<str>),
}

impl Owner {
    /// The name of his book with such windows.
    pub fn book(&self, windows: &Windows) -> Arc<str> {
        let path = match self {
            Self::Team(team) => format!("team:{team}"),
            Self::Key(team, key) => format!("key:{team}/{key}"),
            Self::Model(team, model) => format!("model:{team}/{model}"),
            Self::User(team, user) => format!("{}{user}", users_of(team)),
            Self::Others(team) => format!("users:{team}"),
        };
        (path + &suffix(windows)).into()
    }

    /// Whose book of a user of that team has this name, with such windows.
    pub fn user_of<'n>(name: &'n str, team: &str, windows: &Windows) -> Option<&'n str> {
        let user = name.strip_prefix(&users_of(team))?;
        user.strip_suffix(&suffix(windows))
    }

    /// Whether a book of that name is a user's, or that of several.
    pub fn is_users(name: &str) -> bool {
        name.starts_with("user:") || name.starts_with("users:")
    }

    /// The team.
    pub const fn team(&self) -> &Arc<str> {
        match self {
            Self::Team(team)
            | Self::Key(team, _)
            | Self::Model(team, _)
            | Self::User(team, _)
            | Self::Others(team) => team,
        }
    }

    /// The key's name, of a key.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(_, key) => Some(key),
            _ => None,
        }
    }

    /// The model's name or pattern, where it is for a model.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(_, model) => Some(model),
            _ => None,
        }
    }

    /// What requests call a user; empty where they name nobody.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User(_, user) => Some(user),
            _ => None,
        }
    }

    /// Whether what was spent is the owner's. Of users no sums are kept.
    pub fn has(&self, spent: &Spent) -> bool {
        *spent.team == **self.team()
            && match self {
                Self::Team(_) => true,
                Self::Key(_, key) => *spent.key == **key,
                Self::Model(_, model) => Patterns::new([&**model]).allow(&spent.model),
                Self::User(..) | Self::Others(_) => false,
            }
    }
}

/// What the books of a team's users begin with. A caller chooses what follows: so that he cannot choose another team's, its name
/// ends at the first slash.
fn users_of(team: &str) -> String {
    let team = team.replace('%', "%25").replace('/', "%2F");
    format!("user:{team}/")
}

fn suffix(windows: &Windows) -> String {
    match windows.per {
        Per::Total => "|total".to_owned(),
        per => format!("|{}|{}", per.name(), windows.zone),
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Team(team) => write!(f, "the team `{team}`"),
            Self::Key(_, key) => write!(f, "the key `{key}`"),
            Self::Model(team, model) => write!(f, "the team `{team}` for the model `{model}`"),
            Self::User(team, user) if user.is_empty() => {
                write!(f, "requests of the team `{team}` that name no `user`")
            }
            Self::User(team, user) => write!(f, "the user `{user}` of the team `{team}`"),
            Self::Others(team) => write!(
                f,
                "all users of the team `{team}` together who are beyond its `users_max`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_book_is_no_other_teams_whatever_he_calls_himself() {
        let windows = |per| Windows {
            per,
            zone: chrono_tz::UTC,
        };
        let day = windows(Per::Day);
        let owner = |team: &str, user: &str| Owner::User(team.into(), user.into());
        let name = owner("search", "ann").book(&day);
        assert_eq!(*name, *"user:search/ann|day|UTC");
        for user in ["", "ann", "a/b", "a|day|UTC", "%2F", "|total"] {
            for team in ["a", "a/b", "a%2Fb", "a|b"] {
                let name = owner(team, user).book(&day);
                for other in ["a", "a/b", "a%2Fb", "a|b"] {
                    let found = Owner::user_of(&name, other, &day);
                    assert_eq!(found, (other == team).then_some(user), "{name} of {other}");
                }
                assert_eq!(Owner::user_of(&name, team, &windows(Per::Total)), None);
            }
        }
        let others = Owner::Others("a".into()).book(&day);
        assert_eq!(Owner::user_of(&others, "a", &day), None);
    }
}
