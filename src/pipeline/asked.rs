//! What is asked, for whom, and under which configuration: what every attempt of a request needs to know.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{HeaderName, HeaderValue};

use super::gateway::Gateway;
use crate::access::Key;
use crate::dialect::{Demand, Framing, Incoming};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;

/// A request that may be answered.
pub struct Asked<'a> {
    pub gateway: &'a Gateway,
    pub snapshot: &'a Snapshot,
    pub incoming: &'a Arc<Incoming>,
    pub key: &'a Key,
    pub model: &'a Model,
    /// What the `*` of the model's name stands for.
    pub star: &'a str,
    /// How a stream is framed for the caller.
    pub framing: Framing,
    /// The caller's fields that go upstream.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Whether a stream's usage shall tell its cost.
    pub is_metered: bool,
    /// What bounds its use, once somebody has asked.
    pub demand: OnceLock<Box<Demand>>,
}

impl Asked<'_> {
    /// What bounds its use.
    pub fn demand(&self) -> &Demand {
        self.demand.get_or_init(|| Box::new(self.incoming.demand()))
    }

    /// The target at a spot of its model's.
    pub fn target(&self, spot: usize) -> Target {
        self.model.target(spot, self.star)
    }
}
