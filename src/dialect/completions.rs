//! OpenAI's completions of a plain prompt, for callers who still speak it (API reference, "Completions"): the prompt
//! becomes a user's turn, and the text of the answer its completion.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::chat::{Members, StopTexts, StreamOptions, WireUsage, written_finish};
use super::common::{
    Answer, Choice, Content, Context, Delta, Finish, Json, Part, Request, Role, TokenLogprob, Turn,
    WriteStream, prefixed_id,
};
use super::field::parse;
use super::{Dialect, Error, Kind, Usage, openai};

/// Reads the body of a caller who speaks this dialect.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault. A chat has one prompt, of text: several, or one of
/// tokens, can be had from a target of this dialect alone.
pub fn read_request(body: &[u8]) -> Result<Request, Error> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the body is not valid UTF-8 at byte {at}");
        Error::new(Kind::InvalidRequest, message)
    })?;
    let body: Body = parse(text, "")?;
    let Prompt::Text(prompt) = body.prompt else {
        let message = "`prompt` must be one text: several prompts, or one of tokens, cannot be translated for this target";
        return Err(Error::invalid("prompt", message));
    };
    let mut request = Request::new(Dialect::Completions, body.model.unwrap_or_default());
    request.turns = vec![Turn {
        role: Role::User,
        parts: vec![Part::text(prompt)],
        name: None,
    }];
    request.stream = body.stream.unwrap_or(false);
    request.max_tokens = body.max_tokens;
    request.temperature = body.temperature;
    request.top_p = body.top_p;
    request.n = body.n;
    request.stop = body.stop.map(|stop| stop.0).unwrap_or_default();
    request.seed = body.seed;
    request.logprobs = body.logprobs;
    request.presence_penalty = body.presence_penalty;
    request.frequency_penalty = body.frequency_penalty;
    request.logit_bias = body.logit_bias;
    request.user = body.user;
    request.extra = body.rest.0;
    request
        .extra
        .retain(|(_, value)| !matches!(value.as_str(), "null" | "false"));
    request.include_usage = false;
    if let Some(options) = body.stream_options {
        options.read_into(&mut request);
    }
    Ok(request)
}

/// Writes a whole answer for a caller who sent `request`.
pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
    let choices = answer.choices.iter().zip(0..);
    let choices: Vec<_> = choices
        .map(|(choice, index)| WireChoice {
            text: text_of(choice),
            index,
            logprobs: WireLogprobs::of(&choice.logprobs, 0),
            finish_reason: Some(reason(choice.finish.as_ref().unwrap_or(&Finish::Stop))),
        })
        .collect();
    let written = WireAnswer {
        id: &answer_id(&answer.id, context),
        object: "text_completion",
        created: answer.created.unwrap_or(context.now),
        model: match answer.model.as_str() {
            "" => &request.model,
            model => model,
        },
        choices: &choices,
        usage: answer.usage.map(|usage| Some(usage.into())),
    };
    // Structs with string keys, which always serialise.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// Writes one stream for a caller.
#[derive(Debug)]
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    includes_usage: bool,
    usage: Option<Usage>,
    choices: Vec<ChoiceWriter>,
}

/// What has been written of a choice.
#[derive(Debug, Default)]
struct ChoiceWriter {
    is_begun: bool,
    is_finished: bool,
    /// Unicode characters of the tokens whose log-probabilities are told.
    offset: usize,
}

/// The most choices that are written; OpenAI takes `n` up to 128.
const CHOICES_MAX: u32 = 1024;

impl Writer {
    /// A writer for the caller who sent `request`.
    pub fn new(request: &Request, context: &Context) -> Self {
        Self {
            id: answer_id("", context),
            model: request.model.clone(),
            created: context.now,
            includes_usage: request.include_usage,
            usage: None,
            choices: Vec::new(),
        }
    }

    fn choice(&mut self, choice: u32) -> &mut ChoiceWriter {
        let place = choice.min(CHOICES_MAX) as usize;
        if self.choices.len() <= place {
            self.choices.resize_with(place + 1, ChoiceWriter::default);
        }
        let state = &mut self.choices[place];
        state.is_begun = true;
        state
    }

    fn piece(&self, choice: WireChoice<'_>, out: &mut Vec<u8>) {
        self.chunk(&[choice], None, out);
    }

    fn chunk(&self, choices: &[WireChoice<'_>], usage: Option<WireUsage>, out: &mut Vec<u8>) {
        let chunk = WireAnswer {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.includes_usage.then_some(usage),
        };
        out.extend_from_slice(b"data: ");
        // Structs with string keys, into memory: this does not fail.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    fn finish(&mut self, index: u32, finish: &Finish, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.choice(index).is_finished, true) {
            let last = WireChoice {
                finish_reason: Some(reason(finish)),
                ..WireChoice::of(index, "")
            };
            self.piece(last, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        for index in 0..self.choices.len() as u32 {
            if self.choices[index as usize].is_begun {
                self.finish(index, &Finish::Stop, out);
            }
        }
        if self.includes_usage
            && let Some(usage) = self.usage
        {
            self.chunk(&[], Some(usage.into()), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model, created } => {
                if !id.is_empty() {
                    self.id = prefixed_id(ID_PREFIX, &id);
                }
                if !model.is_empty() {
                    self.model = model;
                }
                self.created = created.unwrap_or(self.created);
            }
            Delta::Text { choice, text } | Delta::Refusal { choice, text } => {
                self.choice(choice);
                self.piece(WireChoice::of(choice, &text), out);
            }
            Delta::Logprobs { choice, tokens } => {
                let state = self.choice(choice);
                let from = state.offset;
                state.offset += tokens.iter().map(characters).sum::<usize>();
                let piece = WireChoice {
                    logprobs: WireLogprobs::of(&tokens, from),
                    ..WireChoice::of(choice, "")
                };
                self.piece(piece, out);
            }
            Delta::Finish { choice, finish } => self.finish(choice, &finish, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::End => self.end(out),
            Delta::Error(error) => out.extend_from_slice(&openai::error_event(&error)),
            // A completion is text.
            Delta::Thinking { .. }
            | Delta::Signature { .. }
            | Delta::Citation { .. }
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Image { .. }
            | Delta::Opaque { .. }
            | Delta::ServiceTier(_) => {}
        }
    }
}

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    prompt: Prompt,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    n: Option<u64>,
    stop: Option<StopTexts>,
    seed: Option<i64>,
    logprobs: Option<u64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    logit_bias: Option<Json>,
    user: Option<String>,
    #[serde(flatten)]
    rest: Members,
}

enum Prompt {
    Text(String),
    /// Several, or one of tokens.
    Other,
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        /// One of the prompts; None if it is of tokens.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Item {
            Text(String),
            Tokens(IgnoredAny),
        }

        impl<'de> Visitor<'de> for TextOrList {
            type Value = Prompt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Prompt, E> {
                Ok(Prompt::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Prompt, A::Error> {
                let mut prompt = Prompt::Other;
                if let Some(Item::Text(text)) = list.next_element()? {
                    prompt = Prompt::Text(text);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    prompt = Prompt::Other;
                }
                Ok(prompt)
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

const ID_PREFIX: &str = "cmpl-";

fn answer_id(id: &str, context: &Context) -> String {
    prefixed_id(ID_PREFIX, if id.is_empty() { &context.id } else { id })
}

fn text_of(choice: &Choice) -> Cow<'_, str> {
    let mut texts = choice.parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    texts.fold(Cow::Borrowed(first), |so_far, text| so_far + text)
}

/// Completions end in one of three ways.
fn reason(finish: &Finish) -> &'static str {
    match written_finish(finish, false).0 {
        "tool_calls" => "stop",
        reason => reason,
    }
}

#[derive(Serialize)]
struct WireAnswer<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [WireChoice<'a>],
    /// In a stream null in every chunk but the last, where the caller asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    text: Cow<'a, str>,
    index: u32,
    logprobs: Option<WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

impl<'a> WireChoice<'a> {
    const fn of(index: u32, text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            index,
            logprobs: None,
            finish_reason: None,
        }
    }
}

/// Log-probabilities as completions tell them: a list for each of a token's facts.
#[derive(Serialize)]
struct WireLogprobs<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Option<Vec<Alternatives<'a>>>,
    text_offset: Vec<usize>,
}

/// The likeliest tokens in one's place, with their log-probabilities.
struct Alternatives<'a>(&'a [TokenLogprob]);

impl Serialize for Alternatives<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for token in self.0 {
            map.serialize_entry(&token.token, &token.logprob)?;
        }
        map.end()
    }
}

impl<'a> WireLogprobs<'a> {
    /// None where there are none. `offset` is how many characters stand before the first token.
    fn of(tokens: &'a [TokenLogprob], mut offset: usize) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let has_top = tokens.iter().any(|token| !token.top.is_empty());
        let top = || {
            tokens
                .iter()
                .map(|token| Alternatives(&token.top))
                .collect()
        };
        let mut offsets = Vec::with_capacity(tokens.len());
        for token in tokens {
            offsets.push(offset);
            offset += characters(token);
        }
        Some(Self {
            tokens: tokens.iter().map(|token| token.token.as_str()).collect(),
            token_logprobs: tokens.iter().map(|token| token.logprob).collect(),
            top_logprobs: has_top.then(top),
            text_offset: offsets,
        })
    }
}

fn characters(token: &TokenLogprob) -> usize {
    token.token.chars().count()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn context() -> Context {
        Context {
            id: "abc".into(),
            now: 7,
        }
    }

    #[test]
    fn a_prompt_becomes_a_users_turn() {
        for prompt in [json!("Say hi"), json!(["Say hi"])] {
            let body = json!({
                "model": "m", "prompt": prompt, "max_tokens": 5, "suffix": "!", "echo": false,
                "best_of": 2, "logprobs": 3, "stop": "\n", "stream": true,
                "stream_options": {"include_usage": true},
            });
            let request = read_request(body.to_string().as_bytes()).unwrap();
            assert_eq!(request.source, Dialect::Completions);
            assert_eq!(request.turns[0].parts, [Part::text("Say hi")]);
            assert_eq!(request.logprobs, Some(3));
            assert_eq!(request.stop, ["\n"]);
            assert!(request.stream && request.include_usage);
            let extra: Vec<_> = request
                .extra
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(extra, ["suffix", "best_of"]);
        }
    }

    #[test]
    fn what_is_no_single_text_is_refused_by_name() {
        for prompt in [
            json!(["a", "b"]),
            json!([1, 2]),
            json!([[1, 2]]),
            json!([]),
            json!(7),
        ] {
            let body = json!({"model": "m", "prompt": prompt}).to_string();
            let error = read_request(body.as_bytes()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("prompt"), "{body}");
        }
        let error = read_request(br#"{"model":"m"}"#).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("prompt"));
    }

    fn token(text: &str) -> TokenLogprob {
        TokenLogprob {
            token: text.into(),
            logprob: -0.5,
            bytes: None,
            top: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_a_text() {
        let answer = Answer {
            id: "msg_1".into(),
            model: "claude".into(),
            choices: vec![Choice {
                parts: vec![Part::text("é"), Part::text("t")],
                finish: Some(Finish::Length),
                logprobs: vec![token("é"), token("t")],
            }],
            usage: Some(Usage {
                input_tokens: 1,
                output_tokens: 2,
                ..Usage::default()
            }),
            ..Answer::default()
        };
        let request = Request::new(Dialect::Completions, "m");
        let written = write_answer(&answer, &request, &context());
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["id"], "cmpl-msg_1");
        assert_eq!(written["object"], "text_completion");
        assert_eq!(written["created"], 7);
        assert_eq!(
            written["choices"][0],
            json!({
                "text": "ét", "index": 0, "finish_reason": "length",
                "logprobs": {
                    "tokens": ["é", "t"], "token_logprobs": [-0.5, -0.5],
                    "top_logprobs": null, "text_offset": [0, 1],
                },
            })
        );
        assert_eq!(written["usage"]["total_tokens"], 3);
    }

    #[test]
    fn a_stream_ends_once_and_tells_its_usage_to_who_asked() {
        let deltas = || {
            [
                Delta::Start {
                    id: String::new(),
                    model: String::new(),
                    created: None,
                },
                Delta::Text {
                    choice: 0,
                    text: "hi".into(),
                },
                Delta::Usage(Usage::default()),
                Delta::Finish {
                    choice: 0,
                    finish: Finish::ToolCalls,
                },
                Delta::End,
            ]
        };
        for (include_usage, frames) in [(false, 3), (true, 4)] {
            let mut request = Request::new(Dialect::Completions, "m");
            request.include_usage = include_usage;
            let mut writer = Writer::new(&request, &context());
            let mut out = Vec::new();
            deltas()
                .into_iter()
                .for_each(|delta| writer.write(delta, &mut out));
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches("data: ").count(), frames, "{text}");
            assert!(text.ends_with("data: [DONE]\n\n"));
            assert!(text.contains(r#""finish_reason":"stop""#));
            assert!(text.contains("cmpl-abc"));
        }
    }
}
