//! Whole answers.

pub mod finish;
pub mod sources;
pub mod usage;
mod write;

pub use write::write_answer;
pub(super) use write::{Spoken, call, logprobs};

use serde::Deserialize;

use super::stream::Reader;
use super::wire;
use crate::dialect::common::{Answer, Collector, Context, Delta, Malformed, Usage};

/// Reads a provider's whole answer.
///
/// # Errors
/// It is no answer: not JSON, an error, or without a candidate and a reason for that.
pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> {
    let wire: wire::Answer<'_> = serde_json::from_slice(body)?;
    let mut reader = Reader::new(context);
    let mut deltas = Vec::new();
    reader.take(wire, &mut deltas)?;
    if !reader.has_answer() {
        let what = "neither a candidate nor a reason for there being none";
        return Err(Malformed(what.to_owned()));
    }
    reader.settle(&mut deltas);
    deltas.push(Delta::End);
    let mut collector = Collector::default();
    for delta in deltas {
        collector.push(delta);
    }
    let whole = collector.finish();
    whole.map_err(|_| Malformed("an error in the place of an answer".to_owned()))
}

/// What a whole answer cost, if it says so.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"))]
    struct OnlyUsage<'a> {
        #[serde(rename = "usageMetadata", alias = "usage_metadata")]
        usage: Option<wire::Usage<'a>>,
    }

    let answer: OnlyUsage<'_> = serde_json::from_slice(answer).ok()?;
    Some(usage::read(&answer.usage?).0)
}
