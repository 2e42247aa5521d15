//! The admin plane: metrics, health, and what operators may do.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_http::ResponseHeader;
use serde_json::json;

use super::app::Handler;
use super::reload::Reloader;
use super::{adjust, budgets, replicas, spend, targets, users};
use crate::access::digest;
use crate::pipeline::{Gateway, Stage};

/// Answers the admin plane.
pub struct Admin {
    /// Reads the configuration again.
    pub reloader: Arc<Reloader>,
}

pub(super) struct Answer {
    pub status: StatusCode,
    pub media_type: &'static str,
    pub body: Bytes,
}

#[async_trait]
impl Handler for Admin {
    async fn handle(&self, gateway: &Gateway, session: &mut ServerSession) {
        let answer = self.answer(gateway, session).await;
        let Ok(mut head) = ResponseHeader::build_no_case(answer.status, Some(4)) else {
            return;
        };
        let _ = head.insert_header(header::CONTENT_TYPE, answer.media_type);
        let _ = head.insert_header(header::CONTENT_LENGTH, answer.body.len());
        let tasks = vec![
            HttpTask::Header(Box::new(head), false),
            HttpTask::Body(Some(answer.body), true),
        ];
        // Whoever asked and left does not need the answer.
        let _ = session.response_duplex_vec(tasks).await;
    }
}

impl Admin {
    async fn answer(&self, gateway: &Gateway, session: &mut ServerSession) -> Answer {
        let head = session.req_header();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        match (method, uri.path()) {
            (Method::GET, "/metrics") => {
                gateway.observe_ledger();
                budgets::observe(gateway);
                gateway.observe_allowances();
                gateway.observe_targets();
                Answer {
                    status: StatusCode::OK,
                    media_type: "text/plain; version=0.0.4; charset=utf-8",
                    body: gateway.metrics.render().into(),
                }
            }
            (Method::GET, "/healthz") => text(StatusCode::OK, "alive\n"),
            (Method::GET, "/readyz") => match unready(gateway) {
                None => text(StatusCode::OK, "ready\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
            },
            (method, path) if path.starts_with("/admin/v1/") => match authorize(gateway, session) {
                Err(refusal) => refusal,
                Ok(()) => {
                    let query = uri.query().unwrap_or_default();
                    self.administrate(&method, path, query, gateway, session)
                        .await
                }
            },
            _ => not_found(),
        }
    }

    async fn administrate(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        gateway: &Gateway,
        session: &mut ServerSession,
    ) -> Answer {
        match (method, path) {
            (&Method::POST, "/admin/v1/reload") => {
                let outcome = self.reloader.reload().await;
                let diagnostics = outcome.diagnostics.to_string();
                match outcome.is_success {
                    true => json(
                        StatusCode::OK,
                        &json!({
                            "result": "success",
                            "needs_restart": outcome.needs_restart,
                            "diagnostics": diagnostics,
                        }),
                    ),
                    false => json(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        &json!({"result": "failure", "diagnostics": diagnostics}),
                    ),
                }
            }
            (&Method::GET, "/admin/v1/config") => Answer {
                status: StatusCode::OK,
                media_type: "application/yaml",
                body: gateway.snapshot().shown.clone().into(),
            },
            (&Method::GET, "/admin/v1/budgets") if query.is_empty() => {
                json(StatusCode::OK, &budgets::list(gateway))
            }
            (&Method::GET, "/admin/v1/budgets") => users::answer(query, gateway),
            (&Method::POST, path) if path.starts_with(adjust::PATH) => {
                adjust::answer(&path[adjust::PATH.len()..], gateway, session).await
            }
            (&Method::GET, "/admin/v1/spend") => spend::answer(query, gateway).await,
            (&Method::GET, "/admin/v1/targets") => json(StatusCode::OK, &targets::list(gateway)),
            (&Method::POST, path) if path.starts_with(targets::PATH) => {
                targets::reset(&path[targets::PATH.len()..], gateway)
            }
            (&Method::GET, "/admin/v1/replicas") => replicas::list(gateway),
            (&Method::DELETE, path) if path.starts_with(replicas::PATH) => {
                replicas::forget(&path[replicas::PATH.len()..], gateway).await
            }
            _ => not_found(),
        }
    }
}

/// Why another replica would serve better.
fn unready(gateway: &Gateway) -> Option<String> {
    if gateway.drain.stage() != Stage::Serving {
        return Some("draining".to_owned());
    }
    if gateway.is_ledger_failing() {
        return Some("the ledger takes no rows".to_owned());
    }
    let trouble = gateway.state_trouble()?;
    Some(format!("state store unreachable: {trouble}"))
}

/// Checks the bearer token: by digests, so that the time it takes tells nothing of it.
fn authorize(gateway: &Gateway, session: &ServerSession) -> Result<(), Answer> {
    let snapshot = gateway.snapshot();
    let token = snapshot
        .admin
        .as_ref()
        .and_then(|admin| admin.token.as_ref());
    let Some(token) = token
        .map(|token| token.expose())
        .filter(|token| !token.is_empty())
    else {
        return Err(error(
            StatusCode::FORBIDDEN,
            "`admin.token` is not configured",
        ));
    };
    let given = session.get_header_bytes(header::AUTHORIZATION);
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    match digest(given) == digest(token.as_bytes()) {
        true => Ok(()),
        false => Err(error(
            StatusCode::UNAUTHORIZED,
            "the bearer token is not `admin.token`",
        )),
    }
}

fn not_found() -> Answer {
    let message = "served are GET /metrics, GET /healthz, GET /readyz, POST /admin/v1/reload, GET /admin/v1/config, GET /admin/v1/budgets, POST /admin/v1/budgets/NAME/raise, POST /admin/v1/budgets/NAME/reset, GET /admin/v1/spend, GET /admin/v1/targets, POST /admin/v1/targets/NAME/reset, GET /admin/v1/replicas, DELETE /admin/v1/replicas/NAME";
    error(StatusCode::NOT_FOUND, message)
}

pub(super) fn error(status: StatusCode, message: &str) -> Answer {
    json(status, &json!({"error": {"message": message}}))
}

/// The fields of a query, in its order, decoded.
pub(super) fn fields(query: &str) -> impl Iterator<Item = (&str, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
        (name, value)
    })
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    Answer {
        status,
        media_type: "application/json",
        body: value.to_string().into(),
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    Answer {
        status,
        media_type: "text/plain; charset=utf-8",
        body: text.into(),
    }
}
