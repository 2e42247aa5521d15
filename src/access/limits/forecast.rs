//! How many tokens a request will use, by what others of its model used.
//!
//! Limits of tokens are taken from before the answer is known. What `max_tokens` allows is seldom used, so to reserve that
//! would refuse callers who keep their limit, and nothing would be reserved of requests that do not say it. So it is the mean
//! of what was used and the mean deviation from it: for requests that are alike that is exact, and for others a little much.

use std::sync::atomic::{AtomicU64, Ordering};

/// What an observation weighs.
const WEIGHT: f32 = 1.0 / 16.0;

/// Bytes of a request that are taken for a token before anything is known.
const TOKEN_BYTES: f32 = 4.0;

/// Tokens of an answer, before anything is known.
const OUTPUT: f32 = 500.0;

/// What requests for one model have used. Of two that end at the same moment it may learn from one alone.
#[derive(Debug, Default)]
pub struct Forecast {
    /// Tokens of a request, for each byte.
    input: Learned,
    output: Learned,
}

/// A mean and a deviation, as the bits of both; all of them 1 before anything is known.
#[derive(Debug)]
struct Learned(AtomicU64);

const NOTHING: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Mean {
    mean: f32,
    deviation: f32,
}

impl Forecast {
    /// Tokens that a request of so many bytes will use, whose answer may have `output_max`.
    pub fn tokens(&self, bytes: usize, output_max: Option<u64>) -> u64 {
        let (input, output) = self.parts(bytes, output_max);
        input.saturating_add(output)
    }

    /// The same, those of input and those of output.
    pub fn parts(&self, bytes: usize, output_max: Option<u64>) -> (u64, u64) {
        let input = self.input.get().map_or(1.0 / TOKEN_BYTES, Mean::high);
        let output = self.output.get().map_or(OUTPUT, Mean::high);
        let input = (f64::from(input) * bytes as f64).round() as u64;
        let output = output.round() as u64;
        (input, output_max.map_or(output, |max| max.min(output)))
    }

    /// Learns from what a request of so many bytes has used.
    pub fn learn(&self, bytes: usize, input_tokens: u64, output_tokens: u64) {
        if bytes > 0 {
            self.input.learn(input_tokens as f32 / bytes as f32);
            self.output.learn(output_tokens as f32);
        }
    }
}

impl Learned {
    fn get(&self) -> Option<Mean> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != NOTHING).then(|| Mean {
            mean: f32::from_bits((bits >> 32) as u32),
            deviation: f32::from_bits(bits as u32),
        })
    }

    fn learn(&self, value: f32) {
        let Mean { mean, deviation } = match self.get() {
            Some(known) => known.next(value),
            None => Mean {
                mean: value,
                deviation: 0.0,
            },
        };
        let bits = u64::from(mean.to_bits()) << 32 | u64::from(deviation.to_bits());
        // What changes nothing need not be told to the other cores.
        if bits != self.0.load(Ordering::Relaxed) {
            self.0.store(bits, Ordering::Relaxed);
        }
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self(AtomicU64::new(NOTHING))
    }
}

impl Mean {
    fn next(self, value: f32) -> Self {
        let error = value - self.mean;
        Self {
            mean: self.mean + WEIGHT * error,
            deviation: self.deviation + WEIGHT * (error.abs() - self.deviation),
        }
    }

    fn high(self) -> f32 {
        self.mean + self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_are_alike_are_foretold_exactly() {
        let forecast = Forecast::default();
        assert_eq!(forecast.tokens(400, None), 600);
        assert_eq!(forecast.tokens(400, Some(10)), 110);
        forecast.learn(400, 93, 41);
        forecast.learn(400, 93, 41);
        assert_eq!(forecast.tokens(400, None), 134);
        assert_eq!(forecast.tokens(800, Some(9)), 195);
    }

    #[test]
    fn requests_that_differ_are_foretold_a_little_high() {
        let forecast = Forecast::default();
        let used = |n: u64| 100 + 97 * n % 200;
        (0..200).for_each(|n| forecast.learn(400, 100, used(n)));
        let foretold: u64 = (0..200).map(|_| forecast.tokens(400, None)).sum();
        let real: u64 = (0..200).map(|n| 100 + used(n)).sum();
        let ratio = foretold as f64 / real as f64;
        assert!((1.0..1.35).contains(&ratio), "{ratio}");
    }

    #[test]
    fn an_empty_request_teaches_nothing() {
        let forecast = Forecast::default();
        forecast.learn(0, 10, 10);
        assert_eq!(forecast.tokens(0, None), 500);
    }
}
