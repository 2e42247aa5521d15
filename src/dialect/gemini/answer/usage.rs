//! `usageMetadata`, both ways.
//!
//! Google counts tools' tokens beside the prompt's and thoughts beside the answer's; the common form counts them within.

use crate::dialect::common::Usage;
use crate::dialect::gemini::wire::{self, ModalityTokens, Text, Whole};

/// What it says, and the tier that served the answer.
pub fn read(wire: &wire::Usage<'_>) -> (Usage, Option<String>) {
    let count = |count: Option<Whole<u64>>| count.map_or(0, |count| count.0);
    let of = |details: &Option<Vec<ModalityTokens<'_>>>, modality: &str| -> u64 {
        let all = details.iter().flatten();
        all.filter(|tokens| tokens.modality.as_deref() == Some(modality))
            .fold(0, |sum, tokens| {
                sum.saturating_add(count(tokens.token_count))
            })
    };
    let thoughts = count(wire.thoughts_token_count);
    let usage = Usage {
        input_tokens: count(wire.prompt_token_count)
            .saturating_add(count(wire.tool_use_prompt_token_count)),
        output_tokens: count(wire.candidates_token_count).saturating_add(thoughts),
        cache_read_tokens: count(wire.cached_content_token_count),
        input_audio_tokens: of(&wire.prompt_tokens_details, "AUDIO")
            .saturating_add(of(&wire.tool_use_prompt_tokens_details, "AUDIO")),
        reasoning_tokens: thoughts,
        output_audio_tokens: of(&wire.candidates_tokens_details, "AUDIO"),
        output_image_tokens: of(&wire.candidates_tokens_details, "IMAGE"),
        ..Usage::default()
    };
    let tier = match (wire.service_tier.as_deref(), wire.traffic_type.as_deref()) {
        (Some(tier), _) => Some(tier.to_ascii_lowercase()),
        (None, Some("ON_DEMAND")) => Some("default".into()),
        (None, Some("ON_DEMAND_FLEX")) => Some("flex".into()),
        (None, Some("ON_DEMAND_PRIORITY")) => Some("priority".into()),
        (None, _) => None,
    };
    let tier = tier.map(|tier| match tier.as_str() {
        "standard" => "default".to_owned(),
        _ => tier,
    });
    (usage, tier)
}

/// The metadata that says `usage`.
pub fn write<'a>(usage: &Usage, tier: Option<&'a str>) -> wire::Usage<'a> {
    let some = |count: u64| (count > 0).then_some(Whole(count));
    let detail = |modality: &'static str, count: u64| ModalityTokens {
        modality: Some(modality.into()),
        token_count: Some(Whole(count)),
        rest: Vec::new(),
    };
    let details = |all: u64, parts: &[(&'static str, u64)]| {
        let told: u64 = parts.iter().map(|(_, count)| count).sum();
        let rest = [("TEXT", all.saturating_sub(told))];
        let all = rest.iter().chain(parts).filter(|(_, count)| *count > 0);
        (told > 0).then(|| {
            all.map(|(modality, count)| detail(modality, *count))
                .collect()
        })
    };
    let candidates = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
    wire::Usage {
        prompt_token_count: Some(Whole(usage.input_tokens)),
        cached_content_token_count: some(usage.cache_read_tokens),
        candidates_token_count: Some(Whole(candidates)),
        thoughts_token_count: some(usage.reasoning_tokens),
        total_token_count: Some(Whole(
            usage.input_tokens.saturating_add(usage.output_tokens),
        )),
        prompt_tokens_details: details(usage.input_tokens, &[("AUDIO", usage.input_audio_tokens)]),
        candidates_tokens_details: details(
            candidates,
            &[
                ("AUDIO", usage.output_audio_tokens),
                ("IMAGE", usage.output_image_tokens),
            ],
        ),
        service_tier: tier.map(|tier| match tier {
            "default" => Text::from("standard"),
            other => Text::from(other),
        }),
        ..wire::Usage::default()
    }
}
