//! When a second target is asked beside the first, because its answer is late.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::health::Health;
use crate::config::Document;
use crate::config::units::{self, Percent};

/// A second call when the first is slow.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HedgeSection {
    /// When: a duration, or a share of the target's own latest times to the first token, such as `p95` (from `p50` to `p99`).
    pub after: After,
    /// How many of the requests may be asked twice. `5%` by default.
    pub at_most: Option<Percent>,
}

/// When an answer is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// After so long.
    Time(Duration),
    /// After so long as this share, in percent, of the latest answers took to begin.
    Share(u8),
}

/// When a second target is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// When an answer is late.
    pub after: After,
    /// The share of calls, from 0 to 1.
    pub at_most: f64,
}

/// How many second calls may be made beside those to one target.
#[derive(Debug, Default)]
pub struct Hedges(Mutex<f64>);

/// How many are saved up at the most.
const SAVED_MAX: f64 = 10.0;

impl Hedge {
    /// Reads the section at `path`.
    pub fn resolve(section: &HedgeSection, path: &[&str], document: &mut Document) -> Self {
        let HedgeSection { after, at_most } = *section;
        if let After::Time(after) = after
            && after.is_zero()
        {
            document
                .error(
                    &[path, &["after"]].concat(),
                    "with `after: 0` every call would be made twice",
                )
                .help("`p95` is usual");
        }
        Self {
            after,
            at_most: at_most.map_or(0.05, |percent| percent.fraction()),
        }
    }

    /// How long an answer of this target may take to begin; None where too little is known of it.
    pub fn late(&self, health: &Health, stream: bool) -> Option<Duration> {
        match self.after {
            After::Time(after) => Some(after),
            After::Share(percent) => health.latest(stream, percent),
        }
    }
}

impl Hedges {
    /// A call is made to the target, which adds to what may be asked twice.
    pub fn call(&self, hedge: &Hedge) {
        let mut saved = self.0.lock();
        *saved = (*saved + hedge.at_most).min(SAVED_MAX);
    }

    /// Takes the right to a second call.
    pub fn take(&self) -> bool {
        let mut saved = self.0.lock();
        let may = *saved >= 1.0;
        if may {
            *saved -= 1.0;
        }
        may
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = text.strip_prefix('p').and_then(|share| share.parse().ok());
        if let Some(share) = share.filter(|share| (50..=99).contains(share)) {
            return Ok(Self::Share(share));
        }
        let duration = text.parse::<units::Duration>();
        duration
            .map(|duration| Self::Time(duration.0))
            .map_err(|_| {
                de::Error::custom("expected a duration such as `800ms`, or `p50` to `p99`")
            })
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => units::Duration(*time).fmt(f),
            Self::Share(percent) => write!(f, "p{percent}"),
        }
    }
}

impl JsonSchema for After {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "After".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(p[5-9][0-9]|[0-9]+(ms|s|m|h|d))$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_twice_than_may_be() {
        let hedge = Hedge {
            after: After::Share(95),
            at_most: 0.05,
        };
        let hedges = Hedges::default();
        let twice = (0..1_000).filter(|_| {
            hedges.call(&hedge);
            hedges.take()
        });
        assert!((49..=50).contains(&twice.count()));
        // What was saved up while nothing was late is bounded.
        (0..10_000).for_each(|_| hedges.call(&hedge));
        let saved = std::iter::from_fn(|| hedges.take().then_some(())).count();
        assert_eq!(saved, 10);
    }

    #[test]
    fn it_is_written_as_a_share_or_a_duration() {
        let read = |text: &str| serde_json::from_value::<After>(text.into());
        assert_eq!(read("p95").unwrap(), After::Share(95));
        assert_eq!(
            read("800ms").unwrap(),
            After::Time(Duration::from_millis(800))
        );
        for wrong in ["p100", "p5", "soon", "95"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
