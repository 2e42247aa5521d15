//! `limits`, which teams, keys, models and providers have alike: requests and tokens a time, and how many requests at once.
//!
//! It stands here because the rooms that hold it do not know each other.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Document, units};

/// How much may be asked for. What is not said is not limited.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// Requests a second.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub rps: Option<NonZeroU64>,
    /// Requests a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub rpm: Option<NonZeroU64>,
    /// Requests an hour.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub rph: Option<NonZeroU64>,
    /// Requests a day.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub rpd: Option<NonZeroU64>,
    /// Tokens a second.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub tps: Option<NonZeroU64>,
    /// Tokens a minute.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub tpm: Option<NonZeroU64>,
    /// Tokens an hour.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub tph: Option<NonZeroU64>,
    /// Tokens a day.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub tpd: Option<NonZeroU64>,
    /// Requests that may run at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrency: Option<NonZeroU32>,
    /// Requests that wait for one of those to end. Without it none does.
    pub queue: Option<QueueSection>,
    /// Whether what a provider says of its limits in its answers is gone by, too; it is by default. Of providers only.
    pub learn: Option<bool>,
}

/// Requests that wait because `concurrency` others run.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSection {
    /// How many may wait; more are refused at once.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub max: u32,
    /// How long one waits before it is refused, at most `10m`.
    #[serde(default = "nothing")]
    pub wait: units::Duration,
}

const fn nothing() -> units::Duration {
    units::Duration(Duration::ZERO)
}

/// Longer than any answer takes by default; a caller who waits for more has given up.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// The lengths of the windows, in the order in which [`Limits`] has them: a second, a minute, an hour, a day.
pub const WINDOWS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// How much may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in each of the [`WINDOWS`].
    pub requests: [Option<NonZeroU64>; WINDOWS.len()],
    /// Tokens in each of the [`WINDOWS`].
    pub tokens: [Option<NonZeroU64>; WINDOWS.len()],
    /// Requests at once.
    pub concurrency: Option<Concurrency>,
}

/// How many requests may run at once, and what becomes of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// How many may run.
    pub max: NonZeroU32,
    /// How many more may wait for their turn.
    pub queue_max: u32,
    /// How long one waits.
    pub queue_wait: Duration,
}

impl Limits {
    /// Reads a section, which stands at `path`; mistakes go to `document`.
    pub fn resolve(
        section: Option<&LimitsSection>,
        path: &[&str],
        document: &mut Document,
    ) -> Self {
        let Some(section) = section else {
            return Self::default();
        };
        let requests = [section.rps, section.rpm, section.rph, section.rpd];
        let tokens = [section.tps, section.tpm, section.tph, section.tpd];
        let limits = Self {
            requests,
            tokens,
            concurrency: section.concurrency.map(|max| Concurrency {
                max,
                queue_max: section.queue.map_or(0, |queue| queue.max),
                queue_wait: section.queue.map_or(Duration::ZERO, |queue| queue.wait.0),
            }),
        };
        if section.learn.is_some() && path.first() != Some(&"providers") {
            document
                .error(&[path, &["learn"]].concat(), "`learn` is of providers only")
                .help("their answers say what is left of their limits, and nobody else's do");
        }
        if let Some(queue) = section.queue {
            check_queue(queue, &[path, &["queue"]].concat(), document);
            // A bad `concurrency` is no missing one.
            if !document.has(&[path, &["concurrency"]].concat()) {
                document
                    .error(
                        &[path, &["queue"]].concat(),
                        "a `queue` needs a `concurrency`",
                    )
                    .help("requests wait while so many others run: add `concurrency: 64`");
            }
        } else if document.is_empty(path) {
            document
                .warning(path, "`limits` limits nothing")
                .help("add one, such as `rpm: 600`, or remove it");
        }
        limits
    }

    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn check_queue(queue: QueueSection, path: &[&str], document: &mut Document) {
    if queue.wait.0 > WAIT_MAX {
        document
            .error(&[path, &["wait"]].concat(), "`wait` is at most `10m`")
            .help("a caller who waits for longer has given up");
    }
    if (queue.max == 0) != queue.wait.0.is_zero() {
        let field = if queue.max == 0 { "max" } else { "wait" };
        document
            .warning(path, format!("with `{field}: 0` nobody waits"))
            .help("a queue has both: `queue: { max: 100, wait: 5s }`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessEnvironment;

    #[derive(Deserialize, JsonSchema)]
    struct File {
        #[serde(default)]
        limits: Option<LimitsSection>,
    }

    /// What a section comes to, and what is said about it.
    fn resolve(line: &str) -> (Limits, String) {
        let text = format!("limits: {line}\n");
        let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
        let file: Option<File> = document.read();
        let section = file.and_then(|file| file.limits);
        let limits = Limits::resolve(section.as_ref(), &["limits"], &mut document);
        (limits, document.finish().to_string())
    }

    #[test]
    fn what_is_not_said_is_not_limited() {
        let (limits, said) = resolve("{ rpm: 600, tpd: 2000000, concurrency: 64 }");
        assert!(said.contains("0 errors, 0 warnings"), "{said}");
        let expected = Limits {
            requests: [None, NonZeroU64::new(600), None, None],
            tokens: [None, None, None, NonZeroU64::new(2_000_000)],
            concurrency: Some(Concurrency {
                max: NonZeroU32::new(64).unwrap(),
                queue_max: 0,
                queue_wait: Duration::ZERO,
            }),
        };
        assert_eq!(limits, expected);
        let (limits, said) = resolve("{ concurrency: 1, queue: { max: 9, wait: 5s } }");
        assert!(said.contains("0 errors, 0 warnings"), "{said}");
        let concurrency = limits.concurrency.unwrap();
        assert_eq!(concurrency.queue_max, 9);
        assert_eq!(concurrency.queue_wait, Duration::from_secs(5));
    }

    #[test]
    fn limits_that_cannot_be_meant_are_told() {
        for (line, mistake) in [
            (
                "{ rpm: 0 }",
                "`limits.rpm` must be a whole number from 1 to 1000000000000, not `0`",
            ),
            (
                "{ tpm: 1000000000001 }",
                "`limits.tpm` must be a whole number from 1 to 1000000000000",
            ),
            ("{ rps: 1.5 }", "`limits.rps` must be a whole number"),
            ("{ rqm: 5 }", "unknown field `rqm`"),
            ("{ learn: false }", "`learn` is of providers only"),
            ("[ { rpm: 5 } ]", "`limits` must be a mapping, not a list"),
            (
                "{ queue: { max: 5, wait: 1s } }",
                "a `queue` needs a `concurrency`",
            ),
            (
                "{ concurrency: 1, queue: { max: 5, wait: 11m } }",
                "`wait` is at most `10m`",
            ),
            (
                "{ concurrency: 0, queue: { max: 5, wait: 1s } }",
                "must be a whole number from 1",
            ),
        ] {
            let (_, said) = resolve(line);
            assert!(said.contains(mistake), "{line}: {said}");
            assert!(said.contains("1 error, 0 warnings"), "{line}: {said}");
        }
        for (line, oddity) in [
            ("{}", "`limits` limits nothing"),
            (
                "{ concurrency: 1, queue: { max: 5 } }",
                "with `wait: 0` nobody waits",
            ),
            (
                "{ concurrency: 1, queue: { wait: 5s } }",
                "with `max: 0` nobody waits",
            ),
        ] {
            let (_, said) = resolve(line);
            assert!(said.contains(oddity), "{line}: {said}");
            assert!(said.contains("0 errors, 1 warning"), "{line}: {said}");
        }
    }
}
