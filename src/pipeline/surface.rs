//! What a request's head asks for: which endpoint, with which key, under which id.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Method, header};
use percent_encoding::percent_decode_str;

use super::fields::{API_KEY, X_API_KEY, X_GOOG_API_KEY, X_REQUEST_ID};
use crate::dialect::{Endpoint, Error, Kind};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Surface {
    /// An answer of a model, which Azure's paths name.
    Ask(Endpoint, Option<String>),
    /// The models that the key may use.
    ListModels,
    /// One of them.
    ShowModel(String),
}

/// What is served, for whoever asks for something else.
const SERVED: &str = "POST /v1/chat/completions, POST /v1/completions, POST /v1/embeddings, GET /v1/models, \
     GET /v1/models/{id}, and the same under /openai/v1 and /openai/deployments/{model}";

impl Surface {
    /// Reads method and path.
    ///
    /// # Errors
    /// [`Kind::UnknownEndpoint`], [`Kind::UnknownMethod`].
    pub fn of(method: &Method, path: &str) -> Result<Self, Error> {
        let surface = Self::of_path(path).ok_or_else(|| {
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

    /// The one method that the path answers.
    pub fn method(&self) -> Method {
        match self {
            Self::Ask(..) => Method::POST,
            Self::ListModels | Self::ShowModel(_) => Method::GET,
        }
    }

    fn of_path(path: &str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/openai/deployments/") {
            let verbs = [
                ("/chat/completions", Endpoint::Chat),
                ("/completions", Endpoint::Completions),
                ("/embeddings", Endpoint::Embeddings),
            ];
            let (model, endpoint) = verbs
                .into_iter()
                .find_map(|(verb, endpoint)| Some((rest.strip_suffix(verb)?, endpoint)))?;
            return Some(Self::Ask(endpoint, Some(decoded(model)?)));
        }
        // Azure's newer clients put its own prefix before OpenAI's paths.
        let prefixes = ["/v1/", "/openai/v1/", "/openai/"];
        let rest = prefixes
            .iter()
            .find_map(|prefix| path.strip_prefix(prefix))?;
        Some(match rest {
            "chat/completions" => Self::Ask(Endpoint::Chat, None),
            "completions" => Self::Ask(Endpoint::Completions, None),
            "embeddings" => Self::Ask(Endpoint::Embeddings, None),
            "models" | "models/" => Self::ListModels,
            rest => Self::ShowModel(decoded(rest.strip_prefix("models/")?)?),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(endpoint: Endpoint, model: &str) -> Option<Surface> {
        Some(Surface::Ask(endpoint, Some(model.to_owned())))
    }

    #[test]
    fn paths_name_what_is_asked_for() {
        let of = |path| Surface::of_path(path);
        assert_eq!(
            of("/v1/chat/completions"),
            Some(Surface::Ask(Endpoint::Chat, None))
        );
        assert_eq!(of("/v1/models"), Some(Surface::ListModels));
        assert_eq!(of("/openai/models"), Some(Surface::ListModels));
        assert_eq!(
            of("/openai/v1/embeddings"),
            Some(Surface::Ask(Endpoint::Embeddings, None))
        );
        assert_eq!(
            of("/v1/models/openai%2Fgpt:5"),
            Some(Surface::ShowModel("openai/gpt:5".into()))
        );
        assert_eq!(
            of("/v1/models/openai/gpt"),
            Some(Surface::ShowModel("openai/gpt".into()))
        );
        let azure = "/openai/deployments/a%2Fb/chat/completions";
        assert_eq!(of(azure), ask(Endpoint::Chat, "a/b"));
        assert_eq!(
            of("/openai/deployments/m/completions"),
            ask(Endpoint::Completions, "m")
        );
        for unknown in [
            "/",
            "/v1",
            "/v1/chat",
            "/v1/models/%ff",
            "/openai/deployments//embeddings",
            "/v2/chat",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        let kind = |method, path| Surface::of(&method, path).unwrap_err().kind;
        assert_eq!(kind(Method::GET, "/v1/embeddings"), Kind::UnknownMethod);
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
