//! Calling upstream: connections, credentials, the simulated provider.
//!
//! Invariant: a credential leaves only in the header of a call to its own provider, and no error text holds one.

mod answer;
mod dial;
mod failure;
mod known;
mod names;
mod proxy;
mod section;
mod settings;
pub mod simulated;
mod upstream;

pub use answer::{Answer, Body, Head};
pub use dial::{Destination, Dialer, crypto};
pub use failure::{Failure, FailureKind, Phase};
pub use section::{HealthSection, ProviderSection, RetrySection, TimeoutSection, Timeouts};
pub use settings::check_calls;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::config::Document;
use crate::dialect::Endpoint;
use answer::Play;
use section::DialectName;
use settings::{base, check_unbuilt, fields, simulation};
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
            None => [base, "/", verb].concat(),
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
