//! Calling upstream: connections, credentials, the simulated provider.
//!
//! Invariant: a credential leaves only in the header of a call to its own provider, and no error text holds one.

mod answer;
mod dial;
mod failure;
mod known;
mod proxy;
mod resolve;
mod section;
pub mod simulated;
mod upstream;

pub use answer::{Answer, Body, Head};
pub use dial::{Destination, Dialer, crypto};
pub use failure::{Failure, FailureKind, Phase};
pub use section::{HealthSection, ProviderSection, RetrySection, TimeoutSection, Timeouts};

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::config::{Document, ScalarOr};
use crate::dialect::Endpoint;
use answer::Play;
use proxy::Proxy;
use section::DialectName;
use simulated::Simulation;
use upstream::{Post, Upstream};

const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// An upstream account, ready to be called.
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// What it says about time limits itself.
    pub timeout: TimeoutSection,
    /// Whether a stream may be asked for its usage by `stream_options`.
    pub takes_stream_options: bool,
    endpoints: Vec<Endpoint>,
    kind: Kind,
}

enum Kind {
    Remote(Remote),
    Simulated(Simulation, AtomicU64),
}

struct Remote {
    dialer: Arc<Dialer>,
    upstream: Arc<Upstream>,
    /// The base URL's path, without a slash at its end.
    base_path: String,
    azure_version: Option<String>,
    /// The fields of every call: the credential and the configured ones.
    fields: Vec<(HeaderName, HeaderValue)>,
}

/// What a call sends.
pub struct Call<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The model as this provider knows it.
    pub model: &'a str,
    /// The caller's fields that go upstream.
    pub fields: &'a [(HeaderName, HeaderValue)],
    /// The body's pieces, one behind the other.
    pub body: &'a [Bytes],
    /// How long a new connection may take.
    pub connect: std::time::Duration,
}

impl Provider {
    /// Reads a provider's section; mistakes go to `document`. Connections of `previous`, the provider of this name
    /// before a reload, are kept if they lead to the same place.
    pub fn resolve(
        name: &str,
        section: ProviderSection,
        dialer: &Arc<Dialer>,
        previous: Option<&Self>,
        document: &mut Document,
    ) -> Option<Self> {
        check_unbuilt(name, &section, document);
        let timeout = section.timeout;
        let asked = section.endpoints.clone();
        let (kind, habits) = match section.dialect {
            DialectName::Simulated => {
                let simulation = simulation(name, &section, document);
                let kind = Kind::Simulated(simulation, AtomicU64::new(0));
                (kind, known::habits(""))
            }
            DialectName::OpenAi => {
                let remote = Remote::resolve(name, section, dialer, previous, document)?;
                let habits = known::habits(&remote.upstream.destination().host);
                (Kind::Remote(remote), habits)
            }
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            timeout,
            takes_stream_options: habits.takes_stream_options,
            endpoints: asked.unwrap_or_else(|| habits.endpoints.to_vec()),
            kind,
        })
    }

    /// Whether it serves `endpoint`.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.endpoints.contains(&endpoint)
    }

    /// Sends a request and waits for the head of its answer. Dropping the future, or the answer, ends the call.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        match &self.kind {
            Kind::Remote(remote) => remote.call(call).await,
            Kind::Simulated(simulation, sequence) => Ok(simulate(simulation, sequence, call)),
        }
    }

    /// Closes connections that are no longer of use.
    pub fn sweep(&self) {
        if let Kind::Remote(remote) = &self.kind {
            remote.upstream.sweep();
        }
    }
}

impl Remote {
    fn resolve(
        name: &str,
        section: ProviderSection,
        dialer: &Arc<Dialer>,
        previous: Option<&Provider>,
        document: &mut Document,
    ) -> Option<Self> {
        let at = |field| ["providers", name, field];
        let base_url = match (&section.base_url, &section.azure) {
            (Some(url), _) => url.as_str(),
            (None, None) => OPENAI_BASE_URL,
            (None, Some(_)) => {
                document
                    .error(&["providers", name], "`azure` needs a `base_url`")
                    .help("the resource's: https://NAME.openai.azure.com");
                return None;
            }
        };
        let (destination, authority, base_path) = match base(base_url) {
            Ok(base) => base,
            Err(problem) => {
                document
                    .error(&at("base_url"), format!("`base_url` {problem}"))
                    .help("it looks like https://api.openai.com/v1");
                return None;
            }
        };
        let fields = fields(name, &section, document)?;
        let kept = previous.and_then(|provider| match &provider.kind {
            Kind::Remote(remote) => Some(remote.upstream.clone()),
            Kind::Simulated(..) => None,
        });
        let upstream = kept
            .filter(|upstream| *upstream.destination() == destination)
            .unwrap_or_else(|| Arc::new(Upstream::new(destination, authority)));
        Some(Self {
            dialer: dialer.clone(),
            upstream,
            base_path,
            azure_version: section.azure.map(|azure| azure.api_version),
            fields,
        })
    }

    async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut fields = Vec::with_capacity(self.fields.len() + call.fields.len());
        fields.extend_from_slice(&self.fields);
        let is_ours = |name: &HeaderName| self.fields.iter().any(|(ours, _)| ours == name);
        fields.extend(
            call.fields
                .iter()
                .filter(|(name, _)| !is_ours(name))
                .cloned(),
        );
        let post = Post {
            path: &self.path(call.endpoint, call.model),
            fields: &fields,
            body: call.body,
            connect: call.connect,
        };
        self.upstream.post(&self.dialer, &post).await
    }

    fn path(&self, endpoint: Endpoint, model: &str) -> String {
        let verb = match endpoint {
            Endpoint::Chat => "chat/completions",
            Endpoint::Responses => "responses",
            Endpoint::Completions => "completions",
            Endpoint::Embeddings => "embeddings",
        };
        let base = &self.base_path;
        match &self.azure_version {
            None => format!("{base}/{verb}"),
            Some(version) => {
                let deployment: Cow<'_, str> =
                    percent_encoding::utf8_percent_encode(model, PATH_SEGMENT).into();
                format!("{base}/openai/deployments/{deployment}/{verb}?api-version={version}")
            }
        }
    }
}

/// Everything but RFC 3986's unreserved characters is encoded in a deployment's name.
const PATH_SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A base URL's destination, its `host` field, and its path without the last slash.
fn base(url: &str) -> Result<(Destination, String, String), String> {
    let uri: Uri = url.parse().map_err(|_| "is not a URL".to_owned())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("must begin with https:// or http://".to_owned()),
    };
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must not hold a user or a password".to_owned());
    }
    if uri.query().is_some() {
        return Err("must not have a query".to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    let proxy = match tls {
        true => Proxy::for_host(&host, |name| std::env::var(name).ok()),
        false => Ok(None),
    };
    let destination = Destination {
        host,
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        tls,
        proxy: proxy.map_err(|error| format!("cannot be reached: {error}"))?,
    };
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok((destination, authority.to_string(), path))
}

/// The fields of every call to this provider.
fn fields(
    name: &str,
    section: &ProviderSection,
    document: &mut Document,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    let mut fields = vec![
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::USER_AGENT, HeaderValue::from_static(agent)),
    ];
    if let Some(key) = &section.api_key {
        let (field, text) = match section.azure {
            Some(_) => (HeaderName::from_static("api-key"), key.expose().to_owned()),
            None => (header::AUTHORIZATION, format!("Bearer {}", key.expose())),
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            let path = ["providers", name, "api_key"];
            document.error(&path, "`api_key` holds a character that no HTTP header may");
            return None;
        };
        value.set_sensitive(true);
        fields.push((field, value));
    }
    let reserved = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ];
    for (field, value) in &section.headers {
        let path = ["providers", name, "headers", field];
        match (HeaderName::try_from(field), HeaderValue::from_str(value)) {
            (Ok(field), Ok(_)) if reserved.contains(&field) => {
                document.error_at_key(&path, format!("`{field}` is the gateway's own to set"));
            }
            (Ok(field), Ok(value)) => {
                fields.retain(|(ours, _)| *ours != field);
                fields.push((field, value));
            }
            (Err(_), _) => {
                document.error_at_key(&path, format!("`{field}` is no name of an HTTP header"));
            }
            (_, Err(_)) => {
                document.error(&path, "the value holds a character that no HTTP header may");
            }
        }
    }
    Some(fields)
}

fn check_unbuilt(name: &str, section: &ProviderSection, document: &mut Document) {
    let word = match section.dialect {
        DialectName::OpenAi | DialectName::Simulated => None,
        DialectName::Anthropic => Some("anthropic"),
        DialectName::Gemini => Some("gemini"),
        DialectName::Bedrock => Some("bedrock"),
        DialectName::Cohere => Some("cohere"),
    };
    if let Some(word) = word {
        document
            .error(
                &["providers", name, "dialect"],
                format!("the dialect `{word}` is not built yet"),
            )
            .help("openai and simulated are");
    }
    check_retry_and_health(
        &["providers", name],
        section.retry.as_ref(),
        section.health.as_ref(),
        document,
    );
    let is_simulated = section.dialect == DialectName::Simulated;
    let misplaced: [(&str, bool, &str); 6] = [
        (
            "base_url",
            is_simulated && section.base_url.is_some(),
            "simulated",
        ),
        (
            "api_key",
            is_simulated && section.api_key.is_some(),
            "simulated",
        ),
        (
            "azure",
            is_simulated && section.azure.is_some(),
            "simulated",
        ),
        (
            "first_token",
            !is_simulated && section.first_token.is_some(),
            "openai",
        ),
        (
            "tokens_per_second",
            !is_simulated && section.tokens_per_second.is_some(),
            "openai",
        ),
        (
            "faults",
            !is_simulated && section.faults.is_some(),
            "openai",
        ),
    ];
    for (field, is_misplaced, dialect) in misplaced {
        if is_misplaced {
            document
                .error_at_key(
                    &["providers", name, field],
                    format!("`{field}` means nothing to the dialect `{dialect}`"),
                )
                .help(format!("remove it, or mend `providers.{name}.dialect`"));
        }
    }
}

/// Repeats and circuits are not built: what asks for them is an error, what asks for none is fine.
pub fn check_retry_and_health(
    path: &[&str],
    retry: Option<&RetrySection>,
    health: Option<&HealthSection>,
    document: &mut Document,
) {
    if retry.is_some_and(|retry| retry.attempts.is_some_and(|attempts| attempts != 1)) {
        document
            .error(
                &[path, &["retry", "attempts"]].concat(),
                "repeats are not built yet",
            )
            .help("1, no repeat, is what happens");
    }
    if let Some(ScalarOr::Collection(_)) = health {
        document
            .error(&[path, &["health"]].concat(), "circuits are not built yet")
            .help("`off` is what happens");
    }
}

fn simulation(name: &str, section: &ProviderSection, document: &mut Document) -> Simulation {
    let faults = section.faults.unwrap_or_default();
    let shares = [
        (&["error", "rate"][..], faults.error.rate),
        (&["stall"][..], faults.stall),
        (&["cut"][..], faults.cut),
    ];
    for (field, share) in shares {
        if !(0.0..=1.0).contains(&share) {
            let path = [&["providers", name, "faults"], field].concat();
            document.error(&path, "a share is between 0 and 1");
        }
    }
    if shares.iter().map(|(_, share)| share).sum::<f64>() > 1.0 {
        document.error(
            &["providers", name, "faults"],
            "the shares add up to more than 1",
        );
    }
    if !(400..600).contains(&faults.error.status) {
        let path = ["providers", name, "faults", "error", "status"];
        document.error(&path, "the status of an error is between 400 and 599");
    }
    let pace = section.tokens_per_second.unwrap_or(0.0);
    if !(pace == 0.0 || (0.01..=1e6).contains(&pace)) {
        let path = ["providers", name, "tokens_per_second"];
        document.error(&path, "the pace is between 0.01 and 1000000, or 0 for none");
    }
    Simulation {
        first_token: section
            .first_token
            .map_or_else(Default::default, |said| said.0),
        tokens_per_second: pace,
        faults: simulated::Faults {
            error: simulated::ErrorFault {
                rate: faults.error.rate,
                status: faults.error.status,
            },
            stall: faults.stall,
            cut: faults.cut,
        },
    }
}

fn simulate(simulation: &Simulation, sequence: &AtomicU64, call: &Call<'_>) -> Answer {
    let endpoint = match call.endpoint {
        Endpoint::Completions => simulated::Endpoint::Completions,
        Endpoint::Embeddings => simulated::Endpoint::Embeddings,
        Endpoint::Chat | Endpoint::Responses => simulated::Endpoint::Chat,
    };
    let number = sequence.fetch_add(1, Ordering::Relaxed);
    let body = call.body.concat();
    let script = simulated::answer(simulation, endpoint, call.model, &body, number);
    let mut fields = HeaderMap::new();
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(script.content_type),
    );
    for (name, value) in script.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(HeaderName::from_static(name), value);
        }
    }
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer {
        head: Head::read(status, &fields),
        body: Body::Simulated(Play::new(script.steps)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let (to, authority, path) = base("http://[::1]:8000/openai/v1/").unwrap();
        assert_eq!((to.host.as_str(), to.port, to.tls), ("::1", 8000, false));
        assert_eq!(
            (authority.as_str(), path.as_str()),
            ("[::1]:8000", "/openai/v1")
        );
        let (to, _, path) = base("https://api.openai.com").unwrap();
        assert_eq!((to.port, to.tls, path.as_str()), (443, true, ""));
    }

    #[test]
    fn a_base_url_that_cannot_work_is_refused() {
        for url in [
            "api.openai.com",
            "ftp://x/v1",
            "https://u:p@x/v1",
            "https://x/v1?a=b",
            "",
            "https://",
        ] {
            assert!(base(url).is_err(), "{url}");
        }
    }
}
