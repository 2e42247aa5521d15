//! What an answer says of its provider's limits, in header fields that every provider names and writes in its own way.
//!
//! Sources: OpenAI's guide "Rate limits", Anthropic's page "Rate limits", Groq's, Cerebras's and OpenRouter's of the same
//! name, Azure's "Manage quota", and what Mistral answers. What has another form is not there.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{UNITS, Unit};

/// What an answer says of its provider's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Of each unit the limit of which the least is left.
    pub quotas: [Option<Quota>; UNITS],
    /// When it takes requests again, where it refuses this one because it has too many.
    pub retry_after: Option<Duration>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// All of it, where that is said.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: u64,
    /// When all of it is there again.
    pub reset: Reset,
    /// Whether it comes back little by little until then, and not all at once.
    pub is_steady: bool,
}

/// When all of a limit is there again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reset {
    /// So long after the provider looked, which is when the request came.
    After(Duration),
    /// Then.
    At(Instant),
}

/// Longer than any window. It keeps sums of times in their bounds.
const RESET_MAX: Duration = Duration::from_secs(40 * 24 * 60 * 60);

/// A number below is of seconds, and from there on a time since 1970, which is of milliseconds from [`EPOCH_MS_MIN`] on.
const EPOCH_MIN: f64 = 1e9;
const EPOCH_MS_MIN: f64 = 1e12;

static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What fields call the limits that they tell of, and what each is of.
const NAMES: [(&str, Unit); 13] = [
    ("requests", Unit::Requests),
    ("tokens", Unit::Tokens),
    ("input-tokens", Unit::InputTokens),
    ("output-tokens", Unit::OutputTokens),
    ("requests-second", Unit::Requests),
    ("requests-minute", Unit::Requests),
    ("req-minute", Unit::Requests),
    ("requests-hour", Unit::Requests),
    ("requests-day", Unit::Requests),
    ("tokens-minute", Unit::Tokens),
    ("tokens-hour", Unit::Tokens),
    ("tokens-day", Unit::Tokens),
    ("bysize", Unit::Tokens),
];

/// What the fields of one limit say.
#[derive(Clone, Copy, Default)]
struct Said {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<(Reset, bool)>,
}

/// What a field tells of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Limit,
    Remaining,
    Reset,
}

/// The moment at which an answer is read.
struct Clock<'a> {
    fields: &'a HeaderMap,
    now: Instant,
    utc: DateTime<Utc>,
}

impl Told {
    /// Reads the fields of an answer that has come just now.
    pub fn read(status: StatusCode, fields: &HeaderMap, now: Instant, utc: DateTime<Utc>) -> Self {
        let clock = Clock { fields, now, utc };
        let mut said = [Said::default(); NAMES.len()];
        for (name, value) in fields {
            let Some((place, part)) = place(name.as_str()) else {
                continue;
            };
            let text = value.to_str().unwrap_or_default().trim();
            let said = &mut said[place];
            match part {
                Part::Limit => said.limit = text.parse().ok(),
                Part::Remaining => said.remaining = text.parse().ok(),
                Part::Reset => said.reset = reset(text, &clock),
            }
        }
        let mut told = Self::default();
        for (said, (_, unit)) in said.iter().zip(NAMES) {
            let nearest = &mut told.quotas[unit as usize];
            let quota = said.quota();
            if let Some(quota) = quota
                && nearest.is_none_or(|other| quota.remaining < other.remaining)
            {
                *nearest = Some(quota);
            }
        }
        if is_refusal(status) {
            told.retry_after = retry_after(&clock);
        }
        told
    }
}

/// Whether a provider says by this status that it has too many requests, if it says when to come again.
pub fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

impl Said {
    /// What is to be gone by: what has no end is not, nor is a limit under which nothing could ever be sent.
    fn quota(&self) -> Option<Quota> {
        let (reset, is_steady) = self.reset?;
        Some(Quota {
            limit: self.limit,
            remaining: self.remaining?,
            reset,
            is_steady,
        })
        .filter(|quota| quota.limit != Some(0))
    }
}

/// The limit that a field is about, by its place in [`NAMES`], and what the field tells of it.
fn place(name: &str) -> Option<(usize, Part)> {
    let (kind, part) = if let Some(rest) = name.strip_prefix("x-ratelimit-") {
        // OpenRouter's and Together's are of requests, and do not say so.
        let (part, kind) = rest.split_once('-').unwrap_or((rest, "requests"));
        (kind, part)
    } else if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        rest.rsplit_once('-')?
    } else {
        let name = name.strip_prefix("x-").unwrap_or(name);
        let part = name.strip_prefix("ratelimitbysize-")?;
        ("bysize", part.strip_suffix("-minute").unwrap_or(part))
    };
    let part = match part {
        "limit" => Part::Limit,
        "remaining" => Part::Remaining,
        "reset" => Part::Reset,
        _ => return None,
    };
    let place = NAMES.iter().position(|(name, _)| *name == kind)?;
    Some((place, part))
}

/// When all is there again, and whether it comes back little by little: it does with OpenAI and Groq, who write `6m0s`, and
/// with Anthropic, who writes a date. A bare number is the end of a window.
fn reset(text: &str, clock: &Clock<'_>) -> Option<(Reset, bool)> {
    if let Some(number) = number(text) {
        let milliseconds = match number {
            ..EPOCH_MIN => return Some((Reset::After(seconds(number)?), false)),
            ..EPOCH_MS_MIN => number * 1e3,
            _ => number,
        };
        let time = DateTime::from_timestamp_millis(milliseconds as i64)?;
        return Some((Reset::At(clock.instant(time)), false));
    }
    if let Some(duration) = duration(text) {
        return Some((Reset::After(duration), true));
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some((Reset::At(clock.instant(time.to_utc())), true))
}

/// When to come again: in milliseconds, seconds, or as a date.
fn retry_after(clock: &Clock<'_>) -> Option<Duration> {
    let text = |name: &HeaderName| clock.fields.get(name)?.to_str().ok();
    if let Some(milliseconds) = text(&RETRY_AFTER_MS).and_then(number) {
        return seconds(milliseconds / 1e3);
    }
    let text = text(&header::RETRY_AFTER)?;
    if let Some(number) = number(text) {
        return seconds(number);
    }
    let time = DateTime::parse_from_rfc2822(text).ok()?;
    let ahead = clock.instant(time.to_utc());
    Some(ahead.saturating_duration_since(clock.now))
}

/// A number without a sign or an exponent.
fn number(text: &str) -> Option<f64> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok())?
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(RESET_MAX.as_secs_f64())).ok()
}

/// A length of time as Go writes it: `6m0s`, `1m26.4s`, `20ms`.
fn duration(text: &str) -> Option<Duration> {
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|letter| !is_of_number(letter))?);
        let (unit, next) = behind.split_at(behind.find(is_of_number).unwrap_or(behind.len()));
        total += number(digits)?
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = next;
    }
    seconds(total).filter(|_| !text.is_empty())
}

impl Clock<'_> {
    /// A time on the provider's clock, on ours.
    fn instant(&self, time: DateTime<Utc>) -> Instant {
        let ahead = (time - self.provider_utc()).to_std().unwrap_or_default();
        self.now + ahead.min(RESET_MAX)
    }

    /// What the provider's clock shows: what ours does, within the second that its answer has as its date.
    fn provider_utc(&self) -> DateTime<Utc> {
        let date = self.fields.get(header::DATE);
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        match date.map(|date| date.to_utc()) {
            Some(date) => self.utc.clamp(date, date + TimeDelta::seconds(1)),
            None => self.utc,
        }
    }
}
