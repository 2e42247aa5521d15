//! What a provider may count beside the bytes of a request: its own words around tools, and media by the item.

use super::family::Family;

/// Allowances of a family, in tokens. Each is above what any recording shows; docs/bounds.md tells by how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// A request: what stands before anything is said, and the words that ask for a form of the answer.
    pub request: u64,
    /// Having tools at all. Anthropic's own figures for its system prompt are 159 to 530 tokens, by model.
    pub tools: u64,
    /// A tool of the caller's.
    pub tool: u64,
    /// A tool that the provider describes. Anthropic's own figures are 245 to 735 tokens, and a system prompt.
    pub known_tool: u64,
}

impl Allowance {
    pub const fn of(family: Family) -> Self {
        match family {
            Family::OpenAi | Family::Gemini | Family::Cohere | Family::Mistral => Self {
                request: 64,
                tools: 500,
                tool: 100,
                known_tool: 2_000,
            },
            Family::Anthropic => Self {
                request: 64,
                tools: 1_000,
                tool: 200,
                known_tool: 2_000,
            },
            // Whoever serves them puts requests before the model in his own way.
            Family::Llama | Family::Other => Self {
                request: 128,
                tools: 1_500,
                tool: 200,
                known_tool: 2_000,
            },
        }
    }
}

/// The most tokens that one picture can have. Requests do not tell its size, so it is the largest that is not scaled down.
///
/// Sources: OpenAI's guide "Images and vision"; Anthropic's page "Vision"; Google's pages "Image understanding" and "Media
/// resolution"; Cohere's page "Image inputs"; Mistral's page "Vision" with the configurations of Pixtral and Mistral Small;
/// the model cards of Llama 3.2 and 4 and of Qwen2-VL.
pub(super) fn image_tokens(model: &str, family: Family, is_small: bool) -> u64 {
    let model = model.to_ascii_lowercase();
    let is = |names: &[&str]| names.iter().any(|name| model.contains(name));
    match family {
        // 2,833 and 5,667 for each of at most 8 tiles.
        Family::OpenAi if is(&["gpt-4o-mini"]) => match is_small {
            true => 2_833,
            false => 2_833 + 8 * 5_667,
        },
        // Only these are known to make less of a picture at low detail: others count patches of it, whatever the detail.
        Family::OpenAi if is_small && is(&["gpt-4o", "gpt-4-turbo"]) => 85,
        // 1,536 patches of 32 by 32 pixels that count up to 2.46 times.
        Family::OpenAi if is(&["gpt-4.1-", "gpt-5-mini", "gpt-5-nano", "o4-mini"]) => 3_800,
        // 85 and 170 for each of at most 8 tiles, or 1,536 patches.
        Family::OpenAi if is(&["gpt-4", "o1", "o3"]) => 1_536,
        Family::OpenAi if is(&["gpt-5"]) && !is(&["gpt-5."]) => 1_536,
        // 10,000 patches that count up to 2.46 times.
        Family::OpenAi => 24_600,
        // Scaled down to 1,568 patches of 28 by 28 pixels; from Claude 4.7 on to 4,784.
        Family::Anthropic
            if is(&[
                "claude-3", "-4-0", "-4-1", "-4-5", "-4-6", "-4.1", "-4.5", "-4.6", "-4-20", "4@",
            ]) =>
        {
            1_600
        }
        Family::Anthropic => 5_000,
        // Before Gemini 3, 258 for each of at most 24 tiles of 3,072 by 3,072 pixels; since then at most 2,240.
        Family::Gemini => 24 * 258,
        // 256 for each of at most 12 tiles and the whole.
        Family::Cohere => 13 * 256,
        // 1,024 by 1,024 pixels in patches of 16 by 16, with a mark behind each row.
        Family::Mistral => 4_200,
        // 1,601 for each of at most 4 tiles.
        Family::Llama => 4 * 1_601,
        Family::Other => 16_384,
    }
}

/// The fewest bytes of a second of sound: MP3's least is 8 kbit/s.
const AUDIO_SECOND_BYTES: u64 = 1_000;

/// Tokens of a second of sound: Gemini's 32 are the most.
const AUDIO_SECOND_TOKENS: u64 = 32;

/// The most seconds that so many bytes of sound can be.
pub(super) const fn audio_seconds(bytes: u64) -> u64 {
    bytes.div_ceil(AUDIO_SECOND_BYTES)
}

/// The most tokens that so many bytes of sound can have.
pub(super) const fn audio_tokens(bytes: u64) -> u64 {
    audio_seconds(bytes).saturating_mul(AUDIO_SECOND_TOKENS)
}

/// Whether a model searches, or runs tools, unasked: Groq's Compound, Perplexity's Sonar, OpenAI's search models, deep
/// research, and what OpenRouter calls `:online`.
pub(super) fn searches_unasked(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    ["compound", "sonar", "-search-", "deep-research", ":online"]
        .iter()
        .any(|name| model.contains(name))
}
