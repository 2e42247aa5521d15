use super::*;

#[test]
fn a_model_lacks_the_same_by_any_of_its_names() {
    for (model, lacks) in [
        (
            "gpt-3.5-turbo-0125",
            "images, documents, audio, json_schema",
        ),
        ("gpt-4-0613", "images, documents, audio, json_schema"),
        ("openai/gpt-4", "images, documents, audio, json_schema"),
        ("gpt-4o-2024-05-13", "audio, json_schema"),
        ("gpt-4o-mini-2024-07-18", "audio"),
        ("openai/gpt-5-nano", "audio"),
        ("gpt-5.4-mini", "audio"),
        ("gpt-4o-audio-preview", "images, documents, json_schema"),
        ("openai/gpt-oss-120b", "images, documents, audio"),
        (
            "o1-mini-2024-09-12",
            "tools, images, documents, audio, json_schema",
        ),
        ("openai/o3-mini", "images, documents, audio"),
        ("o3-2025-04-16", "audio"),
        (
            "anthropic.claude-v2:1",
            "tools, images, documents, audio, json_schema",
        ),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "audio"),
        ("anthropic/claude-sonnet-4.5", "audio"),
        ("claude-3-opus@20240229", "audio"),
        ("llama3.3:70b", "images, documents, audio"),
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            "images, documents, audio",
        ),
        ("us.meta.llama3-1-70b-instruct-v1:0", "images, audio"),
        ("us.meta.llama3-2-90b-instruct-v1:0", "audio"),
        ("deepseek/deepseek-chat", "images, documents, audio"),
        ("deepseek-r1:14b", "images, documents, audio"),
        ("Qwen/Qwen3-32B", "images, documents, audio"),
        ("mistral.mistral-large-2402-v1:0", "images, audio"),
        ("mistral-large-2411", "images, audio"),
        ("mistral-large-latest", "audio"),
        ("command-r-plus-08-2024", "images, audio"),
        ("eu.amazon.nova-micro-v1:0", "images, documents, audio"),
        ("us.amazon.nova-pro-v1:0", "audio"),
    ] {
        assert_eq!(known_lacks(model).names(), lacks, "{model}");
    }
}

#[test]
fn what_is_not_known_to_lack_anything_lacks_nothing() {
    for model in [
        "",
        "*",
        "my-model",
        "gpt-9",
        "gemini-2.5-flash",
        "models/gemini-3-pro-preview",
        "llama3.2-vision:11b",
        "qwen2.5-vl-7b-instruct",
        "qwen3.5-27b",
        "Qwen/Qwen3-VL-32B-Instruct",
        "deepseek-ai/deepseek-vl2",
        "llava:13b",
        "kimi-k2.5",
    ] {
        assert_eq!(known_lacks(model), Needs::default(), "{model}");
    }
}
