//! Real traffic in every dialect comes through to a caller of the same dialect as it was recorded.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Gateway, config};
use crate::raw::{Answer, Request};
use crate::recordings::with_model;
use crate::replay::{Recording, Replay, all_recordings};

/// Recordings that cannot come through, and why.
const EXCUSED: [(&str, &str); 2] = [
    ("48829580b9fe", "the recorded request lacks its last brace"),
    (
        "8ca06338a090",
        "it goes on from a response that nobody is recorded to have made",
    ),
];

#[tokio::test]
async fn every_recording_comes_through_in_its_own_dialect() {
    let Some(mut recordings) = all_recordings() else {
        return;
    };
    recordings.retain(|recording| Account::of(recording).is_some());
    let stage = Stage::set(&recordings).await;
    let is_excused = |id: &str| EXCUSED.iter().any(|(excused, _)| *excused == id);
    let mut made = BTreeMap::new();
    let mut wrong = Vec::new();
    for recording in &recordings {
        let answer = stage.play(recording, &made).await;
        let fault = stage.fault(recording, &answer);
        match is_excused(&recording.id) {
            true => assert!(fault.is_some(), "{}: no excuse is needed", recording.id),
            false => wrong.extend(fault),
        }
        if let Some((own, told)) = response_ids(recording, &answer) {
            made.insert(own, told);
        }
    }
    assert!(recordings.len() > 500, "{} recordings", recordings.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The recorded id of a response that its provider keeps, and the one that the caller got for it.
fn response_ids(recording: &Recording, answer: &Answer) -> Option<(String, String)> {
    let id = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).ok()?;
        body["object"].as_str().filter(|kind| *kind == "response")?;
        Some(body["id"].as_str()?.to_owned())
    };
    Some((id(&recording.answer())?, id(&answer.body)?))
}

/// Where a recorded exchange was had: a provider's section, and how a caller asks for the same.
pub struct Account {
    /// The section, with `ADDRESS` for where the replay server listens.
    section: String,
    /// The path, with `NAME` for the model in dialects whose paths name it.
    path: String,
    /// The model in such paths.
    model: Option<String>,
}

impl Account {
    /// None where the endpoint is not one of the gateway's.
    pub fn any(recording: &Recording) -> Option<Self> {
        let chat = "/chat/completions";
        let of_chat = || {
            let base = recording.path.strip_suffix(chat)?;
            Some(Self {
                section: format!(r#"{{ dialect: openai, base_url: "ADDRESS{base}", api_key: k }}"#),
                path: format!("/v1{chat}"),
                model: None,
            })
        };
        Self::of(recording).or_else(of_chat)
    }

    /// None also for chat, which is tested in a module of its own.
    fn of(recording: &Recording) -> Option<Self> {
        let path = recording.path.as_str();
        let bare = path.split('?').next().unwrap_or_default();
        let in_body = |dialect: &str, base: &str, more: &str, path: &str| {
            Some(Self {
                section: format!(
                    r#"{{ dialect: {dialect}, base_url: "ADDRESS{base}", api_key: k{more} }}"#
                ),
                path: path.to_owned(),
                model: None,
            })
        };
        let keeping = ", endpoints: [chat, responses]";
        match (recording.provider.as_str(), bare) {
            ("anthropic", "/v1/messages" | "/v1/messages/count_tokens") => {
                in_body("anthropic", "/v1", "", path)
            }
            ("cohere", "/v2/chat") => in_body("cohere", "/v2", "", path),
            ("azure", "/openai/v1/responses") => {
                let more = format!("{keeping}, azure: {{ api_version: v1 }}");
                in_body("openai", "", &more, path)
            }
            (_, "/v1/responses") => in_body("openai", "/v1", keeping, path),
            (_, "/responses") => in_body("openai", "", keeping, "/v1/responses"),
            ("gemini", _) => {
                Self::in_path(bare, "/v1beta/models/", ":", "dialect: gemini", "/v1beta")
            }
            ("vertex", _) => {
                let (parent, _) = bare.split_once("/publishers/google/models/")?;
                let mut parts = parent.split('/').skip(2);
                let (project, location) = (parts.nth(1)?, parts.nth(1)?);
                let lead = format!("{parent}/publishers/google/models/");
                let section = format!(
                    "dialect: gemini, vertex: {{ project: {project}, location: {location} }}"
                );
                Self::in_path(bare, &lead, ":", &section, "/v1beta1")
            }
            ("bedrock", _) => Self::in_path(
                bare,
                "/model/",
                "/",
                "dialect: bedrock, region: us-east-1",
                "",
            ),
            _ => None,
        }
    }

    fn in_path(path: &str, lead: &str, mark: &str, section: &str, base: &str) -> Option<Self> {
        let (model, verb) = path.strip_prefix(lead)?.rsplit_once(mark)?;
        let (lead, more) = match verb {
            "generateContent" | "countTokens" => ("/v1beta/models/", ""),
            "streamGenerateContent" => ("/v1beta/models/", "?alt=sse"),
            "converse" | "converse-stream" | "count-tokens" => ("/model/", ""),
            _ => return None,
        };
        Some(Self {
            section: format!(r#"{{ {section}, base_url: "ADDRESS{base}", api_key: k }}"#),
            path: format!("{lead}NAME{mark}{verb}{more}"),
            model: Some(model.to_owned()),
        })
    }
}

/// A gateway in front of a replay server: a provider for each account.
pub struct Stage {
    /// The gateway.
    pub gateway: Gateway,
    replay: Replay,
    /// Accounts' sections, and their providers' names.
    names: BTreeMap<String, String>,
}

impl Stage {
    async fn set(recordings: &[Recording]) -> Self {
        Self::set_with(recordings, config).await
    }

    /// With the whole of a file around the sections of providers and models.
    pub async fn set_with(recordings: &[Recording], config: impl FnOnce(&str) -> String) -> Self {
        let replay = Replay::start(recordings).await;
        let mut names = BTreeMap::new();
        for account in recordings.iter().filter_map(Account::any) {
            let name = format!("p{}", names.len());
            names.entry(account.section).or_insert(name);
        }
        let address = format!("http://{}", replay.address);
        let mut yaml = String::from("providers:\n");
        for (section, name) in &names {
            yaml += &format!("  {name}: {}\n", section.replace("ADDRESS", &address));
        }
        yaml += "models:\n";
        for name in names.values() {
            yaml += &format!("  \"{name}/*\": {{}}\n");
        }
        Self {
            gateway: Gateway::start(&config(&yaml)).await,
            replay,
            names,
        }
    }

    /// Sends the recorded request, but for the names of the model and of a response to go on from.
    async fn play(&self, recording: &Recording, made: &BTreeMap<String, String>) -> Answer {
        self.gateway.ask(self.request(recording, made)).await
    }

    /// Sends the recorded request under an id of the caller's.
    pub async fn play_as(&self, recording: &Recording, request_id: &str) -> Answer {
        let request = self.request(recording, &BTreeMap::new());
        self.gateway
            .ask(request.header("x-request-id", request_id))
            .await
    }

    fn request(&self, recording: &Recording, made: &BTreeMap<String, String>) -> Request {
        let account = Account::any(recording).expect("one of ours");
        let provider = &self.names[&account.section];
        let mut body = recording.request.get().to_owned();
        let path = match &account.model {
            Some(model) => account
                .path
                .replace("NAME", &format!("{provider}%2F{model}")),
            None => {
                body = with_model(&body, &format!("{provider}/{}", recording.model()));
                account.path
            }
        };
        for (own, told) in made {
            let named = |id: &str| format!(r#""previous_response_id": "{id}""#);
            body = body.replace(&named(own), &named(told));
        }
        Request::post(&path, body).header("idempotency-key", &recording.id)
    }

    /// What of an answer is not as recorded, or of the request that reached the provider.
    fn fault(&self, recording: &Recording, answer: &Answer) -> Option<String> {
        let Recording {
            id, provider, path, ..
        } = recording;
        let fault = |what: &str| {
            let text = String::from_utf8_lossy(&answer.body);
            let shown: String = text.chars().take(300).collect();
            Some(format!(
                "{provider} {path} {id}: {what}: {} {shown}",
                answer.status
            ))
        };
        if answer.status != recording.status {
            return fault("the status differs");
        }
        if answer.header("content-type") != Some(&recording.content_type) {
            return fault("the content type differs");
        }
        if without_ids(&answer.body) != without_ids(&recording.answer()) {
            return fault("the answer differs");
        }
        let Some(arrived) = self.replay.received(id) else {
            return fault("nothing arrived");
        };
        match arrived == recording.request.get().as_bytes() {
            true => None,
            false => fault("what arrived differs"),
        }
    }
}

/// An answer without its own id and without those of responses, which are the gateway's.
fn without_ids(body: &[u8]) -> Vec<u8> {
    let mut left = body.to_vec();
    let mut remove = |lead: &[u8]| {
        while let Some(start) = memchr::memmem::find(&left, lead) {
            let length = left[start + 1..].iter().position(|byte| *byte == b'"');
            left.drain(start..=start + 1 + length.expect("a string ends"));
        }
    };
    if let Some(id) = first_id(body) {
        remove(&[b"\"", id, b"\""].concat());
    }
    remove(b"\"resp_");
    left
}

/// The first id in JSON text: that of the answer itself.
fn first_id(body: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::find(body, b"\"id\":")? + 5;
    let value = body[start..].trim_ascii_start().strip_prefix(b"\"")?;
    value.split(|byte| *byte == b'"').next()
}
