//! Targets as operators see them: how each fares, and how one that is well again is told to be.

use std::time::Instant;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::admin::{Answer, error, json};
use crate::config::nearest;
use crate::pipeline::Gateway;
use crate::telemetry::Level;

/// What precedes a target's name.
pub const PATH: &str = "/admin/v1/targets/";

/// `GET /admin/v1/targets`: each target, how it fares, and which models lead there.
pub fn list(gateway: &Gateway) -> Value {
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    let targets = snapshot.models.targets(&snapshot.wards).into_iter();
    let told = targets.map(|(name, listed)| {
        let mut told = json!(listed.health.state(now));
        told["target"] = json!(name);
        let models = listed.models.iter().map(|model| &**model);
        told["models"] = models.collect();
        told
    });
    json!({ "targets": told.collect::<Vec<_>>() })
}

/// `POST /admin/v1/targets/NAME/reset`: nothing that was is held against a target any more. `rest` is what follows [`PATH`].
pub fn reset(rest: &str, gateway: &Gateway) -> Answer {
    let named = rest.strip_suffix("/reset").filter(|name| !name.is_empty());
    let Some(name) = named.and_then(|name| percent_decode_str(name).decode_utf8().ok()) else {
        let message = "a target is reset by POST /admin/v1/targets/NAME/reset";
        return error(StatusCode::NOT_FOUND, message);
    };
    let snapshot = gateway.snapshot();
    let targets = snapshot.models.targets(&snapshot.wards);
    let Some(listed) = targets.get(&*name) else {
        let hint = match nearest(&name, targets.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "GET /admin/v1/targets lists them".to_owned(),
        };
        let message = format!("no model leads to a target `{name}`; {hint}");
        return error(StatusCode::NOT_FOUND, &message);
    };
    let now = Instant::now();
    listed.health.reset(now);
    let fields = [("target", &*name)];
    let message = "target reset by an operator";
    gateway.log.event(Level::Warn, message, &fields);
    json(StatusCode::OK, &json!(listed.health.state(now)))
}
