//! `usageMetadata`, both ways.
//!
//! Google counts tools' tokens beside the prompt's and thoughts beside the answer's; the common form counts them within.

use crate::dialect::common::Usage;
use crate::dialect::gemini::wire::{self, ModalityTokens, Text, Whole};

/// What it says, and the tier that served the answer.
pub fn read(wire: &wire::Usage<'_>) -> (Usage, Option<String>) {
    let count = |count: Option<Whole<u64>>| count.map_or(0, |count| count.0);
    let [text, audio, image, video] = by_kind(wire.prompt_tokens_details.as_deref());
    let of_tools = by_kind(wire.tool_use_prompt_tokens_details.as_deref());
    let [tool_text, tool_audio, tool_image, tool_video] = of_tools;
    let cached = by_kind(wire.cache_tokens_details.as_deref());
    let [cached_text, cached_audio, cached_image, cached_video] = cached;
    let said = by_kind(wire.candidates_tokens_details.as_deref());
    let [said_text, said_audio, said_image, said_video] = said;
    let tools = count(wire.tool_use_prompt_token_count);
    let thoughts = count(wire.thoughts_token_count);
    let usage = Usage {
        input_tokens: count(wire.prompt_token_count).saturating_add(tools),
        output_tokens: count(wire.candidates_token_count).saturating_add(thoughts),
        reasoning_tokens: thoughts,
        cache_read_tokens: count(wire.cached_content_token_count),
        input_text_tokens: text.saturating_add(tool_text),
        input_audio_tokens: audio.saturating_add(tool_audio),
        input_image_tokens: image.saturating_add(tool_image),
        input_video_tokens: video.saturating_add(tool_video),
        cache_text_read_tokens: cached_text,
        cache_audio_read_tokens: cached_audio,
        cache_image_read_tokens: cached_image,
        cache_video_read_tokens: cached_video,
        input_tool_tokens: tools,
        input_text_tool_tokens: tool_text,
        input_audio_tool_tokens: tool_audio,
        input_image_tool_tokens: tool_image,
        input_video_tool_tokens: tool_video,
        output_text_tokens: said_text,
        output_audio_tokens: said_audio,
        output_image_tokens: said_image,
        output_video_tokens: said_video,
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

/// The kinds of media that are told apart, in the order of [`by_kind`].
const KINDS: [&str; 4] = ["TEXT", "AUDIO", "IMAGE", "VIDEO"];

/// Tokens of text, audio, images and video. Documents are read as images.
fn by_kind(details: Option<&[ModalityTokens<'_>]>) -> [u64; 4] {
    let mut sums = [0_u64; 4];
    for detail in details.unwrap_or_default() {
        let kind = match detail.modality.as_deref() {
            Some("DOCUMENT") => "IMAGE",
            Some(modality) => modality,
            None => continue,
        };
        let tokens = detail.token_count.as_ref().map_or(0, |count| count.0);
        if let Some(at) = KINDS.iter().position(|known| *known == kind) {
            sums[at] = sums[at].saturating_add(tokens);
        }
    }
    sums
}

/// The metadata that says `usage`.
pub fn write<'a>(usage: &Usage, tier: Option<&'a str>) -> wire::Usage<'a> {
    let some = |count: u64| (count > 0).then_some(Whole(count));
    let of_tools = [
        usage.input_text_tool_tokens,
        usage.input_audio_tool_tokens,
        usage.input_image_tool_tokens,
        usage.input_video_tool_tokens,
    ];
    let input = [
        usage.input_text_tokens,
        usage.input_audio_tokens,
        usage.input_image_tokens,
        usage.input_video_tokens,
    ];
    let prompt = std::array::from_fn(|at| input[at].saturating_sub(of_tools[at]));
    let cached = [
        usage.cache_text_read_tokens,
        usage.cache_audio_read_tokens,
        usage.cache_image_read_tokens,
        usage.cache_video_read_tokens,
    ];
    let said = [
        usage.output_text_tokens,
        usage.output_audio_tokens,
        usage.output_image_tokens,
        usage.output_video_tokens,
    ];
    let tools = usage.input_tool_tokens;
    let candidates = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
    wire::Usage {
        prompt_token_count: Some(Whole(usage.input_tokens.saturating_sub(tools))),
        cached_content_token_count: some(usage.cache_read_tokens),
        candidates_token_count: Some(Whole(candidates)),
        thoughts_token_count: some(usage.reasoning_tokens),
        tool_use_prompt_token_count: some(tools),
        total_token_count: Some(Whole(
            usage.input_tokens.saturating_add(usage.output_tokens),
        )),
        prompt_tokens_details: details(prompt),
        cache_tokens_details: details(cached),
        candidates_tokens_details: details(said),
        tool_use_prompt_tokens_details: details(of_tools),
        service_tier: tier.map(|tier| match tier {
            "default" => Text::from("standard"),
            other => Text::from(other),
        }),
        ..wire::Usage::default()
    }
}

/// The list that tells these tokens, of the [`KINDS`].
fn details(tokens: [u64; 4]) -> Option<Vec<ModalityTokens<'static>>> {
    let told = KINDS
        .into_iter()
        .zip(tokens)
        .filter(|(_, tokens)| *tokens > 0);
    let list: Vec<_> = told
        .map(|(kind, tokens)| ModalityTokens {
            modality: Some(kind.into()),
            token_count: Some(Whole(tokens)),
            rest: Vec::new(),
        })
        .collect();
    (!list.is_empty()).then_some(list)
}
