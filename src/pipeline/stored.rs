//! Responses that their provider keeps: they belong to the team that made them.
//!
//! No list of them is kept. The id that a caller gets holds the provider's name, its id there and a seal that only the
//! same team's key reproduces, on any replica and after any restart: an id that does not open is not known here.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::hmac;
use serde_json::json;

use super::End;
use super::attempt::{Whole, passed_back, timeout_at};
use super::caller::Caller;
use super::failed::to_error;
use super::plan::Back;
use super::surface::{self, Verb};
use crate::access::Key;
use crate::dialect::{Dialect, Error, Incoming, Kind, Operation, Patches, scan, sse};
use crate::provider::{Failure, Phase, Provider};
use crate::route::Target;
use crate::snapshot::Snapshot;

/// What begins an id of ours. OpenAI's begin with `resp_`, and clients may check.
const LEAD: &str = "resp_tg1";

/// Bytes of a seal: HMAC-SHA256.
const SEAL: usize = 32;

/// Seals the ids of one team's responses at one provider.
#[derive(Clone)]
pub struct Sealing {
    key: Arc<hmac::Key>,
    provider: String,
    team: String,
}

impl Sealing {
    /// The ids of `key`'s team at `provider`. What they are sealed with comes from the provider's credential, so that all
    /// replicas seal alike; with another credential they become unknown, as they do at the provider.
    pub fn new(key: &Key, provider: &Provider) -> Self {
        Self {
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &provider.fingerprint())),
            provider: provider.name.clone(),
            team: key.team.name.to_string(),
        }
    }

    /// The caller's id of what the provider calls `id`.
    fn close(&self, id: &str) -> String {
        let name = self.provider.as_bytes();
        // The names of providers come from the file; a longer one is cut, and then never found again.
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let mut sealed = vec![length];
        sealed.extend_from_slice(&name[..usize::from(length)]);
        sealed.extend_from_slice(hmac::sign(&self.key, &self.sealed_bytes(id)).as_ref());
        sealed.extend_from_slice(id.as_bytes());
        [LEAD, &BASE64_URL_SAFE_NO_PAD.encode(sealed)].concat()
    }

    /// The provider's id in what [`Self::close`] made for the same team.
    fn open(&self, sealed: &Sealed) -> Option<String> {
        let sealed_bytes = self.sealed_bytes(&sealed.id);
        let is_ours = sealed.provider == self.provider
            && hmac::verify(&self.key, &sealed_bytes, &sealed.seal).is_ok();
        is_ours.then(|| sealed.id.clone())
    }

    /// What a seal is made of.
    fn sealed_bytes(&self, id: &str) -> Vec<u8> {
        let parts = [self.team.as_str(), &self.provider, id];
        let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
        [lengths.as_flattened(), parts.concat().as_bytes()].concat()
    }

    /// A whole answer with the caller's ids.
    pub fn seal_answer(&self, body: Bytes) -> Bytes {
        match scan::object(&body) {
            Ok(object) => self.replaced(&body, &object, 0),
            Err(_) => body.clone(),
        }
    }

    /// A stream's frame with the caller's ids: they stand in events that hold the whole response.
    pub fn seal_frame(&self, frame: &Bytes) -> Bytes {
        let mut lines = sse::data(frame);
        let (Some(data), None) = (lines.next(), lines.next()) else {
            return frame.clone();
        };
        let Some(response) = scan::object(data)
            .ok()
            .and_then(|event| event.place("response"))
        else {
            return frame.clone();
        };
        let offset = data.as_ptr() as usize - frame.as_ptr() as usize + response.start;
        match scan::object(&data[response]) {
            Ok(object) => self.replaced(frame, &object, offset),
            Err(_) => frame.clone(),
        }
    }

    /// `bytes` with the ids of the response `object`, which stands at `offset`, replaced.
    fn replaced(&self, bytes: &Bytes, object: &scan::Object<'_>, offset: usize) -> Bytes {
        let mut places: Vec<Range<usize>> = ["id", "previous_response_id"]
            .into_iter()
            .filter_map(|name| object.place(name))
            .map(|place| place.start + offset..place.end + offset)
            .collect();
        places.sort_by_key(|place| place.start);
        let mut replaced = Vec::with_capacity(bytes.len() + 256);
        let mut at = 0;
        for place in places {
            let Ok(id) = serde_json::from_slice::<String>(&bytes[place.clone()]) else {
                continue; // null
            };
            replaced.extend_from_slice(&bytes[at..place.start]);
            replaced.extend_from_slice(json!(self.close(&id)).to_string().as_bytes());
            at = place.end;
        }
        replaced.extend_from_slice(&bytes[at..]);
        Bytes::from(replaced)
    }
}

/// What an id of ours says.
pub struct Sealed {
    /// The provider's name.
    pub provider: String,
    seal: Vec<u8>,
    id: String,
}

impl Sealed {
    /// Reads an id; whether it is genuine is told by [`find`] alone.
    pub fn read(id: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(id.strip_prefix(LEAD)?).ok()?;
        let (length, rest) = bytes.split_first()?;
        let (provider, rest) = rest.split_at_checked(usize::from(*length))?;
        let (seal, id) = rest.split_at_checked(SEAL)?;
        Some(Self {
            provider: String::from_utf8(provider.to_vec()).ok()?,
            seal: seal.to_vec(),
            id: String::from_utf8(id.to_vec()).ok()?,
        })
    }
}

/// The provider's own id of a response that `key`'s team made at `provider`.
///
/// # Errors
/// [`Kind::NotFound`]: it is another team's, or nobody's.
pub fn find(id: &str, key: &Key, provider: &Provider) -> Result<String, Error> {
    let sealed = Sealed::read(id).ok_or_else(|| unknown(id))?;
    let found = Sealing::new(key, provider).open(&sealed);
    found.ok_or_else(|| unknown(id))
}

/// Reads or deletes a response where it is kept.
///
/// # Errors
/// The response is not this team's, or the provider gave no usable answer.
pub async fn fetch(
    verb: Verb,
    id: &str,
    snapshot: &Snapshot,
    key: &Key,
    caller: &mut Caller<'_>,
) -> Result<Whole, End> {
    let sealed = Sealed::read(id).ok_or_else(|| unknown(id))?;
    let provider = snapshot
        .provider(&sealed.provider)
        .ok_or_else(|| unknown(id))?;
    // The key that it was made with is the one that finds it.
    let mut with_keys = provider.with_each_key();
    let found = with_keys.find_map(|provider| Some((provider, find(id, key, provider).ok()?)));
    let (provider, own) = found.ok_or_else(|| unknown(id))?;
    let method = match verb {
        Verb::Get => "GET",
        Verb::Delete => "DELETE",
    };
    let fields = surface::passed_on(&caller.head().headers);
    let query = passed_query(caller.head().uri.query().unwrap_or_default())?;
    let limit = snapshot.server.max_answer.0;
    let fetching = async {
        let mut answer = provider.stored(method, &own, &query, &fields).await?;
        let body = answer.body.whole(limit).await?;
        Ok::<_, Failure>((answer.head, body))
    };
    let due = Instant::now() + STORED_TIME_MAX;
    let fetched = tokio::select! {
        biased;
        fetched = timeout_at(due, fetching) => fetched,
        () = caller.left() => return Err(End::Gone),
    };
    let fetched = fetched.unwrap_or_else(|| Err(Failure::timeout(Phase::Total)));
    let (head, body) = fetched.map_err(|failure| to_error(&provider.name, &failure))?;
    if matches!(head.status.as_u16(), 401..=403) {
        provider.doubt();
        log::error!(
            "the provider `{}` refused our credential with status {}",
            provider.name,
            head.status
        );
        let message = format!(
            "the provider `{}` does not accept the gateway's credential",
            provider.name
        );
        return Err(Error::new(Kind::Upstream, message).into());
    }
    let body = Sealing::new(key, provider).seal_answer(body);
    Ok(Whole::new(head.status, passed_back(&head), body))
}

/// What of the caller's query goes to the provider: what its API knows, and never a key.
fn passed_query(query: &str) -> Result<String, Error> {
    const PASSED: [&str; 4] = ["include", "include[]", "include%5B%5D", "starting_after"];
    let pairs = || query.split('&').filter(|pair| !pair.is_empty());
    if pairs().any(|pair| pair == "stream=true") {
        return Err(Error::invalid("stream", "a kept response is read whole"));
    }
    let name = |pair: &&str| PASSED.contains(&pair.split('=').next().unwrap_or_default());
    Ok(pairs().filter(name).collect::<Vec<_>>().join("&"))
}

/// How long reading or deleting may take: no model has to think for it.
const STORED_TIME_MAX: Duration = Duration::from_secs(30);

/// The 404 of an id that this team does not have.
pub fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    Error::new(Kind::NotFound, format!("there is no response `{shown}`"))
}

/// Checks that a request goes on from nothing that is kept, for a target that keeps nothing.
///
/// # Errors
/// It does.
pub fn check_begins_anew(incoming: &Incoming) -> Result<(), Error> {
    if incoming.operation != Operation::Generate(Dialect::Responses) {
        return Ok(());
    }
    let is_given =
        |field: &&str| scan::member(incoming.body(), field).is_some_and(|value| value != b"null");
    let given = ["previous_response_id", "conversation"];
    match given.into_iter().find(is_given) {
        None => Ok(()),
        Some(field) => {
            let message =
                format!("`{field}` needs a target that keeps responses; this one does not");
            Err(Error::invalid(field, message))
        }
    }
}

/// The body of a request that may go on from a response, and how its answer comes back. A `conversation` passes: its id
/// was made at the provider and not here, and only whoever made it knows it.
///
/// # Errors
/// The response is another team's or another provider's.
pub fn go_on(
    incoming: &Incoming,
    key: &Key,
    target: &Target,
    shorter: Patches,
) -> Result<(Vec<Bytes>, Back), Error> {
    let provider = &target.provider;
    let body = match &incoming.previous {
        None => incoming.body_for(&target.model, false, shorter),
        Some(id) => incoming.body_going_on(&target.model, &find(id, key, provider)?, shorter),
    };
    Ok((body, Back::Sealed(Sealing::new(key, provider))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(team: &str) -> Sealing {
        Sealing {
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"credential")),
            provider: "openai".into(),
            team: team.into(),
        }
    }

    #[test]
    fn an_id_opens_for_its_team_alone() {
        let id = sealing("search").close("resp_1");
        assert!(id.starts_with("resp_"));
        let sealed = Sealed::read(&id).unwrap();
        assert_eq!(sealing("search").open(&sealed).as_deref(), Some("resp_1"));
        assert_eq!(sealing("ads").open(&sealed), None);
        for foreign in ["resp_1", "resp_tg1", "resp_tg1AAAA", "resp_tg1!", ""] {
            let opened = Sealed::read(foreign).and_then(|sealed| sealing("search").open(&sealed));
            assert_eq!(opened, None, "{foreign}");
        }
    }

    #[test]
    fn ids_are_replaced_where_a_response_stands_and_nowhere_else() {
        let sealing = sealing("search");
        let body = r#"{"object":"response", "id" : "resp_2","previous_response_id":"resp_1","output":[{"id":"msg_1"}]}"#;
        let expected = body
            .replace("resp_2", &sealing.close("resp_2"))
            .replace("resp_1", &sealing.close("resp_1"));
        assert_eq!(sealing.seal_answer(body.into()), expected);
        let event = format!(
            "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{body}}}\n\n"
        );
        let expected = format!(
            "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{expected}}}\n\n"
        );
        assert_eq!(sealing.seal_frame(&event.into()), expected);
        let delta = Bytes::from_static(
            b"data: {\"type\":\"x\",\"item_id\":\"msg_1\",\"delta\":\"resp_1\"}\n\n",
        );
        assert_eq!(sealing.seal_frame(&delta), delta);
    }
}
