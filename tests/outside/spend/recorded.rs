//! What real providers said that their answers used is what the ledger keeps of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rows;
use crate::harness::config;
use crate::own_dialect::{Account, Stage};
use crate::replay::{Recording, all_recordings};

/// How many recordings of each provider are played, whole and streamed.
const EACH: usize = 3;

#[tokio::test]
async fn recorded_answers_are_in_the_ledger_with_the_usage_that_their_providers_told() {
    let Some(all) = all_recordings() else {
        return;
    };
    let mut played: BTreeMap<(String, bool), usize> = BTreeMap::new();
    let mut recordings = Vec::new();
    for recording in all {
        let is_playable = recording.status == 200
            && Account::any(&recording).is_some()
            && !recording.path.contains("ount")
            && !recording.request.get().contains("previous_response_id")
            && told(&recording).is_some();
        let count = played
            .entry((recording.provider.clone(), recording.stream))
            .or_default();
        if is_playable && *count < EACH {
            *count += 1;
            recordings.push(recording);
        }
    }
    assert!(recordings.len() >= 30, "{} recordings", recordings.len());
    let home = tempfile::TempDir::new().expect("a temporary directory");
    let ledger = home.path().join("ledger.db");
    let more = format!("ledger: \"sqlite:{}\"\n", ledger.display());
    let mut stage = Stage::set_with(&recordings, |yaml| config(&(more + yaml))).await;
    for recording in &recordings {
        let answer = stage.play_as(recording, &recording.id).await;
        assert_eq!(answer.status, 200, "{}", recording.id);
    }
    stage.gateway.signal("TERM");
    assert!(stage.gateway.exit().await.success());
    let rows = rows(&ledger);
    let mut wrong = Vec::new();
    for recording in &recordings {
        let row = rows.iter().find(|row| row.request_id == recording.id);
        let Some(row) = row else {
            wrong.push(format!("{}: no row", recording.id));
            continue;
        };
        let expected = told(recording).expect("one that tells");
        if row.estimated || (row.input, row.output) != expected {
            let Recording {
                id, provider, path, ..
            } = recording;
            wrong.push(format!("{provider} {path} {id}: {expected:?}, not {row:?}"));
        }
    }
    assert_eq!(rows.len(), recordings.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All input and all output that a recorded answer tells, read without any code of the gateway's.
fn told(recording: &Recording) -> Option<(i64, i64)> {
    let answer = recording.answer();
    let mut usage = serde_json::Map::new();
    for value in usages(&answer) {
        let Value::Object(members) = value else {
            continue;
        };
        // A later one says more; Anthropic's second leaves out what the first said.
        usage.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let count = |name: &str| usage.get(name).and_then(Value::as_i64).unwrap_or(0);
    let path = recording.path.split('?').next().unwrap_or_default();
    let told = if path.ends_with("/completions") {
        (count("prompt_tokens"), count("completion_tokens"))
    } else if path.ends_with("/responses") {
        (count("input_tokens"), count("output_tokens"))
    } else if path.ends_with("/messages") {
        let cached = count("cache_creation_input_tokens") + count("cache_read_input_tokens");
        (count("input_tokens") + cached, count("output_tokens"))
    } else if path.contains("/converse") {
        let cached = count("cacheReadInputTokens") + count("cacheWriteInputTokens");
        (count("inputTokens") + cached, count("outputTokens"))
    } else if path.ends_with("/chat") {
        let billed = usage.get("billed_units")?;
        (
            billed["input_tokens"].as_i64()?,
            billed["output_tokens"].as_i64()?,
        )
    } else {
        (
            count("promptTokenCount") + count("toolUsePromptTokenCount"),
            count("candidatesTokenCount") + count("thoughtsTokenCount"),
        )
    };
    (told.0 > 0).then_some(told)
}

/// Every object called `usage` or `usageMetadata` in an answer, whatever stands around it.
fn usages(answer: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    for name in [&b"\"usage\""[..], b"\"usageMetadata\""] {
        for at in memchr::memmem::find_iter(answer, name) {
            let rest = answer[at + name.len()..].trim_ascii_start();
            let Some(rest) = rest.strip_prefix(b":") else {
                continue;
            };
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
            found.extend(values.next().and_then(Result::ok));
        }
    }
    found
}
