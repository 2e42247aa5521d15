//! One attempt, as the ledger keeps it.

use std::sync::Arc;

use crate::dialect::Usage;
use crate::spend::Usd;

/// What one attempt used and cost, or a correction of that. Rows are only ever added. The default is one of nobody that says
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row<'a> {
    /// Its own: a row that is handed in twice, with the same time, is kept once. Ids made later sort behind.
    pub id: uuid::Uuid,
    /// When the attempt began, in milliseconds of Unix time.
    pub time_ms: i64,
    /// The request that the attempt belongs to, as `x-request-id` says it.
    pub request_id: &'a str,
    /// Which of its attempts it was, from 1.
    pub attempt: u32,
    /// Who pays.
    pub team: &'a str,
    /// With which key, by its name.
    pub key: &'a str,
    /// The model that the caller asked for.
    pub model: &'a str,
    /// The target that was called: `provider/model`; empty where none was (an answer from the cache).
    pub target: &'a str,
    /// What was used.
    pub usage: Usage,
    /// Whether that was counted by us, because the provider did not say.
    pub estimated: bool,
    /// What it cost; None where the target has no price.
    pub cost: Option<Usd>,
    /// The price that it was computed with.
    pub price: Option<&'a Arc<PriceUsed>>,
    /// What the cache said.
    pub cache: CacheResult,
    /// What was not spent, because of the cache or of a cheaper step of a chain.
    pub savings: Usd,
    /// The HTTP status of the attempt: the provider's, or what its failure became.
    pub status: u16,
    /// What became of it, as `x-tollgate-route` says it: the gate that its answer did not pass, or how it failed. None if its
    /// answer went to the caller.
    pub verdict: Option<&'a str>,
    /// How long the attempt took, in milliseconds.
    pub latency_ms: u32,
    /// Whether it was a stream.
    pub stream: bool,
    /// The caller's `user`, at most [`USER_MAX`] bytes; empty where there is none.
    pub user: &'a str,
    /// The caller's `metadata`, a JSON object of at most [`METADATA_MAX`] bytes; empty where there is none.
    pub metadata: &'a str,
    /// Why a correction was made; None in rows of attempts.
    pub reason: Option<&'a str>,
}

impl<'a> Row<'a> {
    /// Its texts.
    pub(super) const fn texts(&self) -> [Option<&'a str>; TEXTS] {
        [
            Some(self.request_id),
            Some(self.team),
            Some(self.key),
            Some(self.model),
            Some(self.target),
            Some(self.user),
            Some(self.metadata),
            self.verdict,
            self.reason,
        ]
    }

    /// The same row with those texts.
    #[inline(always)]
    pub(super) fn with_texts(self, texts: [Option<&'a str>; TEXTS]) -> Self {
        let [
            request_id,
            team,
            key,
            model,
            target,
            user,
            metadata,
            verdict,
            reason,
        ] = texts;
        Self {
            request_id: request_id.unwrap_or_default(),
            team: team.unwrap_or_default(),
            key: key.unwrap_or_default(),
            model: model.unwrap_or_default(),
            target: target.unwrap_or_default(),
            user: user.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            verdict,
            reason,
            ..self
        }
    }
}

/// How many texts a row has.
pub(super) const TEXTS: usize = 9;

/// The largest `user` that is kept, in bytes.
pub const USER_MAX: usize = 256;

/// The largest `metadata` that is kept, in bytes.
pub const METADATA_MAX: usize = 4096;

/// A price as it was when it was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceUsed {
    /// Tells it from every other price, whatever becomes of the catalogue: its entry's name and a digest of its figures.
    pub id: String,
    /// Its figures, as JSON.
    pub json: String,
}

/// What the cache had to say to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheResult {
    /// It was not asked.
    #[default]
    Off,
    /// It had the answer to the same request.
    Hit,
    /// It had the answer to a request that means the same.
    Semantic,
    /// It had none.
    Miss,
}

impl CacheResult {
    /// As `x-tollgate-cache` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Miss => "miss",
        }
    }
}
