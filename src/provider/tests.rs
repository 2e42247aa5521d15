use std::sync::Arc;

use serde_json::{Value, json};

use super::{Dialer, Provider, ProviderSection};
use crate::config::{Document, ProcessEnvironment};
use crate::dialect::Dialect::{Anthropic, Chat, Completions, Responses};

fn provider(section: &Value) -> Provider {
    let section: ProviderSection = serde_json::from_value(section.clone()).unwrap();
    let mut document = Document::parse("a.yaml", "", &ProcessEnvironment);
    let provider = Provider::resolve("p", section, &Arc::new(Dialer::new()), None, &mut document);
    provider.unwrap()
}

#[test]
fn it_is_known_whose_models_go_on_with_an_answer() {
    let openai = |base_url: &str| json!({"dialect": "openai", "base_url": base_url});
    let own = "http://gpu.internal:8000/v1";
    let told = |is: bool| json!({"dialect": "openai", "base_url": own, "prefill": is});
    let of = |dialect: &str| json!({"dialect": dialect, "api_key": "k"});
    let bedrock = json!({"dialect": "bedrock", "api_key": "k", "region": "eu-west-1"});
    let azure = json!({"dialect": "openai", "base_url": "https://a.openai.azure.com", "api_key": "k", "azure": {"api_version": "v"}});
    let mistral_not =
        json!({"dialect": "openai", "base_url": "https://api.mistral.ai/v1", "prefill": false});
    for (section, caller, model, goes_on) in [
        (openai("https://api.openai.com/v1"), Chat, "gpt-5", false),
        (azure, Chat, "gpt-5", false),
        (openai("https://api.mistral.ai/v1"), Chat, "m", true),
        (openai("https://api.mistral.ai/v1"), Responses, "m", true),
        (mistral_not, Chat, "m", false),
        (openai("https://api.deepseek.com"), Chat, "m", false),
        (openai("https://api.deepseek.com/beta"), Chat, "m", true),
        (openai("https://openrouter.ai/api/v1"), Chat, "m", true),
        // Where responses are spoken, they are asked for.
        (
            openai("https://openrouter.ai/api/v1"),
            Responses,
            "m",
            false,
        ),
        (openai(own), Chat, "m", false),
        (told(true), Chat, "m", true),
        (told(true), Completions, "m", false),
        (told(false), Chat, "m", false),
        (of("anthropic"), Anthropic, "claude-haiku-4-5", true),
        (of("anthropic"), Chat, "claude-opus-4-6", false),
        (
            bedrock.clone(),
            Chat,
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            true,
        ),
        (bedrock, Chat, "amazon.nova-pro-v1:0", false),
        (of("gemini"), Chat, "gemini-2.5-flash", true),
        (of("gemini"), Chat, "gemini-3.1-pro-preview", true),
        (of("gemini"), Chat, "gemini-3.5-flash", true),
        (of("gemini"), Chat, "gemini-3.5-flash-lite", false),
        (of("gemini"), Chat, "gemini-3.6-flash", false),
        (of("cohere"), Chat, "command-a-03-2025", false),
        (json!({"dialect": "simulated"}), Chat, "any", true),
    ] {
        let said = provider(&section).goes_on(caller, model);
        assert_eq!(said, goes_on, "{section} {caller:?} {model}");
    }
}
