//! Budgets: never exceeded, by one caller or a thousand, through crashes; and what is told of them.

mod adjusted;
mod crashes;
mod kept;
mod replicas;
mod told;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::harness::{ADMIN_TOKEN, Gateway, KEY, replace_file, sha256_hex};
use crate::raw::{Answer, Request};
use crate::state::server::free_port;
use crate::upstream::{Received, Upstream, whole};

/// What the provider is paid for a token of an answer, in nano-dollars; its input is free of charge.
const TOKEN_NANO: u64 = 1_000;

/// A provider that writes as many tokens as it may, and remembers what it is paid.
struct Provider {
    upstream: Upstream,
    /// In nano-dollars.
    paid: Arc<AtomicU64>,
}

impl Provider {
    async fn start() -> Self {
        Self::writing(|allowed| allowed).await
    }

    /// A provider that takes its time, and then writes as many tokens as it may.
    async fn slow(takes: Duration) -> Self {
        let paid = Arc::<AtomicU64>::default();
        let answer = answering(paid.clone(), |allowed| allowed);
        let upstream = Upstream::start(move |request, mut stream| {
            let bytes = answer(&request);
            async move {
                tokio::time::sleep(takes).await;
                stream.write_all(&bytes).await.ok().map(|()| stream)
            }
        });
        Self {
            upstream: upstream.await,
            paid,
        }
    }

    /// A provider that writes so many tokens of those that it may.
    async fn writing(tokens: impl Fn(u64) -> u64 + Clone + Send + 'static) -> Self {
        let paid = Arc::<AtomicU64>::default();
        let upstream = Upstream::answering(answering(paid.clone(), tokens)).await;
        Self { upstream, paid }
    }

    fn paid_nano(&self) -> u64 {
        self.paid.load(Ordering::SeqCst)
    }
}

/// What a provider answers that writes so many tokens of those that it may; it is paid for them into `paid`.
fn answering(
    paid: Arc<AtomicU64>,
    tokens: impl Fn(u64) -> u64 + Clone + Send + 'static,
) -> impl Fn(&Received) -> Vec<u8> + Clone + Send + 'static {
    move |request: &Received| {
        let asked = request.json();
        let allowed = asked["max_tokens"]
            .as_u64()
            .or(asked["max_completion_tokens"].as_u64());
        let tokens = tokens(allowed.unwrap_or(1_000));
        paid.fetch_add(tokens * TOKEN_NANO, Ordering::SeqCst);
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1},
        });
        whole(200, "application/json", &body.to_string())
    }
}

/// A gateway with a ledger, which may be killed and started again.
struct Stage {
    home: TempDir,
    /// Where it listens: a replica that shares its ledger is known by that.
    port: u16,
    /// Where its ledger is.
    ledger: String,
    /// What else stands at the top of its configuration.
    more: String,
    gateway: Option<Gateway>,
}

impl Stage {
    async fn set(provider: &Provider, team: &str, key: &str) -> Self {
        let mut stage = Self::new(None, "");
        stage.write(provider, team, key);
        stage.start().await;
        stage
    }

    /// A gateway with a ledger of its own or that one, and with `more` in its configuration.
    fn new(ledger: Option<String>, more: &str) -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let own = format!("sqlite:{}/ledger.db", home.path().display());
        Self {
            home,
            port: ledger.as_ref().map_or(0, |_| free_port()),
            ledger: ledger.unwrap_or(own),
            more: more.to_owned(),
            gateway: None,
        }
    }

    /// Writes the configuration: what the team says besides, and what its key does.
    fn write(&self, provider: &Provider, team: &str, key: &str) {
        let text = format!(
            r#"listen: 127.0.0.1:{port}
admin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}
ledger: {{ url: "{ledger}", commit_every: 20ms }}
{more}
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
models:
  fast: {{ target: up/m }}
  other: {{ target: up/m }}
  free: {{ target: up/nobody-knows }}
  short: {{ target: up/m, max_output_tokens: 70 }}
prices: {{ overrides: [ {{ target: up/m, input: 0, output: 1 }} ] }}
teams:
  search:
    models: "*"
    {team}
    keys:
      - {{ name: prod, sha256: "{prod}"{key} }}
      - {{ name: second, sha256: "{second}" }}
  ads: {{ models: "*", keys: [ {{ name: ads, sha256: "{ads}" }} ] }}
"#,
            port = self.port,
            ledger = self.ledger,
            more = self.more,
            address = provider.upstream.address,
            prod = sha256_hex(KEY),
            second = sha256_hex("second"),
            ads = sha256_hex("ads"),
        );
        std::fs::write(self.home.path().join("tollgate.yaml"), text)
            .expect("a file of the test's own");
    }

    async fn start(&mut self) {
        let file = self.home.path().join("tollgate.yaml");
        self.gateway = Some(Gateway::start_at(&file, &[]).await);
    }

    /// Ends in good order.
    async fn end(&mut self) {
        let mut gateway = self.gateway.take().expect("running");
        gateway.signal("TERM");
        assert!(gateway.exit().await.success());
    }

    /// Dies.
    fn kill(&mut self) {
        self.gateway.take().expect("running").kill();
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("running")
    }

    /// Puts another upstream in the place of the provider, by a reload.
    async fn lead_to(&self, upstream: &Upstream) {
        let file = self.home.path().join("tollgate.yaml");
        let text = std::fs::read_to_string(&file).expect("the test's own file");
        let (before, behind) = text
            .split_once("base_url: \"http://")
            .expect("one provider");
        let (_, behind) = behind.split_once("/v1").expect("its path");
        let text = format!("{before}base_url: \"http://{}/v1{behind}", upstream.address);
        replace_file(&file, &text);
        self.gateway().signal("HUP");
        let is_reloaded = |line: &serde_json::Value| line["msg"] == "config reloaded";
        self.gateway().log_line("the reload", is_reloaded).await;
    }

    async fn ask(&self, model: &str, max_tokens: u64) -> Answer {
        self.gateway().ask(request(model, max_tokens)).await
    }

    /// What the admin plane tells of the budgets.
    async fn budgets(&self) -> serde_json::Value {
        self.admin("/admin/v1/budgets").await["budgets"].take()
    }

    /// What the admin plane answers.
    async fn admin(&self, path: &str) -> serde_json::Value {
        let token = format!("Bearer {ADMIN_TOKEN}");
        let request = Request::get(path).header("authorization", &token);
        self.gateway().ask_admin(request).await.json()
    }
}

fn request(model: &str, max_tokens: u64) -> Request {
    let body = json!({"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "x"}]});
    Request::post("/v1/chat/completions", body.to_string())
}
