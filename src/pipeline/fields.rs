//! Names of header fields that every request meets: parsed once, when the program is compiled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::LazyLock;
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
    value(itoa::Buffer::new().format(number))
}

/// A number that is told again and again, such as a limit. Each thread remembers those that it wrote last.
pub fn constant(number: u64) -> HeaderValue {
    const KNOWN: usize = 16;
    thread_local! {
        static TOLD: RefCell<VecDeque<(u64, HeaderValue)>> = const { RefCell::new(VecDeque::new()) };
    }
    TOLD.with_borrow_mut(|told| {
        let mut known = told.iter();
        if let Some((_, value)) = known.find(|(of, _)| *of == number) {
            return value.clone();
        }
        let value = self::number(number);
        told.truncate(KNOWN - 1);
        told.push_front((number, value.clone()));
        value
    })
}

/// A length of time as OpenAI's rate limit fields have it: `120ms`, `59s`, `6m0s`, `23h59m0s`. Rounded up.
pub fn duration(duration: Duration) -> HeaderValue {
    /// The short ones, which most are: below a second, and below five minutes.
    static SHORT: LazyLock<[Vec<HeaderValue>; 2]> = LazyLock::new(|| {
        let milliseconds = (0..1_000).map(|milliseconds| format!("{milliseconds}ms"));
        let seconds = (0..300).map(written);
        // Values of static texts are copied without counting who has them.
        let of_static = |text: String| HeaderValue::from_static(text.leak());
        [
            milliseconds.map(of_static).collect(),
            seconds.map(of_static).collect(),
        ]
    });
    let milliseconds = duration.subsec_nanos().div_ceil(1_000_000) as usize;
    let [below_a_second, seconds_and_minutes] = &*SHORT;
    if duration.as_secs() == 0 && milliseconds < 1_000 {
        return below_a_second[milliseconds].clone();
    }
    let seconds = duration.as_secs() + u64::from(milliseconds > 0);
    let at = usize::try_from(seconds).unwrap_or(usize::MAX);
    let short = seconds_and_minutes.get(at).cloned();
    short.unwrap_or_else(|| value(&written(seconds)))
}

/// A second or more.
fn written(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits and letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_remembered_by_what_they_are() {
        for round in 0..3 {
            for number in (0..200).chain([u64::MAX, 100_000_000]) {
                assert_eq!(constant(number), *number.to_string(), "{round}");
                assert_eq!(constant(number), *number.to_string(), "{round}");
            }
        }
    }

    #[test]
    fn times_are_written_as_openai_does() {
        for (nanoseconds, text) in [
            (0, "0ms"),
            (1, "1ms"),
            (120_000_000, "120ms"),
            (999_000_001, "1s"),
            (1_000_000_001, "2s"),
            (59_000_000_000, "59s"),
            (60_000_000_001, "1m1s"),
            (299_500_000_000, "5m0s"),
            (360_000_000_000, "6m0s"),
            (86_340_000_000_000, "23h59m0s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
        }
    }
}
