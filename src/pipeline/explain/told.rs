//! What is told of a request, as JSON.

use serde::Serialize;

use crate::route::pick::Pick;

/// What would happen to a request.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // docs/reliability.md is the reference
pub struct Explanation {
    pub model: String,
    /// The model's name in the file: a pattern, where the request's is matched by one.
    pub configured_as: String,
    pub dialect: &'static str,
    pub stream: bool,
    /// Who is asked first.
    pub target: Option<String>,
    pub total_ms: u64,
    pub max_output_tokens: Option<u64>,
    pub strict: bool,
    /// Whether another target goes on with a stream that breaks.
    pub r#continue: bool,
    /// When a second target is asked beside the first.
    pub hedge: Option<HedgeTold>,
    pub steps: Vec<StepTold>,
    /// The calls, one after the other, if each of them fails.
    pub if_all_fail: Vec<Call>,
}

/// A second call, where the first one's answer is late.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // the names are those of the file
pub struct HedgeTold {
    pub after: String,
    /// The share of calls, from 0 to 1.
    pub at_most: f64,
    /// Who is asked beside the first, if anybody can be.
    pub target: Option<String>,
}

/// A step of the model.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // docs/reliability.md is the reference
pub struct StepTold {
    pub pick: Pick,
    pub escalate_when: Vec<&'static str>,
    /// How much of a stream is held back: `none`, `all`, or of how many tokens.
    pub hold: String,
    /// In the order in which they are asked; those that are not come last.
    pub targets: Vec<TargetTold>,
}

/// A target of a step.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // docs/reliability.md is the reference
pub struct TargetTold {
    pub target: String,
    pub weight: u32,
    /// Why it is not asked, if it is not.
    pub skipped: Option<String>,
    /// The dialect that it is asked in.
    pub dialect: Option<&'static str>,
    /// Whether that is another one than the caller's.
    pub is_translated: bool,
    /// What of the request it cannot carry.
    pub dropped: Vec<String>,
    pub attempts: u32,
    pub backoff_ms: [u64; 2],
    pub timeout_ms: TimeoutsTold,
    pub window_tokens: Option<u64>,
    pub cost: Cost,
}

/// How long a call may take, in milliseconds.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // the names are those of the file
pub struct TimeoutsTold {
    pub connect: u64,
    pub first_token: u64,
    pub between_tokens: u64,
    pub total: u64,
    pub attempt: Option<u64>,
}

/// What a call costs, in US dollars.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // docs/reliability.md is the reference
pub struct Cost {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// By these tokens.
    pub expected_usd: Option<String>,
    pub worst_output_tokens: Option<u64>,
    /// The most that it can be.
    pub worst_usd: Option<String>,
    /// Why one of them is not known.
    pub unknown: Option<String>,
}

/// A call of a request that fails everywhere.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // docs/reliability.md is the reference
pub struct Call {
    pub target: String,
    pub step: usize,
    /// The pause before it.
    pub after_ms: u64,
}
