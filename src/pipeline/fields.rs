//! Names of header fields that every request meets: parsed once, when the program is compiled.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

macro_rules! fields {
    ($($name:ident = $text:literal;)*) => {
        $(pub static $name: HeaderName = HeaderName::from_static($text);)*
    };
}

fields! {
    ANTHROPIC_VERSION = "anthropic-version";
    API_KEY = "api-key";
    X_API_KEY = "x-api-key";
    X_ATTEMPTS = "x-tollgate-attempts";
    X_CACHE = "x-tollgate-cache";
    X_AMZN_ERRORTYPE = "x-amzn-errortype";
    X_COST = "x-tollgate-cost-usd";
    X_COST_WHERE = "x-tollgate-cost";
    X_DROPPED = "x-tollgate-dropped";
    X_ESTIMATED = "x-tollgate-estimated";
    X_GOOG_API_KEY = "x-goog-api-key";
    X_MAX_TOKENS = "x-tollgate-max-tokens";
    X_MODEL = "x-tollgate-model";
    RETRY_AFTER_MS = "retry-after-ms";
    X_RATELIMIT_LIMIT_REQUESTS = "x-ratelimit-limit-requests";
    X_RATELIMIT_LIMIT_TOKENS = "x-ratelimit-limit-tokens";
    X_RATELIMIT_REMAINING_REQUESTS = "x-ratelimit-remaining-requests";
    X_RATELIMIT_REMAINING_TOKENS = "x-ratelimit-remaining-tokens";
    X_RATELIMIT_RESET_REQUESTS = "x-ratelimit-reset-requests";
    X_RATELIMIT_RESET_TOKENS = "x-ratelimit-reset-tokens";
    X_REQUEST_ID = "x-request-id";
    X_ROUTE = "x-tollgate-route";
    X_SHOULD_RETRY = "x-should-retry";
    X_START_AT = "x-tollgate-start-at";
    X_TIMEOUT = "x-tollgate-timeout";
    X_UPSTREAM_REQUEST_ID = "x-upstream-request-id";
}

/// Limit, remaining, reset.
pub static X_RATELIMIT_REQUESTS: [&HeaderName; 3] = [
    &X_RATELIMIT_LIMIT_REQUESTS,
    &X_RATELIMIT_REMAINING_REQUESTS,
    &X_RATELIMIT_RESET_REQUESTS,
];

/// Limit, remaining, reset.
pub static X_RATELIMIT_TOKENS: [&HeaderName; 3] = [
    &X_RATELIMIT_LIMIT_TOKENS,
    &X_RATELIMIT_REMAINING_TOKENS,
    &X_RATELIMIT_RESET_TOKENS,
];

/// A number as a field has it.
pub fn number(number: u64) -> HeaderValue {
    Text::default().with(number, "").value()
}

/// A length of time as OpenAI's rate limit fields have it: `120ms`, `59s`, `6m0s`, `23h59m0s`. Rounded up.
pub fn duration(duration: Duration) -> HeaderValue {
    let milliseconds = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
    if duration.as_secs() == 0 && milliseconds < 1_000 {
        return Text::default().with(milliseconds, "ms").value();
    }
    let seconds = duration.as_secs() + u64::from(milliseconds > 0);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = Text::default();
    if hours > 0 {
        text = text.with(hours, "h");
    }
    if hours > 0 || minutes > 0 {
        text = text.with(minutes, "m");
    }
    text.with(seconds % 60, "s").value()
}

/// Numbers with their units, written on the stack: the only allocation is the value's, and every answer has some.
#[derive(Default)]
struct Text {
    bytes: [u8; 32],
    length: usize,
}

impl Text {
    fn with(mut self, number: u64, unit: &str) -> Self {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        let (place, behind) = self.bytes[self.length..].split_at_mut(digits);
        let mut rest = number;
        for digit in place.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        behind[..unit.len()].copy_from_slice(unit.as_bytes());
        self.length += digits + unit.len();
        self
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes[..self.length]).expect("digits and letters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_does() {
        for (nanoseconds, text) in [
            (0, "0ms"),
            (1, "1ms"),
            (120_000_000, "120ms"),
            (999_000_001, "1s"),
            (1_000_000_001, "2s"),
            (59_000_000_000, "59s"),
            (360_000_000_000, "6m0s"),
            (86_340_000_000_000, "23h59m0s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
        }
    }
}
