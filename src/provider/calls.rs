//! What a provider, a model and the defaults say alike of calls: their time, repeats and circuits.

use std::time::Duration;

use super::section::{HealthSection, RetrySection, TimeoutSection};
use crate::config::{Document, ScalarOr};

/// The longest pause before a repeat: callers wait meanwhile.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Tells the mistakes that the schema does not know.
pub fn check_calls(
    path: &[&str],
    timeout: &TimeoutSection,
    retry: Option<&RetrySection>,
    health: Option<&HealthSection>,
    document: &mut Document,
) {
    check_timeouts(path, timeout, document);
    check_retry(path, retry, document);
    check_health(path, health, document);
}

/// No time at all is never enough.
fn check_timeouts(path: &[&str], timeout: &TimeoutSection, document: &mut Document) {
    let fields = [
        ("connect", timeout.connect),
        ("first_token", timeout.first_token),
        ("between_tokens", timeout.between_tokens),
        ("total", timeout.total),
        ("attempt", timeout.attempt),
    ];
    for (field, limit) in fields {
        if limit.is_some_and(|limit| limit.0.is_zero()) {
            let place = [path, &["timeout", field]].concat();
            document
                .error(&place, format!("with `{field}: 0` every call would fail"))
                .help("leave it out for its default");
        }
    }
}

/// Pauses are for callers who wait.
fn check_retry(path: &[&str], retry: Option<&RetrySection>, document: &mut Document) {
    let backoff = retry.and_then(|retry| retry.backoff);
    if backoff.is_some_and(|backoff| backoff.high.0 > BACKOFF_MAX) {
        document
            .error(
                &[path, &["retry", "backoff"]].concat(),
                "the pause before a repeat is at most 1m",
            )
            .help("`200ms..2s` is its default");
    }
}

/// An open circuit is tried again and again: not without a pause.
fn check_health(path: &[&str], health: Option<&HealthSection>, document: &mut Document) {
    if let Some(ScalarOr::Collection(circuit)) = health
        && circuit.probe_every.is_some_and(|pause| pause.0.is_zero())
    {
        document
            .error(
                &[path, &["health", "probe_every"]].concat(),
                "with `probe_every: 0` a circuit would never be open",
            )
            .help("`health: off` is no circuit");
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::config::ProcessEnvironment;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        timeout: TimeoutSection,
        retry: Option<RetrySection>,
        health: Option<HealthSection>,
    }

    /// What is said of a file.
    fn said(text: &str) -> String {
        let mut document = Document::parse("a.yaml", text, &ProcessEnvironment);
        if let Some(File {
            timeout,
            retry,
            health,
        }) = document.read::<File>()
        {
            check_calls(
                &[],
                &timeout,
                retry.as_ref(),
                health.as_ref(),
                &mut document,
            );
        }
        document.finish().to_string()
    }

    #[test]
    fn what_can_work_is_taken() {
        for text in [
            "health: off",
            "health: { open_after: 1, probe_every: 1s, slow: off }",
            "health: { slow: 2.5x }",
            "retry: { attempts: 10, backoff: 0s..1m, budget: 100% }",
            "retry: { attempts: 1, budget: 0% }",
            "timeout: { attempt: 20s }",
        ] {
            let said = said(text);
            assert!(said.contains("0 errors, 0 warnings"), "{text}: {said}");
        }
    }

    #[test]
    fn what_cannot_work_is_told_where_it_stands() {
        for (text, expected) in [
            ("retry: { attempts: 0 }", "a.yaml:1:20: error: "),
            ("retry: { attempts: 11 }", "a.yaml:1:20: error: "),
            (
                "retry: { backoff: 1s..2m }",
                "a.yaml:1:19: error: the pause before a repeat is at most 1m",
            ),
            ("retry: { budget: 20 }", "a.yaml:1:18: error: "),
            ("health: { open_after: 0 }", "a.yaml:1:23: error: "),
            ("health: { open_after: 1001 }", "a.yaml:1:23: error: "),
            (
                "health: { probe_every: 0s }",
                "a.yaml:1:24: error: with `probe_every: 0`",
            ),
            ("health: { slow: 0.5x }", "a.yaml:1:17: error: "),
            ("health: on", "a.yaml:1:9: error: "),
            (
                "timeout: { attempt: 0s }",
                "a.yaml:1:21: error: with `attempt: 0` every call would fail",
            ),
        ] {
            let said = said(text);
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
