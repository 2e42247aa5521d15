//! Calling upstream: connections, credentials, the simulated provider.
//!
//! Invariant: a credential leaves only in the header of a call to its own provider, and no error text holds one.

mod allowance;
mod answer;
mod api;
mod calls;
mod credentials;
mod dial;
mod failure;
pub mod fetch;
mod keys;
mod known;
mod names;
mod proxy;
mod section;
mod settings;
pub mod simulated;
mod upstream;

pub use allowance::{Allowance, Amounts, Left, Taken};
pub use answer::{Answer, Body, Head};
pub use calls::check_calls;
pub use dial::{Destination, Dialer};
pub use failure::{Failure, FailureKind, Phase};
pub use section::{
    CircuitSection, HealthSection, ProviderSection, RetrySection, TimeoutSection, Timeouts,
};

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::config::Document;
use crate::config::limits::Limits;
use crate::dialect::accent::Prefill;
use crate::dialect::{Accent, Dialect, Endpoint, Needs, Operation, common};
use allowance::Allowances;
use answer::simulate;
use api::Api;
use credentials::{Authorization, Means, Outgoing};
use fetch::Dialled;
use keys::keys;
use known::Habits;
use section::DialectName;
use settings::{api, authorization, base, base_url, check_section, fields, simulation};
use simulated::Simulation;
use upstream::{Message, Upstream};

/// An upstream account, ready to be called with one of its keys.
#[derive(Clone)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// What it says about time limits itself.
    pub timeout: TimeoutSection,
    /// What it says about repeats itself.
    pub retry: Option<RetrySection>,
    /// What it says about its circuits itself.
    pub health: Option<HealthSection>,
    /// How it speaks OpenAI's dialect.
    pub accent: &'static Accent,
    /// Whether marks for its cache are set where the caller set none.
    pub auto_cache: bool,
    /// Whether its models go on with an answer that a request begins, where that is said.
    prefill: Option<bool>,
    /// Where it is, with scheme, host and path; empty where it is nowhere.
    pub address: String,
    /// Whether it is nobody's service: a simulation, or a server that is known to run at home.
    pub is_own: bool,
    /// How much it is sent.
    pub limits: Limits,
    /// What its models cannot do, where that is said.
    pub lacks: Option<Needs>,
    /// Which of several keys it is called with, from 1.
    pub key: Option<usize>,
    /// The same with each of its further keys; only of the first.
    pub others: Vec<Arc<Self>>,
    /// What its models take by its own account, where that is gone by.
    allowances: Option<Arc<Allowances>>,
    api: Api,
    endpoints: Vec<Endpoint>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Remote(Remote),
    Simulated(Simulation, Arc<AtomicU64>),
}

#[derive(Clone)]
struct Remote {
    dialer: Arc<Dialer>,
    upstream: Arc<Upstream>,
    /// The base URL's path, without a slash at its end.
    base_path: String,
    /// The field that Anthropic demands; the caller's own goes before it.
    default_field: Option<(HeaderName, HeaderValue)>,
    /// What authorises a call, where that is no field that stays the same.
    authorization: Option<Authorization>,
    /// The fields of every call: the credential and the configured ones.
    fields: Vec<(HeaderName, HeaderValue)>,
}

/// What a call sends.
pub struct Call<'a> {
    /// What is asked for, in a dialect that the provider speaks.
    pub operation: Operation,
    /// The model as this provider knows it.
    pub model: &'a str,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// How many texts shall be embedded.
    pub texts: usize,
    /// The caller's fields that go upstream.
    pub fields: &'a [(HeaderName, HeaderValue)],
    /// The body's pieces, one behind the other.
    pub body: &'a [Bytes],
    /// How long a new connection may take.
    pub connect: Duration,
    /// What it has taken of the model's allowance, where that is gone by.
    pub taken: Option<&'a Taken>,
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
        check_section(name, &section, document);
        let (timeout, retry) = (section.timeout, section.retry);
        let health = section.health.clone();
        let auto_cache = section.auto_cache;
        let lacks = section.lacks.clone();
        let is_simulated = section.dialect == DialectName::Simulated;
        let prefill = section.prefill.or(is_simulated.then_some(true));
        let learns = section.limits.and_then(|limits| limits.learn);
        let learns = learns.unwrap_or(true) && !is_simulated;
        let limits = ["providers", name, "limits"];
        let limits = Limits::resolve(section.limits.as_ref(), &limits, document);
        let asked = section.endpoints.clone();
        let api = api(name, &section, document)?;
        let keys = keys(name, &section, document)?;
        let (kind, habits, address, is_own) = match section.dialect {
            DialectName::Simulated => {
                let simulation = simulation(name, &section, document);
                let kind = Kind::Simulated(simulation, Arc::default());
                (kind, Habits::of(&api, "", 0), String::new(), true)
            }
            _ => {
                let key = keys.first();
                let remote = Remote::resolve(name, section, key, &api, dialer, previous, document)?;
                let Destination {
                    host, port, tls, ..
                } = remote.upstream.destination();
                let habits = Habits::of(&api, host, *port);
                let scheme = if *tls { "https://" } else { "http://" };
                let address = [scheme, host, remote.base_path.as_str()].concat();
                let is_own = api == Api::OpenAi && known::runs_at_home(host, *port);
                (Kind::Remote(remote), habits, address, is_own)
            }
        };
        let mut provider = Self {
            name: name.to_owned(),
            timeout,
            retry,
            health,
            accent: habits.accent,
            auto_cache,
            prefill,
            address,
            is_own,
            limits,
            lacks: lacks.map(Needs::from_iter),
            key: (keys.len() > 1).then_some(1),
            others: Vec::new(),
            allowances: None,
            api,
            endpoints: asked.unwrap_or_else(|| habits.endpoints.to_vec()),
            kind,
        };
        let others = (2..).zip(keys.iter().skip(1));
        let mut others: Vec<_> = others
            .map(|(number, key)| provider.with_key(number, key))
            .collect();
        if learns {
            provider.learn(previous);
            others.iter_mut().for_each(|other| other.learn(previous));
        }
        provider.others = others.into_iter().map(Arc::new).collect();
        Some(provider)
    }

    /// From now on goes by what the provider says of its limits, and by what it said before a reload.
    fn learn(&mut self, previous: Option<&Self>) {
        // An account is told by its credential: what was said of another is not known of this one.
        let fingerprint = self.fingerprint();
        let mut before = previous.into_iter().flat_map(Self::with_each_key);
        let same = before.find(|other| other.fingerprint() == fingerprint);
        let kept = same.and_then(|provider| provider.allowances.clone());
        self.allowances = Some(kept.unwrap_or_default());
    }

    /// What it takes for `model` by its own account; None where that is not gone by.
    pub fn allowance(&self, model: &str) -> Option<Arc<Allowance>> {
        Some(self.allowances.as_ref()?.of(model))
    }

    /// The dialect in which `model` shall be asked by a caller who speaks `caller`: that one where it is spoken, else the
    /// provider's usual one. None if the provider serves no text at all.
    pub fn dialect_for(&self, caller: Dialect, model: &str) -> Option<Dialect> {
        let spoken = || self.api.dialects(model, &self.endpoints);
        match spoken().any(|dialect| dialect == caller) {
            true => Some(caller),
            // Plain completions take no conversation.
            false => spoken().find(|dialect| *dialect != Dialect::Completions),
        }
    }

    /// Whether `model` goes on with an answer that another has begun, for a caller who speaks `caller`.
    pub fn goes_on(&self, caller: Dialect, model: &str) -> bool {
        let Some(dialect) = self.dialect_for(caller, model) else {
            return false;
        };
        match (dialect, self.prefill) {
            // These have no word for it.
            (Dialect::Completions | Dialect::Responses | Dialect::Cohere, _) => false,
            (_, Some(said)) => said,
            (Dialect::Chat, None) if self.accent.prefill == Some(Prefill::BetaPrefix) => {
                self.address.ends_with("/beta")
            }
            (dialect, None) => dialect.has_prefill(model, self.accent),
        }
    }

    /// The dialect in which it is asked for embeddings, if it serves any.
    pub fn dialect_of_embeddings(&self) -> Option<Dialect> {
        let serves = self.endpoints.contains(&Endpoint::Embeddings);
        self.api.dialect_of_embeddings().filter(|_| serves)
    }

    /// Whether it counts the tokens of a request to `model` by itself, in `dialect`, for a caller who speaks `caller`.
    pub fn counts_tokens(&self, caller: Dialect, dialect: Dialect, model: &str) -> bool {
        self.api.counts_tokens(caller, dialect, model)
    }

    /// Whose API it is, as price lists call them, where only one company has such a one.
    pub const fn house(&self) -> Option<&'static str> {
        match self.api {
            Api::OpenAi => None,
            Api::Azure(_) => Some("azure"),
            Api::Anthropic => Some("anthropic"),
            Api::Gemini | Api::Vertex { .. } => Some("google"),
            Api::Bedrock => Some("aws"),
            Api::Cohere => Some("cohere"),
        }
    }

    /// What a writer of requests to one of its models needs to know.
    pub fn outgoing<'a>(&self, model: &'a str) -> common::Outgoing<'a> {
        common::Outgoing {
            model,
            accent: self.accent,
            is_vertex: self.is_vertex(),
            auto_cache: self.auto_cache,
        }
    }

    /// What of a request from a caller who speaks `caller` does not reach `model`.
    pub fn loses(&self, caller: Dialect, model: &str) -> Needs {
        let to = self.outgoing(model);
        let dialect = self.dialect_for(caller, model);
        dialect.map_or_else(Needs::all, |dialect| Needs::lost(caller, dialect, &to))
    }

    /// Whether it is Vertex, where paths name the model.
    pub fn is_vertex(&self) -> bool {
        matches!(self.api, Api::Vertex { .. })
    }

    /// Sends a request and waits for the head of its answer. Dropping the future, or the answer, ends the call.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        match &self.kind {
            Kind::Remote(remote) => {
                let path = self.api.path(call);
                let request = Message {
                    method: "POST",
                    path: &[&remote.base_path, path.as_str()].concat(),
                    fields: call.fields,
                    body: call.body,
                    connect: call.connect,
                    taken: call.taken,
                };
                let answer = remote.send(&request).await;
                if let (Some(taken), Err(failure)) = (call.taken, &answer)
                    && !failure.may_cost()
                {
                    taken.give_back();
                }
                answer
            }
            Kind::Simulated(simulation, sequence) => Ok(simulate(simulation, sequence, call)),
        }
    }

    /// Reads (`GET`) or deletes (`DELETE`) a response that the provider keeps. `query` is what of the caller's goes along.
    ///
    /// # Errors
    /// As [`Self::call`]; the simulated provider keeps nothing.
    pub async fn stored(
        &self,
        method: &str,
        id: &str,
        query: &str,
        fields: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, Failure> {
        let Kind::Remote(remote) = &self.kind else {
            return Err(Failure::new(FailureKind::Malformed, "nothing is kept here"));
        };
        let mut path = [&remote.base_path, self.api.stored_path(id).as_str()].concat();
        if !query.is_empty() {
            path.push('?');
            path.push_str(query);
        }
        let request = Message {
            method,
            path: &path,
            fields,
            body: &[],
            connect: STORED_CONNECT,
            taken: None,
        };
        remote.send(&request).await
    }

    /// What is the same for all replicas that call this provider with this credential, and known to nobody else as far as
    /// the credential is a secret.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(b"tollgate responses");
        if let Kind::Remote(remote) = &self.kind {
            context.update(remote.upstream.destination().host.as_bytes());
            for (_, value) in &remote.fields {
                context.update(value.as_bytes());
            }
            if let Some(authorization) = &remote.authorization {
                context.update(&authorization.identity());
            }
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }

    /// Says that the provider did not accept our credential: what can be fetched anew is.
    pub fn doubt(&self) {
        if let Kind::Remote(Remote {
            authorization: Some(authorization),
            ..
        }) = &self.kind
        {
            authorization.doubt();
        }
    }

    /// Closes connections that are no longer of use, and renews credentials that soon are not.
    pub fn sweep(&self) {
        if let Kind::Remote(remote) = &self.kind {
            remote.upstream.sweep();
            if let Some(authorization) = &remote.authorization {
                authorization.tend();
            }
        }
    }
}

impl Remote {
    fn resolve(
        name: &str,
        section: ProviderSection,
        key: Option<&(HeaderName, HeaderValue)>,
        api: &Api,
        dialer: &Arc<Dialer>,
        previous: Option<&Provider>,
        document: &mut Document,
    ) -> Option<Self> {
        let at = |field| ["providers", name, field];
        let base_url = base_url(name, &section, document)?;
        let (destination, authority, base_path) = match base(&base_url) {
            Ok(base) => base,
            Err(problem) => {
                document
                    .error(&at("base_url"), format!("`base_url` {problem}"))
                    .help("it looks like https://api.openai.com/v1");
                return None;
            }
        };
        if matches!(api, Api::Azure(_)) && base_path.starts_with("/openai") {
            document
                .error(
                    &at("base_url"),
                    "`base_url` is the resource's own, without a path",
                )
                .help("it looks like https://NAME.openai.azure.com");
        }
        let fields = fields(name, &section, key, document);
        let provider = name.to_owned();
        let means = Means {
            fetch: Arc::new(Dialled(dialer.clone())),
            report: Arc::new(move |problem| log::warn!("provider `{provider}`: {problem}")),
        };
        let authorization = authorization(name, &section, &means, document);
        let previous = previous.and_then(|provider| match &provider.kind {
            Kind::Remote(remote) => Some(remote),
            Kind::Simulated(..) => None,
        });
        let kept = previous.map(|remote| remote.upstream.clone());
        let fetched = previous.and_then(|remote| remote.authorization.as_ref());
        let upstream = kept
            .filter(|upstream| *upstream.destination() == destination)
            .unwrap_or_else(|| Arc::new(Upstream::new(destination, authority)));
        Some(Self {
            dialer: dialer.clone(),
            upstream,
            base_path,
            default_field: (*api == Api::Anthropic).then(|| {
                let version = HeaderValue::from_static(ANTHROPIC_VERSION);
                (HeaderName::from_static("anthropic-version"), version)
            }),
            authorization: authorization.map(|new| new.or_kept(fetched)),
            fields,
        })
    }

    /// Sends a request with what the provider is to get besides.
    async fn send(&self, request: &Message<'_>) -> Result<Answer, Failure> {
        let given = request.fields;
        let mut fields = Vec::with_capacity(self.fields.len() + given.len() + 1);
        fields.extend_from_slice(&self.fields);
        let is_ours = |name: &HeaderName| self.fields.iter().any(|(ours, _)| ours == name);
        fields.extend(given.iter().filter(|(name, _)| !is_ours(name)).cloned());
        if let Some((name, value)) = &self.default_field
            && !fields.iter().any(|(given, _)| given == name)
        {
            fields.push((name.clone(), value.clone()));
        }
        if let Some(authorization) = &self.authorization {
            let outgoing = Outgoing {
                method: request.method,
                path: request.path,
                host: self.upstream.authority(),
                body: request.body,
            };
            // Boxed: it waits only where there is no credential yet.
            let authorized = Box::pin(authorization.authorize(&outgoing, &mut fields)).await;
            authorized.map_err(|none| Failure::new(FailureKind::Credential, none))?;
        }
        let message = Message {
            fields: &fields,
            ..*request
        };
        self.upstream.send(&self.dialer, &message).await
    }
}

/// The version of Anthropic's API that is asked for where the caller names none; there is no newer one.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How long a new connection may take to where responses are kept.
const STORED_CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
