//! Whose fault it was that a call brought no answer.

use std::time::Duration;

use serde::Serialize;

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The credential's: it is unknown, may not do this, has no money, or there is none.
    Credential,
    /// The credential's, or only that this model is not for it.
    Forbidden,
    /// The provider does not know the model.
    Model,
    /// It was too much at this time.
    Limited {
        /// When it is not any more, if the provider said so.
        retry_after: Option<Duration>,
    },
    /// The target's, in this way.
    Failed(&'static str),
    /// The caller's: the target is well.
    Caller,
}

/// Why a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its provider refuses the credential.
    Credential,
    /// Its provider does not know the model, or does not let us use it.
    Model,
    /// It has had too many requests.
    Limited,
    /// It fails.
    Failing,
    /// It answers, but far more slowly than usual.
    Slow,
}

impl Fault {
    /// That of an answer's status: None where it is a success.
    pub const fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        Some(match (status, retry_after) {
            (..300, _) => return None,
            // None is followed.
            (..400, _) => Self::Failed("redirect"),
            (401 | 402, _) => Self::Credential,
            (403, _) => Self::Forbidden,
            (404, _) => Self::Model,
            (429, _) | (503 | 529, Some(_)) => Self::Limited { retry_after },
            // The second is Bedrock's, for a model that failed.
            (408 | 424, _) => Self::Failed("status"),
            (..500, _) => Self::Caller,
            _ => Self::Failed("status"),
        })
    }

    /// Its word in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Forbidden => "forbidden",
            Self::Model => "model",
            Self::Limited { .. } => "limited",
            Self::Failed(what) => what,
            Self::Caller => "caller",
        }
    }
}

impl Why {
    /// Its word in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Model => "model",
            Self::Limited => "limited",
            Self::Failing => "failing",
            Self::Slow => "slow",
        }
    }
}
