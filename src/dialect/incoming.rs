//! A caller's request as the fast path sees it: its bytes, and the few facts that the gateway acts on.
//!
//! When the target speaks the caller's dialect, every byte but the patched ones goes up as it came: `model` and, where
//! a dialect lets the caller choose, whether a stream reports its usage.

mod begun;
mod shorter;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

use super::scan::{self, Fault, Members, Object};
use super::{Dialect, Error, Operation};
pub use shorter::Patches;

/// The longest name of a model, in bytes: it stands in log lines and headers.
pub const MODEL_NAME_MAX: usize = 256;

/// The version that Anthropic's bodies at Vertex name instead of the model.
const VERTEX_VERSION: &str = r#""anthropic_version":"vertex-2023-10-16""#;

/// A request whose body has been scanned.
#[derive(Debug)]
pub struct Incoming {
    /// What is asked for, and in which dialect.
    pub operation: Operation,
    /// The model that the caller asks for.
    pub model: String,
    /// Whether the caller wants a stream.
    pub stream: bool,
    /// Whether the caller wants a stream's usage in a chunk of its own.
    pub wants_usage: bool,
    /// How many choices an answer must have; None where the body does not tell at a look.
    pub choices: Option<u64>,
    /// The answer that a response goes on from, as the caller names it.
    pub previous: Option<String>,
    /// What its answer says so far, with which another model shall go on: the last message of the body.
    pub begun: Option<Arc<str>>,
    body: Bytes,
    /// Where everything at the top of the body stands.
    members: Members,
    model_place: Place,
    /// The whole member `model`, its name included.
    model_member: Option<Range<usize>>,
    /// Before the last brace.
    end: usize,
    has_version: bool,
    previous_place: Option<Range<usize>>,
    /// Where the caller says for whom he asks, and what the request belongs to.
    tag_places: [Option<Range<usize>>; 2],
    /// What to write where so that a stream reports its usage.
    ask_usage: (Place, &'static str),
}

/// What the path says of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    /// The model, which wins over the body's.
    pub model: Option<String>,
    /// Whether the answer is a stream, in dialects whose paths tell.
    pub stream: Option<bool>,
}

impl Incoming {
    /// Reads `body`.
    ///
    /// # Errors
    /// [`super::Kind::InvalidRequest`], with `param` where a field is at fault.
    pub fn read(operation: Operation, body: Bytes, path: PathFacts) -> Result<Self, Error> {
        let object = scan::object(&body)?;
        let model = match (path.model, object.value("model")) {
            (Some(model), _) => model,
            (None, Some(raw)) => model_name(raw)?,
            (None, None) => return Err(Error::invalid("model", "the field `model` is missing")),
        };
        if model.len() > MODEL_NAME_MAX {
            let message = format!("`model` is longer than {MODEL_NAME_MAX} bytes");
            return Err(Error::invalid("model", message));
        }
        let stream = match path.stream {
            Some(stream) => stream,
            None => stream(operation, &object)?,
        };
        let (wants_usage, ask_usage) = match operation {
            Operation::Generate(Dialect::Chat | Dialect::Completions) => {
                usage_option(&body, &object)?
            }
            _ => (true, (Place::missing(&object, ","), "")),
        };
        let is_chat = operation == Operation::Generate(Dialect::Chat);
        let choices = is_chat.then(|| choices(&object));
        let model_member = object.member_place("model");
        let model_place = match object.place("model") {
            Some(range) => Place { range, lead: "" },
            None => Place::missing(&object, r#","model":"#),
        };
        let is_response = operation == Operation::Generate(Dialect::Responses);
        let previous_place = is_response.then(|| object.place("previous_response_id"));
        let previous_place = previous_place
            .flatten()
            .filter(|place| &body[place.clone()] != b"null");
        let previous = match &previous_place {
            None => None,
            Some(place) => Some(serde_json::from_slice(&body[place.clone()]).map_err(|_| {
                let field = "previous_response_id";
                Error::invalid(field, format!("`{field}` must be a string"))
            })?),
        };
        Ok(Self {
            operation,
            model,
            stream,
            wants_usage,
            choices,
            previous,
            begun: None,
            model_place,
            model_member,
            end: object.end(),
            has_version: object.value("anthropic_version").is_some(),
            previous_place,
            tag_places: tag_places(operation, &object),
            ask_usage,
            members: object.into_members(),
            body,
        })
    }

    /// For whom the caller asks, in his own words: `user`, or Anthropic's `metadata.user_id`. Empty where he does not say, cut at
    /// its end to so many bytes, and without NUL, which no database takes in a text.
    pub fn user(&self, max: usize) -> Cow<'_, str> {
        let place = self.tag_places[0].clone();
        let raw = place.map_or(&[][..], |place| &self.body[place]);
        let raw = match self.operation.dialect() {
            Dialect::Anthropic => scan::only(raw, &["user_id"]).unwrap_or_default(),
            _ => raw,
        };
        let user = scan::said(raw);
        if user.len() <= max && !user.contains('\0') {
            return user;
        }
        let mut user = user.replace('\0', "\u{fffd}");
        while user.len() > max {
            user.pop();
        }
        user.into()
    }

    /// What the caller says that the request belongs to: `metadata` as a JSON object. Empty where he says nothing, and cut to
    /// so many bytes behind the last of its members that fits.
    pub fn metadata(&self, max: usize) -> Cow<'_, str> {
        let place = self.tag_places[1].clone();
        let raw = place.map(|place| &self.body[place]);
        let raw = raw.filter(|raw| raw.starts_with(b"{"));
        raw.map_or(Cow::Borrowed(""), |raw| fitted(raw, max))
    }

    /// The members of the body.
    pub(super) fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        self.members.of(&self.body)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for a target of the caller's dialect that knows the model as `model`, in pieces that stand one behind
    /// the other. With `ask_usage`, a stream is told to report its usage even where the caller did not care. `shorter`
    /// is what [`Self::shortened`] says, here as in all that follow, or nothing.
    pub fn body_for(&self, model: &str, ask_usage: bool, shorter: Patches) -> Vec<Bytes> {
        let Patches(mut patches) = shorter;
        patches.reserve(2);
        let has_model = self.operation.has_model_in_body();
        if has_model && (model != self.model || !self.model_place.lead.is_empty()) {
            patches.push(self.model_place.patch(&json!(model).to_string()));
        }
        if self.stream && ask_usage && !self.wants_usage {
            let (place, value) = &self.ask_usage;
            patches.push(place.patch(value));
        }
        self.patched(patches)
    }

    /// The body for a model of Anthropic's at Vertex, whose model stands in the path.
    pub fn body_for_vertex(&self, shorter: Patches) -> Vec<Bytes> {
        let patch = match (&self.model_member, self.has_version) {
            (Some(place), true) => Some((self.with_comma(place), String::new())),
            (None, true) => None,
            (Some(place), false) => Some((place.clone(), VERTEX_VERSION.to_owned())),
            (None, false) => {
                let Place { range, lead } = &self.model_place;
                let comma = if lead.starts_with(',') { "," } else { "" };
                Some((range.clone(), [comma, VERTEX_VERSION].concat()))
            }
        };
        self.patched(patch.into_iter().chain(shorter.0).collect())
    }

    /// A member and the comma that ties it to its neighbour.
    fn with_comma(&self, member: &Range<usize>) -> Range<usize> {
        let is_space = |byte: &&u8| byte.is_ascii_whitespace();
        let behind = self.body[member.end..].iter();
        let before = self.body[..member.start].iter().rev();
        let gap = behind.clone().take_while(is_space).count();
        if self.body.get(member.end + gap) == Some(&b',') {
            return member.start..member.end + gap + 1;
        }
        let gap = before.clone().take_while(is_space).count() + 1;
        let has_comma = member.start >= gap && self.body[member.start - gap] == b',';
        let start = if has_comma {
            member.start - gap
        } else {
            member.start
        };
        start..member.end
    }

    /// The body for Anthropic's own API with a mark that has the prompt cached, where the caller set none. None where
    /// something may be one.
    pub fn body_with_mark(&self, model: &str, shorter: Patches) -> Option<Vec<Bytes>> {
        if memmem::find(&self.body, b"cache_control").is_some() {
            return None;
        }
        let end = self.end;
        let mark = r#","cache_control":{"type":"ephemeral"}"#.to_owned();
        let mut patches = vec![
            self.model_place.patch(&json!(model).to_string()),
            (end..end, mark),
        ];
        patches.extend(shorter.0);
        Some(self.patched(patches))
    }

    /// The body for a provider that knows the model as `model`, and the answer to go on from as `previous`.
    pub fn body_going_on(&self, model: &str, previous: &str, shorter: Patches) -> Vec<Bytes> {
        let mut patches = vec![self.model_place.patch(&json!(model).to_string())];
        patches.extend(shorter.0);
        if let Some(place) = &self.previous_place {
            patches.push((place.clone(), json!(previous).to_string()));
        }
        self.patched(patches)
    }

    fn patched(&self, mut patches: Vec<(Range<usize>, String)>) -> Vec<Bytes> {
        patches.sort_by_key(|(range, _)| range.start);
        let mut pieces = Vec::with_capacity(2 * patches.len() + 1);
        let mut at = 0;
        for (range, text) in patches {
            pieces.push(self.body.slice(at..range.start));
            pieces.push(Bytes::from(text));
            at = range.end;
        }
        pieces.push(self.body.slice(at..));
        pieces
    }
}

/// Where a value stands in the body or, with a `lead` of comma and name, where it is to be written.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    lead: &'static str,
}

impl Place {
    /// `lead` begins with the comma that an empty object does not need.
    fn missing(object: &Object<'_>, lead: &'static str) -> Self {
        let end = object.end();
        Self {
            range: end..end,
            lead: if object.is_empty() { &lead[1..] } else { lead },
        }
    }

    fn patch(&self, value: &str) -> (Range<usize>, String) {
        (self.range.clone(), [self.lead, value].concat())
    }
}

fn model_name(raw: &[u8]) -> Result<String, Error> {
    match serde_json::from_slice::<String>(raw) {
        Ok(model) if model.is_empty() => Err(Error::invalid("model", "`model` is empty")),
        Ok(model) => Ok(model),
        Err(_) => Err(Error::invalid("model", "`model` must be a string")),
    }
}

fn stream(operation: Operation, object: &Object<'_>) -> Result<bool, Error> {
    match (object.value("stream"), operation) {
        (None | Some(b"null" | b"false"), _) => Ok(false),
        (Some(b"true"), Operation::Generate(_)) => Ok(true),
        (Some(b"true"), Operation::CountTokens(_)) => Ok(false),
        (Some(b"true"), Operation::Embed(_)) => {
            Err(Error::invalid("stream", "embeddings cannot be streamed"))
        }
        (Some(_), _) => Err(Error::invalid("stream", "`stream` must be true or false")),
    }
}

/// `n`. What is no number is for the provider to refuse.
fn choices(object: &Object<'_>) -> u64 {
    let number = object
        .value("n")
        .and_then(|raw| std::str::from_utf8(raw).ok());
    number.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whether `stream_options.include_usage` is set, and what to write where to set it. Options that we do not know
/// stay as they are.
fn usage_option(body: &Bytes, object: &Object<'_>) -> Result<(bool, (Place, &'static str)), Error> {
    const OPTION: &str = r#"{"include_usage":true}"#;
    let Some(range) = object.place("stream_options") else {
        let place = Place::missing(object, r#","stream_options":"#);
        return Ok((false, (place, OPTION)));
    };
    let raw = &body[range.clone()];
    if raw == b"null" {
        return Ok((false, (Place { range, lead: "" }, OPTION)));
    }
    let options = scan::object(raw).map_err(|fault| match fault {
        Fault::Repeated(name) => Error::invalid(
            &format!("stream_options.{name}"),
            format!("the field `stream_options.{name}` is given more than once"),
        ),
        _ => Error::invalid("stream_options", "`stream_options` must be an object"),
    })?;
    let wanted = options.value("include_usage") == Some(b"true");
    let mut place = match options.place("include_usage") {
        Some(range) => Place { range, lead: "" },
        None => Place::missing(&options, r#","include_usage":"#),
    };
    place.range = range.start + place.range.start..range.start + place.range.end;
    Ok((wanted, (place, "true")))
}

/// Where a dialect has the caller's `user` and `metadata`.
fn tag_places(operation: Operation, object: &Object<'_>) -> [Option<Range<usize>>; 2] {
    let (user, metadata) = match operation.dialect() {
        Dialect::Chat | Dialect::Completions | Dialect::Responses => ("user", "metadata"),
        Dialect::Anthropic => ("metadata", "metadata"),
        Dialect::Gemini => ("", "labels"),
        Dialect::Bedrock => ("", "requestMetadata"),
        Dialect::Cohere => return [None, None],
    };
    [user, metadata].map(|name| object.place(name))
}

/// A JSON object, or as many of its members as fit into so many bytes.
fn fitted(raw: &[u8], max: usize) -> Cow<'_, str> {
    if raw.len() <= max
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return text.into();
    }
    let members: serde_json::Map<String, Value> = serde_json::from_slice(raw).unwrap_or_default();
    let mut fitted = "{".to_owned();
    for (name, value) in members {
        let member = format!("{}:{value}", Value::from(name));
        // A comma or the last brace goes with each.
        if fitted.len() + member.len() + 1 > max {
            break;
        }
        if fitted.len() > 1 {
            fitted.push(',');
        }
        fitted.push_str(&member);
    }
    fitted.push('}');
    fitted.into()
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    const CHAT: Operation = Operation::Generate(Dialect::Chat);

    fn read(body: &'static str) -> Result<Incoming, Error> {
        let body = Bytes::from_static(body.as_bytes());
        Incoming::read(CHAT, body, PathFacts::default())
    }

    fn sent(body: &'static str, model: &str) -> String {
        let pieces = read(body)
            .unwrap()
            .body_for(model, true, Patches::default());
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn only_the_model_changes() {
        assert_eq!(
            sent(
                r#"{ "x":1.0e+2,"model" : "fast", "m":[ "\u00e9" ] }"#,
                "gpt"
            ),
            r#"{ "x":1.0e+2,"model" : "gpt", "m":[ "\u00e9" ] }"#
        );
        assert_eq!(sent(r#"{"model":"m"}"#, "m"), r#"{"model":"m"}"#);
        assert_eq!(sent(r#"{"model":"m"}"#, "a\"b"), r#"{"model":"a\"b"}"#);
    }

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        assert_eq!(
            sent(r#"{"stream":true,"model":"m"}"#, "m"),
            r#"{"stream":true,"model":"m","stream_options":{"include_usage":true}}"#
        );
        assert_eq!(
            sent(
                r#"{"stream_options":null,"stream":true,"model":"m"}"#,
                "gpt"
            ),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"gpt"}"#
        );
        assert_eq!(
            sent(
                r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false} }"#,
                "m"
            ),
            r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true} }"#
        );
        assert_eq!(
            sent(r#"{"model":"m","stream":true,"stream_options":{ }}"#, "m"),
            r#"{"model":"m","stream":true,"stream_options":{ "include_usage":true}}"#
        );
        assert_eq!(
            sent(
                r#"{"model":"m","stream":true,"stream_options":{"include_usage": false}}"#,
                "m"
            ),
            r#"{"model":"m","stream":true,"stream_options":{"include_usage": true}}"#
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(sent(asked, "m"), asked);
        assert!(read(asked).unwrap().wants_usage);
    }

    #[test]
    fn a_model_from_the_path_is_written_into_the_body() {
        let body = Bytes::from_static(b"{}");
        let path = PathFacts {
            model: Some("gpt".into()),
            stream: None,
        };
        let request = Incoming::read(CHAT, body, path).unwrap();
        assert_eq!(
            request.body_for("gpt", true, Patches::default()).concat(),
            br#"{"model":"gpt"}"#
        );
    }

    #[test]
    fn a_bad_field_is_named() {
        for (body, param) in [
            ("{}", "model"),
            (r#"{"model":7}"#, "model"),
            (r#"{"model":""}"#, "model"),
            (r#"{"model":"m","stream":"yes"}"#, "stream"),
            (r#"{"model":"m","stream_options":[]}"#, "stream_options"),
            (r#"{"model":"m","model":"n"}"#, "model"),
        ] {
            let error = read(body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
            assert_eq!(error.kind, Kind::InvalidRequest);
        }
    }

    fn read_as(dialect: Dialect, body: &'static str) -> Incoming {
        let body = Bytes::from_static(body.as_bytes());
        Incoming::read(Operation::Generate(dialect), body, PathFacts::default()).unwrap()
    }

    #[test]
    fn at_vertex_a_version_stands_in_for_the_model() {
        let request = read_as(
            Dialect::Anthropic,
            r#"{"max_tokens":1, "model" : "m","messages":[]}"#,
        );
        assert_eq!(
            request.body_for_vertex(Patches::default()).concat(),
            br#"{"max_tokens":1, "anthropic_version":"vertex-2023-10-16","messages":[]}"#
        );
    }

    #[test]
    fn at_vertex_no_model_is_left_beside_a_version() {
        for (body, sent) in [
            (
                r#"{"anthropic_version":"v", "model":"m" }"#,
                r#"{"anthropic_version":"v" }"#,
            ),
            (
                r#"{"model":"m" ,"anthropic_version":"v"}"#,
                r#"{"anthropic_version":"v"}"#,
            ),
        ] {
            let request = read_as(Dialect::Anthropic, body);
            let pieces = request.body_for_vertex(Patches::default()).concat();
            assert_eq!(std::str::from_utf8(&pieces), Ok(sent));
        }
    }

    #[test]
    fn a_mark_is_set_where_there_is_none() {
        let request = read_as(Dialect::Anthropic, r#"{"model":"m","messages":[]}"#);
        assert_eq!(
            request
                .body_with_mark("n", Patches::default())
                .unwrap()
                .concat(),
            br#"{"model":"n","messages":[],"cache_control":{"type":"ephemeral"}}"#
        );
        let marked = r#"{"model":"m","messages":[],"cache_control":null}"#;
        assert_eq!(
            read_as(Dialect::Anthropic, marked).body_with_mark("n", Patches::default()),
            None
        );
    }

    #[test]
    fn a_response_goes_on_from_the_providers_own_id() {
        let request = read_as(
            Dialect::Responses,
            r#"{"model":"m","previous_response_id":"resp_1"}"#,
        );
        assert_eq!(request.previous.as_deref(), Some("resp_1"));
        assert_eq!(
            request
                .body_going_on("gpt", "resp_2", Patches::default())
                .concat(),
            br#"{"model":"gpt","previous_response_id":"resp_2"}"#
        );
    }

    #[test]
    fn a_model_in_the_path_leaves_the_body_alone() {
        let path = PathFacts {
            model: Some("gemini".into()),
            stream: Some(true),
        };
        let body = Bytes::from_static(b"{ \"contents\": [] }");
        let operation = Operation::Generate(Dialect::Gemini);
        let request = Incoming::read(operation, body.clone(), path).unwrap();
        assert!(request.stream);
        assert_eq!(
            request.body_for("other", true, Patches::default()).concat(),
            body
        );
    }
}
