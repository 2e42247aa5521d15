//! Real traffic of nine providers comes through as it was recorded.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::harness::{Gateway, config};
use crate::raw::{Answer, Request};
use crate::replay::{Recording, Replay, recordings};
use crate::sse;

#[tokio::test]
async fn every_recorded_whole_answer_comes_through_byte_for_byte() {
    let Some(stage) = Stage::set(|recording| !recording.stream && recording.status == 200).await
    else {
        return;
    };
    for recording in &stage.recordings {
        let answer = stage.play(recording).await;
        stage.assert_passed_on(recording, &answer);
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn every_recorded_error_answer_comes_through_as_documented() {
    let Some(stage) = Stage::set(|recording| recording.status != 200).await else {
        return;
    };
    for recording in &stage.recordings {
        let answer = stage.play(recording).await;
        match recording.status {
            401..=403 => drop(answer.assert_error(502, "upstream_error")),
            _ => stage.assert_passed_on(recording, &answer),
        }
    }
}

#[tokio::test]
async fn every_recorded_stream_comes_through_event_by_event() {
    let Some(stage) = Stage::set(|recording| recording.stream && recording.status == 200).await
    else {
        return;
    };
    for recording in &stage.recordings {
        let answer = stage.play(recording).await;
        let name = format!("{} {}", recording.provider, recording.id);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some(recording.content_type.as_str()),
            "{name}"
        );

        let recorded = String::from_utf8(recording.answer()).expect("recorded text");
        let mut expected = sse::events(&recorded);
        if !asks_for_usage(recording) {
            expected.retain(|event| !event.is_usage_only());
        }
        let events = answer.events();
        for (number, (event, expected)) in events.iter().zip(&expected).enumerate() {
            assert_eq!(event, expected, "{name}: event {number}");
        }
        assert_eq!(
            events.len(),
            expected.len(),
            "{name}: the same number of events"
        );

        let sent = recording.request.get();
        let arrived = stage.replay.received(&recording.id).expect("it was played");
        let arrived = std::str::from_utf8(&arrived).expect("UTF-8 was sent");
        match asks_for_usage(recording) {
            true => assert_eq!(arrived, sent, "{name}"),
            false => assert!(is_but_for_usage(arrived, sent), "{name}: {arrived}"),
        }
    }
}

#[tokio::test]
async fn a_recorded_usage_chunk_is_kept_from_a_caller_who_did_not_ask_for_it() {
    let unasked = |recording: &Recording| recording.provider == "huggingface" && recording.stream;
    let Some(stage) = Stage::set(unasked).await else {
        return;
    };
    let [recording] = stage.recordings.as_slice() else {
        panic!("one such recording")
    };
    let recorded = String::from_utf8(recording.answer()).expect("recorded text");
    let events = stage.play(recording).await.events();
    assert_eq!(
        sse::events(&recorded)
            .iter()
            .filter(|event| event.is_usage_only())
            .count(),
        1
    );
    assert_eq!(
        events.iter().filter(|event| event.is_usage_only()).count(),
        0
    );
    assert!(events.last().is_some_and(|event| event.is_done()));
}

#[tokio::test]
async fn a_recorded_stream_that_ends_in_the_providers_error_event_ends_there() {
    let ends_in_error = |recording: &Recording| {
        recording.stream
            && sse::events(&String::from_utf8_lossy(&recording.answer()))
                .iter()
                .any(|e| e.name.is_some())
    };
    let Some(stage) = Stage::set(ends_in_error).await else {
        return;
    };
    let [recording] = stage.recordings.as_slice() else {
        panic!("one such recording")
    };
    let events = stage.play(recording).await.events();
    let last = events.last().expect("events");
    assert_eq!(last.name.as_deref(), Some("error"));
    assert_eq!(last.json()["error"]["code"], "tool_use_failed");
    assert!(!events.iter().any(|event| event.is_done()));
}

/// A gateway in front of a replay server: one provider for each recorded provider and base path.
struct Stage {
    gateway: Gateway,
    replay: Replay,
    recordings: Vec<Recording>,
    names: BTreeMap<(String, String), String>,
}

// === impl Stage ===

impl Stage {
    async fn set(wanted: impl Fn(&Recording) -> bool) -> Option<Self> {
        let mut recordings = recordings()?;
        recordings.retain(|recording| wanted(recording));
        assert!(
            !recordings.is_empty(),
            "a condition that fits no recording proves nothing"
        );
        let replay = Replay::start(&recordings).await;
        let mut names = BTreeMap::new();
        for recording in &recordings {
            let number = names.len();
            let account = (recording.provider.clone(), recording.base().to_owned());
            names
                .entry(account)
                .or_insert_with(|| format!("{}-{number}", recording.provider));
        }
        let mut yaml = String::from("providers:\n");
        for ((_, base), name) in &names {
            let address = replay.address;
            yaml += &format!(
                "  {name}: {{ dialect: openai, base_url: \"http://{address}{base}\", api_key: provider-secret }}\n"
            );
        }
        yaml += "models:\n";
        for name in names.values() {
            yaml += &format!("  \"{name}/*\": {{}}\n");
        }
        let gateway = Gateway::start(&config(&yaml)).await;
        Some(Self {
            gateway,
            replay,
            recordings,
            names,
        })
    }

    /// Sends the recorded request as recorded, but for the model, which is asked for by the name of its target.
    async fn play(&self, recording: &Recording) -> Answer {
        let account = (recording.provider.clone(), recording.base().to_owned());
        let model = format!("{}/{}", self.names[&account], recording.model());
        let body = with_model(recording.request.get(), &model);
        self.gateway
            .ask(
                Request::post(&recording.endpoint(), body).header("idempotency-key", &recording.id),
            )
            .await
    }

    #[track_caller]
    fn assert_passed_on(&self, recording: &Recording, answer: &Answer) {
        let name = format!("{} {}", recording.provider, recording.id);
        assert_eq!(
            answer.text(),
            String::from_utf8(recording.answer()).expect("recorded text"),
            "{name}"
        );
        assert_eq!(answer.status, recording.status, "{name}");
        assert_eq!(
            answer.header("content-type"),
            Some(recording.content_type.as_str()),
            "{name}"
        );
        let arrived = self.replay.received(&recording.id).expect("it was played");
        assert_eq!(
            std::str::from_utf8(&arrived),
            Ok(recording.request.get()),
            "{name}: what reached upstream"
        );
    }
}

fn asks_for_usage(recording: &Recording) -> bool {
    let request: serde_json::Value =
        serde_json::from_str(recording.request.get()).expect("recorded JSON");
    request["stream_options"]["include_usage"] == true
}

/// The same text with another `model` at its top level.
pub fn with_model(text: &str, model: &str) -> String {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("a JSON object");
    let value = fields["model"].get();
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    let name = serde_json::to_string(model).expect("a string");
    format!("{}{name}{}", &text[..start], &text[start + value.len()..])
}

/// Is `arrived` the text `sent`, to the byte, but for the added question for usage?
pub fn is_but_for_usage(arrived: &str, sent: &str) -> bool {
    const ADDED: &str = r#""stream_options":{"include_usage":true}"#;
    let variants = [format!("{ADDED},"), format!(",{ADDED}")];
    variants.iter().any(|added| {
        arrived.matches(added.as_str()).count() == 1 && arrived.replacen(added, "", 1) == sent
    })
}
