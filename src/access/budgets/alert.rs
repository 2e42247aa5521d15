//! Alerts on their way to webhooks, signed and repeated as the Standard Webhooks specification says (docs/alerts.md).
//!
//! Each URL has a lane of its own: what waits for it, and a task while anything does, which posts one alert after the other.
//! So a receiver that is away holds up nobody else's alerts, and gets its own in their order when it is back.
//!
//! Invariants: whoever sends never waits; no log line holds a secret, or more of a URL than its host.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{Method, Request, Response, StatusCode, Uri, header};
use parking_lot::Mutex;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::section::{Share, WhenSpent};
use super::webhook::Webhook;
use super::window::{Per, Window};
use crate::hex;
use crate::provider::fetch::{Fetch, PATIENCE, ask};
use crate::spend::Usd;

/// How many alerts may wait for one URL; more are lost, and counted.
pub(super) const WAITING_MAX: usize = 256;

/// The pause after a first failed post; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_secs(2);

/// The longest pause between two posts.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// How long after it arose an alert is repeated. One that had to wait for longer behind others is posted once.
pub(super) const REPEATED_FOR: Duration = Duration::from_secs(60 * 60);

/// What alerts are about.
const TYPE: &str = "budget.threshold_reached";

/// A share of a budget has been spent.
#[derive(Clone, Debug)]
pub struct Alert {
    /// When.
    pub at: DateTime<Utc>,
    /// Which budget, by a name that stays the same.
    pub budget: String,
    /// Who pays.
    pub team: String,
    /// Whose budget it is, if a key's.
    pub key: Option<String>,
    /// For which model, if it is for one.
    pub model: Option<String>,
    /// Whose budget it is, if a user's.
    pub user: Option<String>,
    /// How long the budget lasts.
    pub per: Per,
    /// The window that it was spent in.
    pub window: Window,
    /// The share.
    pub threshold: Share,
    /// The whole budget.
    pub limit: Usd,
    /// What has been spent of it.
    pub spent: Usd,
    /// What happens when all of it is.
    pub when_spent: WhenSpent,
}

/// Sends alerts. Cheap to clone.
#[derive(Clone)]
pub struct Alerter(Arc<Shared>);

struct Shared {
    fetch: Arc<dyn Fetch>,
    runtime: Handle,
    pace: Pace,
    lanes: Mutex<HashMap<Uri, Lane>>,
    /// The last lane has ended.
    emptied: Notify,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// How often is posted.
pub(super) struct Pace {
    pub pause_min: Duration,
    pub pause_max: Duration,
    pub repeated_for: Duration,
}

/// What waits for a URL. There is one while its task runs.
#[derive(Default)]
struct Lane {
    messages: VecDeque<Message>,
    /// Alerts have been lost since there was room.
    is_full: bool,
}

/// An alert as it is posted: the same bytes and the same id each time.
struct Message {
    id: String,
    body: Bytes,
    webhook: Arc<Webhook>,
    since: Instant,
}

/// How sending goes, in numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlerterState {
    /// Alerts that were accepted.
    pub sent: u64,
    /// Alerts that were given up.
    pub failed: u64,
    /// Alerts that there was no room for.
    pub dropped: u64,
    /// Alerts that wait now, besides those that are being posted.
    pub waiting: usize,
}

impl Alerter {
    /// Posts by `fetch` in tasks on `runtime`. What waits when that ends is lost.
    pub fn start(fetch: Arc<dyn Fetch>, runtime: Handle) -> Self {
        let pace = Pace {
            pause_min: PAUSE_MIN,
            pause_max: PAUSE_MAX,
            repeated_for: REPEATED_FOR,
        };
        Self::paced(fetch, runtime, pace)
    }

    pub(super) fn paced(fetch: Arc<dyn Fetch>, runtime: Handle, pace: Pace) -> Self {
        Self(Arc::new(Shared {
            fetch,
            runtime,
            pace,
            lanes: Mutex::default(),
            emptied: Notify::new(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }))
    }

    /// Hands an alert in and returns at once.
    pub fn send(&self, webhook: &Arc<Webhook>, alert: &Alert) {
        let message = Message {
            id: alert.id(),
            body: alert.body(),
            webhook: webhook.clone(),
            since: Instant::now(),
        };
        let mut lanes = self.0.lanes.lock();
        if let Some(lane) = lanes.get_mut(webhook.url()) {
            if lane.messages.len() < WAITING_MAX {
                lane.messages.push_back(message);
                return;
            }
            let was_full = mem::replace(&mut lane.is_full, true);
            drop(lanes);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            if !was_full {
                let host = webhook.host();
                log::warn!("alerts to {host} are lost: {WAITING_MAX} wait for it already");
            }
            return;
        }
        let lane = Lane {
            messages: VecDeque::from([message]),
            is_full: false,
        };
        lanes.insert(webhook.url().clone(), lane);
        drop(lanes);
        let post_all = self.0.clone().post_all(webhook.url().clone());
        self.0.runtime.spawn(post_all);
    }

    /// How sending goes.
    pub fn state(&self) -> AlerterState {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lanes = self.0.lanes.lock();
        AlerterState {
            sent: count(&self.0.sent),
            failed: count(&self.0.failed),
            dropped: count(&self.0.dropped),
            waiting: lanes.values().map(|lane| lane.messages.len()).sum(),
        }
    }

    /// Waits until every alert has been accepted or given up, which may take more than an hour: for the end of the process, within
    /// a limit of its own.
    pub async fn idle(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.0.lanes.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

impl Shared {
    /// Posts what waits for a URL until nothing does.
    async fn post_all(self: Arc<Self>, url: Uri) {
        while let Some(message) = self.next(&url) {
            let counter = match self.post(&message).await {
                true => &self.sent,
                false => &self.failed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is to be posted to a URL next. Where nothing is, its lane has ended.
    fn next(&self, url: &Uri) -> Option<Message> {
        let mut lanes = self.lanes.lock();
        let lane = lanes.get_mut(url)?;
        lane.is_full = false;
        let message = lane.messages.pop_front();
        if message.is_none() {
            lanes.remove(url);
            if lanes.is_empty() {
                self.emptied.notify_waiters();
            }
        }
        message
    }

    /// Posts a message until it is accepted, or given up; tells which.
    async fn post(&self, message: &Message) -> bool {
        let mut pause = self.pace.pause_min;
        let mut posts = 1;
        loop {
            let answer = ask(&*self.fetch, message.request(Utc::now()), PATIENCE).await;
            let (is_gone, problem) = match answer.as_ref().map(Response::status) {
                Ok(status) if status.is_success() => return true,
                Ok(status) => (
                    status == StatusCode::GONE,
                    format!("{} answered {}", message.webhook.host(), status.as_u16()),
                ),
                Err(problem) => (false, problem.clone()),
            };
            let next = pause.mul_f64(0.5 + 0.5 * random());
            let is_late = message.since.elapsed() + next > self.pace.repeated_for;
            let id = &message.id;
            if is_gone || is_late {
                log::warn!("the alert {id} is given up after {posts} posts: {problem}");
                return false;
            }
            if posts == 1 {
                log::warn!("the alert {id} will be posted again: {problem}");
            }
            sleep(next).await;
            pause = (pause * 2).min(self.pace.pause_max);
            posts += 1;
        }
    }
}

impl Message {
    /// A post of it at `now`.
    fn request(&self, now: DateTime<Utc>) -> Request<Bytes> {
        let timestamp = now.timestamp();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.webhook.url().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("tollgate/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", timestamp);
        let signature = self.webhook.signature(&self.id, timestamp, &self.body);
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
        let request = request.body(self.body.clone());
        request.expect("a URL that was parsed, and fields of letters, digits and signs of base64")
    }
}

impl Alert {
    /// What the same alert has whoever sends it, so that it is known for the same if two replicas do, or one does again.
    pub fn id(&self) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let parts = [
            self.budget.clone(),
            self.team.clone(),
            or_none(&self.key),
            or_none(&self.model),
            or_none(&self.user),
            self.window.name.to_string(),
            self.threshold.to_string(),
            self.limit.to_string(),
        ];
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        format!("msg_{}", hex::encode(&context.finish().as_ref()[..16]))
    }

    fn body(&self) -> Bytes {
        let written = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let body = Body {
            r#type: TYPE,
            timestamp: written(self.at),
            data: Data {
                budget: &self.budget,
                team: &self.team,
                key: self.key.as_deref(),
                model: self.model.as_deref(),
                user: self.user.as_deref(),
                per: self.per.name(),
                window: &self.window.name,
                window_start: self.window.end.map(|_| written(self.window.start)),
                window_end: self.window.end.map(written),
                threshold: self.threshold.to_string(),
                limit_usd: self.limit.to_string(),
                spent_usd: self.spent.to_string(),
                when_spent: self.when_spent,
            },
        };
        let body = serde_json::to_vec(&body);
        body.expect("strings and nothing else").into()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

/// What is not there is null.
#[derive(Serialize)]
struct Data<'a> {
    budget: &'a str,
    team: &'a str,
    key: Option<&'a str>,
    model: Option<&'a str>,
    user: Option<&'a str>,
    per: &'static str,
    window: &'a str,
    window_start: Option<String>,
    window_end: Option<String>,
    threshold: String,
    limit_usd: String,
    spent_usd: String,
    when_spent: WhenSpent,
}

/// Between 0 and 1; in the middle if the system has no randomness.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
