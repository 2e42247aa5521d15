//! Chains: the cheapest first, and whoever answers better behind it.

mod able;
mod besides;
mod best;
mod gates;
mod held;
mod picks;
mod provider;
mod savings;

use crate::harness::{Gateway, config};
use crate::upstream::Upstream;

/// A gateway before one provider.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
}

impl Stage {
    /// With these models of the provider `up`, whose answers follow from their names: [`provider::said`].
    async fn set(models: &str) -> Self {
        Self::before(Upstream::answering(provider::answer).await, models).await
    }

    /// With these models of this upstream.
    async fn before(upstream: Upstream, models: &str) -> Self {
        let text = configuration(&upstream, models);
        let gateway = Gateway::start(&text).await;
        Self { upstream, gateway }
    }

    /// The models that the upstream was asked for, in order.
    fn asked(&self) -> Vec<String> {
        let received = self.upstream.received();
        received.iter().map(|request| request.model()).collect()
    }
}

fn configuration(upstream: &Upstream, models: &str) -> String {
    let address = upstream.address;
    config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret, endpoints: [chat] }}
prices: {{ overrides: [{{ target: "up/*", input: 0, output: 1 }}] }}
models:
{models}
"#
    ))
}
