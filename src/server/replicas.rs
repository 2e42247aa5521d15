//! The replicas that share a state, as operators see them; and forgetting one that has died.

use chrono::SecondsFormat;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::admin::{Answer, error, json};
use crate::access::state::Forgotten;
use crate::pipeline::Gateway;
use crate::telemetry::Level;

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
            })
        })
        .collect();
    json(
        StatusCode::OK,
        &json!({ "is_known": state.is_known(), "replicas": replicas }),
    )
}

/// `DELETE /admin/v1/replicas/NAME`: forgets a replica that has died and will not come back.
pub async fn forget(name: &str, gateway: &Gateway) -> Answer {
    let Some(state) = &gateway.state else {
        return error(StatusCode::NOT_FOUND, NO_STATE);
    };
    let is_name = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_name {
        let message = "a replica's name has 32 hexadecimal digits";
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
