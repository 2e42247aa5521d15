//! The replicas that share a state, as operators see them; and forgetting one that has died.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::SecondsFormat;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::admin::{Answer, error, json};
use crate::access::state::Forgotten;
use crate::pipeline::Gateway;
use crate::spend::ledger::{self, LedgerError, Location, Reader};
use crate::telemetry::Level;

/// The longest name of a replica.
const NAME_MAX: usize = 128;

/// What this replica is called: by its ledger if that is its own, so that a later life of it goes on with what this one held; by its
/// address if it shares one; and if it has none, by a name that nobody else ever has.
///
/// # Errors
/// The ledger cannot be read.
pub fn own_name(
    ledger: Option<&ledger::Settings>,
    listen: SocketAddr,
) -> Result<Arc<str>, LedgerError> {
    let name = match ledger.map(|ledger| &ledger.location) {
        None => Uuid::now_v7().simple().to_string(),
        Some(Location::Postgres(_)) => format!("{}:{}", host(), listen.port()),
        Some(location) => format!("sqlite-{:x}", Reader::open(location)?.id()?),
    };
    Ok(name.into())
}

/// The machine's name, or the pod's.
fn host() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match known.trim() {
        name if !name.is_empty() && name.bytes().all(is_plain) => name.to_owned(),
        _ => Uuid::now_v7().simple().to_string(),
    }
}

/// What precedes a replica's name.
pub const PATH: &str = "/admin/v1/replicas/";

const NO_STATE: &str = "there is no `state` that replicas share";

/// `GET /admin/v1/replicas`: each replica, and when it was last heard of.
pub fn list(gateway: &Gateway) -> Answer {
    let Some(state) = &gateway.state else {
        return error(StatusCode::NOT_FOUND, NO_STATE);
    };
    let replicas: Vec<Value> = state
        .replicas()
        .into_iter()
        .map(|replica| {
            json!({
                "name": &*replica.name,
                "last_beat": replica.last_beat.to_rfc3339_opts(SecondsFormat::Millis, true),
                "is_self": replica.is_self,
                "beats": replica.beats,
                "has_told": replica.has_told,
            })
        })
        .collect();
    json(
        StatusCode::OK,
        &json!({
            "is_known": state.is_known(),
            "is_settled": state.era().is_some_and(|era| era.is_settled),
            "replicas": replicas,
        }),
    )
}

/// `DELETE /admin/v1/replicas/NAME`: forgets a replica that has died and will not come back.
pub async fn forget(name: &str, gateway: &Gateway) -> Answer {
    let Some(state) = &gateway.state else {
        return error(StatusCode::NOT_FOUND, NO_STATE);
    };
    if name.is_empty() || name.len() > NAME_MAX {
        let message = "a replica's name has 1 to 128 characters";
        return error(StatusCode::BAD_REQUEST, message);
    }
    let (sender, answer) = oneshot::channel();
    let forgotten = move |forgotten| {
        // Whoever asked may have left.
        let _ = sender.send(forgotten);
    };
    state.forget(name, Box::new(forgotten));
    match answer.await {
        Ok(Ok(Forgotten::Done)) => {
            let fields = [("replica", name)];
            gateway.log.event(Level::Warn, "replica forgotten", &fields);
            json(StatusCode::OK, &json!({ "result": "forgotten" }))
        }
        Ok(Ok(Forgotten::Unknown)) => error(StatusCode::NOT_FOUND, "there is no such replica"),
        Ok(Ok(Forgotten::Beats)) => error(
            StatusCode::CONFLICT,
            "the replica was heard of within the last 10 s: it lives",
        ),
        Ok(Err(reason)) => error(StatusCode::SERVICE_UNAVAILABLE, &reason.to_string()),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "Redis does not answer"),
    }
}
