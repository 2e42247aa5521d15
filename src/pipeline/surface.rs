//! What a request's head asks for: which endpoint, with which key, under which id.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Method, Uri, header};
use percent_encoding::percent_decode_str;

use super::fields::{self, ANTHROPIC_VERSION, API_KEY, X_API_KEY, X_GOOG_API_KEY, X_REQUEST_ID};
use crate::dialect::{Dialect, Error, Framing, Incoming, Kind, Operation, PathFacts};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Surface {
    /// An answer of a model.
    Ask(Ask),
    /// The models that the key may use, in a dialect's shape.
    ListModels(Dialect),
    /// One of them.
    ShowModel(Dialect, String),
    /// A response that its provider keeps.
    Stored(Verb, String),
}

/// A question to a model.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// What, and in which dialect.
    pub operation: Operation,
    /// What the path says besides.
    pub path: PathFacts,
    /// How a stream is framed.
    pub framing: Framing,
}

/// What is done to a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is read.
    Get,
    /// It is deleted.
    Delete,
}

/// What is served, for whoever asks for something else.
const SERVED: &str = "POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, /v1/messages, \
     /v1/messages/count_tokens, /v1beta/models/{model}:generateContent, :streamGenerateContent and :countTokens, \
     /model/{model}/converse and /converse-stream, /v2/chat; GET /v1/models, /v1/models/{id}, /v1beta/models; \
     GET and DELETE /v1/responses/{id}; OpenAI's also under /openai/v1 and /openai/deployments/{model}";

/// The dialect of whoever asks for `path`: errors are written in it, also where nothing is served.
pub fn dialect(path: &str, fields: &HeaderMap) -> Dialect {
    let under = |prefix| path.starts_with(prefix);
    if under("/v1/messages") || (under("/v1/models") && fields.contains_key(&ANTHROPIC_VERSION)) {
        return Dialect::Anthropic;
    }
    if under("/v1beta") || (under("/v1/models/") && has_gemini_verb(path)) {
        return Dialect::Gemini;
    }
    if under("/model/") {
        return Dialect::Bedrock;
    }
    if under("/v2/") {
        return Dialect::Cohere;
    }
    match under("/v1/responses") || under("/openai/v1/responses") {
        true => Dialect::Responses,
        false => Dialect::Chat,
    }
}

impl Surface {
    /// Reads method, path and query of a caller who speaks `dialect`.
    ///
    /// # Errors
    /// [`Kind::UnknownEndpoint`], [`Kind::UnknownMethod`].
    pub fn of(method: &Method, uri: &Uri, dialect: Dialect) -> Result<Self, Error> {
        let path = uri.path();
        let surface = Self::of_path(path, uri.query(), method, dialect).ok_or_else(|| {
            let shown: String = path.chars().take(128).collect();
            let message = format!("there is no `{shown}` here; served are {SERVED}");
            Error::new(Kind::UnknownEndpoint, message)
        })?;
        if *method == surface.method() {
            return Ok(surface);
        }
        let message = format!("`{path}` is asked by {}, not by {method}", surface.method());
        Err(Error::new(Kind::UnknownMethod, message))
    }

    /// The method that the path answers.
    pub fn method(&self) -> Method {
        match self {
            Self::Ask(..) => Method::POST,
            Self::ListModels(_) | Self::ShowModel(..) | Self::Stored(Verb::Get, _) => Method::GET,
            Self::Stored(Verb::Delete, _) => Method::DELETE,
        }
    }

    fn of_path(path: &str, query: Option<&str>, method: &Method, dialect: Dialect) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/openai/deployments/") {
            let verbs = [
                ("/chat/completions", Operation::Generate(Dialect::Chat)),
                ("/completions", Operation::Generate(Dialect::Completions)),
                ("/embeddings", Operation::Embed(Dialect::Chat)),
            ];
            let (model, operation) = verbs
                .into_iter()
                .find_map(|(verb, operation)| Some((rest.strip_suffix(verb)?, operation)))?;
            return Some(ask(operation, Some(decoded(model)?), None));
        }
        match dialect {
            Dialect::Gemini => gemini(path, query),
            Dialect::Bedrock => bedrock(path),
            Dialect::Cohere if path == "/v2/chat" => Some(in_body(dialect)),
            Dialect::Cohere => None,
            Dialect::Anthropic => match path {
                "/v1/messages" => Some(in_body(dialect)),
                "/v1/messages/count_tokens" => {
                    Some(ask(Operation::CountTokens(dialect), None, None))
                }
                _ => models(dialect, path.strip_prefix("/v1/")?),
            },
            Dialect::Chat | Dialect::Completions | Dialect::Responses => {
                // Azure's newer clients put its own prefix before OpenAI's paths.
                let prefixes = ["/v1/", "/openai/v1/", "/openai/"];
                let rest = prefixes
                    .iter()
                    .find_map(|prefix| path.strip_prefix(prefix))?;
                openai(rest, method)
            }
        }
    }
}

/// OpenAI's paths, behind the version.
fn openai(rest: &str, method: &Method) -> Option<Surface> {
    Some(match rest {
        "chat/completions" => in_body(Dialect::Chat),
        "completions" => in_body(Dialect::Completions),
        "responses" => in_body(Dialect::Responses),
        "embeddings" => ask(Operation::Embed(Dialect::Chat), None, None),
        rest => match rest.strip_prefix("responses/") {
            Some(id) if !id.contains('/') => {
                let verb = match *method == Method::DELETE {
                    true => Verb::Delete,
                    false => Verb::Get,
                };
                Surface::Stored(verb, decoded(id)?)
            }
            Some(_) => return None,
            None => return models(Dialect::Chat, rest),
        },
    })
}

fn models(dialect: Dialect, rest: &str) -> Option<Surface> {
    Some(match rest {
        "models" | "models/" => Surface::ListModels(dialect),
        rest => Surface::ShowModel(dialect, decoded(rest.strip_prefix("models/")?)?),
    })
}

/// Google's verbs behind a model's name.
const GEMINI_VERBS: [&str; 3] = [":generateContent", ":streamGenerateContent", ":countTokens"];

fn has_gemini_verb(path: &str) -> bool {
    GEMINI_VERBS.iter().any(|verb| path.ends_with(verb))
}

/// `/v1beta/models/…`; `v1` and Vertex's longer paths end alike.
fn gemini(path: &str, query: Option<&str>) -> Option<Surface> {
    let known = path.split_once("/models").filter(|(lead, _)| {
        matches!(*lead, "/v1beta" | "/v1") || lead.ends_with("/publishers/google")
    });
    let name = match known {
        Some((_, "" | "/")) => return Some(Surface::ListModels(Dialect::Gemini)),
        Some((_, rest)) => rest.strip_prefix('/')?,
        // Vercel's SDK takes a name with a slash for a whole path.
        None => path
            .strip_prefix("/v1beta/")
            .filter(|_| has_gemini_verb(path))?,
    };
    // A model's name may hold a colon, too; only the last one may lead to a verb.
    let Some((model, verb)) = name
        .rsplit_once(':')
        .filter(|(_, verb)| GEMINI_VERBS.iter().any(|known| known[1..] == **verb))
    else {
        return Some(Surface::ShowModel(Dialect::Gemini, decoded(name)?));
    };
    let operation = match verb {
        "countTokens" => Operation::CountTokens(Dialect::Gemini),
        _ => Operation::Generate(Dialect::Gemini),
    };
    let is_stream = verb == "streamGenerateContent";
    let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    Some(Surface::Ask(Ask {
        operation,
        path: PathFacts {
            model: Some(decoded(model)?),
            stream: Some(is_stream),
        },
        framing: match is_sse {
            true => Framing::Events,
            false => Framing::Array,
        },
    }))
}

fn bedrock(path: &str) -> Option<Surface> {
    let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let (operation, is_stream) = match verb {
        "converse" => (Operation::Generate(Dialect::Bedrock), false),
        "converse-stream" => (Operation::Generate(Dialect::Bedrock), true),
        "count-tokens" => (Operation::CountTokens(Dialect::Bedrock), false),
        _ => return None,
    };
    Some(ask(operation, Some(decoded(model)?), Some(is_stream)))
}

/// A dialect whose body says all.
fn in_body(dialect: Dialect) -> Surface {
    ask(Operation::Generate(dialect), None, None)
}

fn ask(operation: Operation, model: Option<String>, stream: Option<bool>) -> Surface {
    Surface::Ask(Ask {
        operation,
        path: PathFacts { model, stream },
        framing: operation.dialect().framing(),
    })
}

fn decoded(name: &str) -> Option<String> {
    let name = percent_decode_str(name).decode_utf8().ok()?;
    (!name.is_empty()).then(|| name.into_owned())
}

/// The key that the head presents, however the caller's SDK sends it.
///
/// # Errors
/// [`Kind::InvalidApiKey`]: there is none, or there are two that differ.
pub fn credential<'a>(
    fields: &'a HeaderMap,
    query: Option<&'a str>,
) -> Result<Cow<'a, [u8]>, Error> {
    let bearer = fields
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked("bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
    let named = [&X_API_KEY, &X_GOOG_API_KEY, &API_KEY];
    let named = named.into_iter().flat_map(|name| fields.get_all(name));
    let named = named.map(http::HeaderValue::as_bytes);
    let mut presented = bearer
        .chain(named)
        .map(|key| Cow::Borrowed(key.trim_ascii()))
        .chain(query.and_then(key_parameter))
        .filter(|key| !key.is_empty());
    let first = presented.next().ok_or_else(|| {
        let message = "no API key is given; send one as `Authorization: Bearer …`";
        Error::new(Kind::InvalidApiKey, message)
    })?;
    match presented.all(|other| other == first) {
        true => Ok(first),
        false => {
            let message = "two API keys are given that differ";
            Err(Error::new(Kind::InvalidApiKey, message))
        }
    }
}

fn key_parameter(query: &str) -> Option<Cow<'_, [u8]>> {
    let pair = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("key="))?;
    Some(percent_decode_str(pair).into())
}

/// The caller's fields that go upstream: never a credential, a cookie or an address.
pub fn passed_on(fields: &HeaderMap) -> Vec<(HeaderName, http::HeaderValue)> {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("openai-")
            || name.starts_with("anthropic-")
            || matches!(name, "idempotency-key" | "traceparent")
    };
    let passing = fields.iter().filter(|(name, _)| passes(name));
    passing
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The caller's own request id, where it is fit to be one: up to 128 of `[A-Za-z0-9._-]`.
pub fn request_id(fields: &HeaderMap) -> Option<&str> {
    let id = fields.get(&X_REQUEST_ID)?.to_str().ok()?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!id.is_empty() && id.len() <= 128 && id.bytes().all(is_fit)).then_some(id)
}

/// Whether the caller asks for the cost in a stream's usage, by `x-tollgate-cost: in-usage`. Bedrock's frames are binary, and
/// have a checksum.
pub fn wants_cost(headers: &HeaderMap, incoming: &Incoming) -> bool {
    let asked = headers.get(&fields::X_COST_WHERE);
    let is_text = incoming.operation.dialect() != Dialect::Bedrock;
    asked.is_some_and(|asked| asked.as_bytes() == b"in-usage") && incoming.stream && is_text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Surface> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let dialect = dialect(path, &HeaderMap::new());
        Surface::of_path(path, query, &Method::POST, dialect)
    }

    /// What is asked of which model, and whether the path asks for a stream.
    fn asked(path: &str) -> Option<(Operation, Option<String>, Option<bool>)> {
        match of(path)? {
            Surface::Ask(ask) => Some((ask.operation, ask.path.model, ask.path.stream)),
            _ => None,
        }
    }

    #[test]
    fn paths_name_what_is_asked_for() {
        for (path, dialect) in [
            ("/v1/chat/completions", Dialect::Chat),
            ("/v1/completions", Dialect::Completions),
            ("/v1/responses", Dialect::Responses),
            ("/openai/v1/responses", Dialect::Responses),
            ("/v1/messages", Dialect::Anthropic),
            ("/v2/chat", Dialect::Cohere),
        ] {
            assert_eq!(
                asked(path),
                Some((Operation::Generate(dialect), None, None))
            );
        }
        assert_eq!(
            asked("/openai/v1/embeddings"),
            Some((Operation::Embed(Dialect::Chat), None, None))
        );
        assert_eq!(
            asked("/v1/messages/count_tokens"),
            Some((Operation::CountTokens(Dialect::Anthropic), None, None))
        );
        for unknown in [
            "/",
            "/v1",
            "/v1/chat",
            "/v1/models/%ff",
            "/v1beta/a/b",
            "/openai/deployments//embeddings",
            "/v2/embed",
            "/v1/messages/batches",
            "/v1/responses/a/cancel",
            "/model//converse",
            "/model/m/invoke",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn models_in_paths_are_raw_or_encoded() {
        let named = |path: &str| asked(path).and_then(|(_, model, _)| model);
        let chat = "/openai/deployments/a%2Fb/chat/completions";
        assert_eq!(named(chat).as_deref(), Some("a/b"));
        for (path, model, stream) in [
            ("/v1beta/models/a/b:free:generateContent", "a/b:free", false),
            (
                "/v1beta/models/a%2Fb%3Afree:streamGenerateContent",
                "a/b:free",
                true,
            ),
            ("/v1/models/gemini:generateContent", "gemini", false),
            ("/v1beta/a/b:generateContent", "a/b", false),
            (
                "/v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent",
                "g",
                false,
            ),
            (
                "/model/bedrock%2Feu.x-v1%3A0/converse",
                "bedrock/eu.x-v1:0",
                false,
            ),
            (
                "/model/bedrock/eu.x-v1:0/converse-stream",
                "bedrock/eu.x-v1:0",
                true,
            ),
        ] {
            let (_, named, streams) = asked(path).unwrap();
            assert_eq!(
                (named.as_deref(), streams),
                (Some(model), Some(stream)),
                "{path}"
            );
        }
        assert_eq!(
            of("/v1/models/openai%2Fgpt:5"),
            Some(Surface::ShowModel(Dialect::Chat, "openai/gpt:5".into()))
        );
        assert_eq!(
            of("/v1beta/models/a:b"),
            Some(Surface::ShowModel(Dialect::Gemini, "a:b".into()))
        );
        assert_eq!(of("/v1/models"), Some(Surface::ListModels(Dialect::Chat)));
        assert_eq!(
            of("/openai/models"),
            Some(Surface::ListModels(Dialect::Chat))
        );
        assert_eq!(
            of("/v1beta/models"),
            Some(Surface::ListModels(Dialect::Gemini))
        );
    }

    #[test]
    fn a_gemini_stream_is_an_array_unless_events_are_asked_for() {
        let framing = |path: &str| match of(path) {
            Some(Surface::Ask(ask)) => ask.framing,
            _ => unreachable!("the path asks a model"),
        };
        let path = "/v1beta/models/m:streamGenerateContent";
        assert_eq!(framing(path), Framing::Array);
        assert_eq!(framing(&format!("{path}?key=k&alt=sse")), Framing::Events);
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        let kind = |method, path: &'static str| {
            let uri = Uri::from_static(path);
            let dialect = dialect(path, &HeaderMap::new());
            Surface::of(&method, &uri, dialect).unwrap_err().kind
        };
        assert_eq!(kind(Method::GET, "/v1/embeddings"), Kind::UnknownMethod);
        assert_eq!(kind(Method::POST, "/v1/responses/r"), Kind::UnknownMethod);
        assert_eq!(kind(Method::GET, "/nowhere"), Kind::UnknownEndpoint);
    }

    #[test]
    fn a_key_comes_as_the_sdk_sends_it() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer  k "),
            ("x-api-key", "k"),
            ("x-goog-api-key", "k"),
            ("api-key", "k"),
        ] {
            let fields = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )]);
            assert_eq!(credential(&fields, None).unwrap().as_ref(), b"k", "{name}");
            assert_eq!(
                credential(&fields, Some("a=b&key=k")).unwrap().as_ref(),
                b"k"
            );
            assert!(credential(&fields, Some("key=other")).is_err());
        }
        let none = HeaderMap::new();
        assert_eq!(
            credential(&none, Some("key=a%2Bb")).unwrap().as_ref(),
            b"a+b"
        );
        assert!(credential(&none, Some("key=")).is_err());
    }

    #[test]
    fn only_a_fit_request_id_is_kept() {
        let with = |value: &str| {
            let value = http::HeaderValue::from_str(value).unwrap();
            HeaderMap::from_iter([(HeaderName::from_static("x-request-id"), value)])
        };
        assert_eq!(request_id(&with("a-B_1.x")), Some("a-B_1.x"));
        assert_eq!(request_id(&with("a b")), None);
        assert_eq!(request_id(&with(&"x".repeat(129))), None);
        assert_eq!(request_id(&HeaderMap::new()), None);
    }
}
