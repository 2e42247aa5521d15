//! `logprob_below`: how sure the model was of its tokens.

use super::Outcome;
use crate::dialect::common::Choice;

/// Below which log-probabilities an answer is too doubtful.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Confidence {
    /// Of all tokens.
    pub mean: Option<f64>,
    /// Of the worst tenth of them.
    pub tail: Option<f64>,
}

impl Confidence {
    pub fn judge(&self, choice: &Choice) -> Outcome {
        let tokens = choice.logprobs.iter().map(|token| token.logprob);
        let mut logprobs: Vec<f64> = tokens.filter(|logprob| !logprob.is_nan()).collect();
        if logprobs.is_empty() {
            return Outcome::Unknown;
        }
        let is_below = |threshold: Option<f64>, logprobs: &[f64]| {
            threshold.is_some_and(|threshold| mean(logprobs) < threshold)
        };
        if is_below(self.mean, &logprobs) {
            return Outcome::Fired;
        }
        let worst = logprobs.len().div_ceil(10);
        logprobs.select_nth_unstable_by(worst - 1, f64::total_cmp);
        Outcome::fired_if(is_below(self.tail, &logprobs[..worst]))
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}
