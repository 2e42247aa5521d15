//! How many tokens a request has, counted here: for targets that cannot be asked.

use super::family::{Family, Weights};
use super::tokens::Tokens;
use crate::dialect::common::{
    Content, Effort, Format, Part, Reasoning, Request, Role, Source, Tool,
};

/// Bytes of a PDF that are taken for a page, of which a request does not tell the number.
const PAGE_BYTES: u64 = 256 * 1024;

/// Pages of a PDF that is not in the request.
const PAGES_ELSEWHERE: u64 = 10;

/// Bytes of sound or film that are taken for a token: Gemini's 32 tokens a second, at 128 kbit/s.
const MEDIA_BYTES: u64 = 500;

/// Tokens of sound or film that is not in the request: a minute.
const MEDIA_ELSEWHERE: u64 = 1_920;

/// Bytes of a text that are taken for a token where the text is in base64.
const TEXT_BYTES: u64 = 4;

/// How many tokens a model of the family would count in the request. The first call of the process takes 0.1 s longer,
/// and a request of megabytes up to a second: not for a thread that others wait for.
///
/// Text is counted by o200k, which is right for OpenAI's newer models and near for others, and weighed by what recorded
/// traffic shows: docs/estimates.md tells how near that is. Pictures count as 1024 by 1024 pixels, PDFs by their size, and
/// thoughts only since the user last spoke, for providers leave out the earlier ones. Seals do not count, though Gemini
/// sometimes counts the thoughts in them.
pub fn input_tokens(request: &Request, family: Family) -> u64 {
    let weights = family.weights();
    let mut estimate = Estimate::new(weights, weights.request);
    let spoken = last_spoken(request);
    for (index, turn) in request.turns.iter().enumerate() {
        estimate.fixed += weights.turn;
        if let Some(name) = &turn.name {
            estimate.said.add(name);
        }
        for part in &turn.parts {
            if index > spoken || !matches!(part.content, Content::Thinking(_)) {
                estimate.add(part);
            }
        }
    }
    estimate.add_tools(&request.tools);
    if thinks(request) {
        estimate.fixed += weights.reasoning;
    }
    if let Format::Schema { schema, .. } = &request.format {
        estimate.fixed += weights.format;
        estimate.format.add(schema.as_str());
    }
    estimate.total()
}

/// Whether the model is told to think.
fn thinks(request: &Request) -> bool {
    let effort = request.reasoning.as_ref().and_then(Reasoning::as_effort);
    effort.is_some_and(|effort| effort != Effort::None)
}

/// The last turn in which the user says something, and does not only bring results.
fn last_spoken(request: &Request) -> usize {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
    let spoken = request
        .turns
        .iter()
        .rposition(|turn| turn.role == Role::User && !turn.parts.iter().all(is_result));
    spoken.unwrap_or(0)
}

struct Estimate {
    weights: Weights,
    said: Tokens,
    schemas: Tokens,
    format: Tokens,
    fixed: u64,
}

impl Estimate {
    fn new(weights: Weights, fixed: u64) -> Self {
        Self {
            weights,
            said: Tokens::default(),
            schemas: Tokens::default(),
            format: Tokens::default(),
            fixed,
        }
    }

    fn add(&mut self, part: &Part) {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => self.said.add(text),
            Content::Thinking(thinking) => self.said.add(&thinking.text),
            Content::Opaque { json, .. } => self.said.add(json.as_str()),
            Content::ToolCall {
                name, arguments, ..
            } => {
                self.fixed += self.weights.call;
                self.said.add(name);
                self.said.add(arguments);
            }
            Content::ToolResult { parts, .. } => {
                self.fixed += self.weights.call;
                parts.iter().for_each(|part| self.add(part));
            }
            Content::Image { detail, .. } => {
                self.fixed += match detail.as_deref() {
                    Some("low") => self.weights.small_image,
                    _ => self.weights.image,
                }
            }
            Content::Document { source, .. } => self.add_document(source),
            Content::Audio { source } | Content::Video { source } => {
                self.fixed += match source {
                    Source::Base64 { data, .. } => decoded_bytes(data).div_ceil(MEDIA_BYTES),
                    _ => MEDIA_ELSEWHERE,
                }
            }
        }
    }

    fn add_document(&mut self, source: &Source) {
        match source {
            Source::Text(text) => self.said.add(text),
            Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
                self.fixed += decoded_bytes(data).div_ceil(TEXT_BYTES);
            }
            Source::Base64 { data, .. } => {
                self.fixed += decoded_bytes(data).div_ceil(PAGE_BYTES) * self.weights.page;
            }
            Source::Url { .. } | Source::File { .. } => {
                self.fixed += PAGES_ELSEWHERE * self.weights.page;
            }
        }
    }

    fn add_tools(&mut self, tools: &[Tool]) {
        if !tools.is_empty() {
            self.fixed += self.weights.tools;
        }
        for tool in tools {
            self.fixed += self.weights.tool;
            match tool {
                Tool::Hosted { json, .. } => self.schemas.add(json.as_str()),
                Tool::Function(function) => {
                    self.schemas.add(&function.name);
                    self.schemas
                        .add(function.description.as_deref().unwrap_or_default());
                    if let Some(parameters) = &function.parameters {
                        self.schemas.add(parameters.as_str());
                    }
                }
            }
        }
    }

    fn total(&self) -> u64 {
        let weighed = |tokens: &Tokens, percent| {
            let weighed = (u128::from(tokens.total()) * u128::from(percent)).div_ceil(100);
            u64::try_from(weighed).unwrap_or(u64::MAX)
        };
        [
            weighed(&self.said, self.weights.text_percent),
            weighed(&self.schemas, self.weights.schema_percent),
            weighed(&self.format, self.weights.format_percent),
        ]
        .into_iter()
        .fold(self.fixed, u64::saturating_add)
    }
}

/// How many bytes base64 stands for.
const fn decoded_bytes(base64: &str) -> u64 {
    (base64.len() as u64 / 4) * 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::common::{Function, Json, Thinking, Turn};

    fn request(turns: Vec<(Role, Vec<Part>)>) -> Request {
        let mut request = Request::new(Dialect::Chat, "m");
        request.turns = turns
            .into_iter()
            .map(|(role, parts)| Turn {
                role,
                parts,
                name: None,
            })
            .collect();
        request
    }

    fn thought(text: &str) -> Part {
        let thinking = Thinking {
            text: text.to_owned(),
            ..Thinking::default()
        };
        Content::Thinking(thinking).into()
    }

    fn image(detail: Option<&str>) -> Part {
        let image = Content::Image {
            source: Source::Url {
                url: "https://example.com/a.png".to_owned(),
                media_type: None,
            },
            detail: detail.map(str::to_owned),
        };
        image.into()
    }

    #[test]
    fn every_part_of_a_request_counts() {
        let hello = || Part::text("hello world");
        let mut with_tool = request(vec![(Role::User, vec![hello()])]);
        with_tool.tools.push(Tool::Function(Function {
            name: "f".to_owned(),
            description: None,
            parameters: Some(Json::empty_object()),
            strict: None,
            cache: None,
        }));
        for (request, openai, anthropic) in [
            (request(vec![]), 3, 7),
            (
                request(vec![(Role::User, vec![hello()])]),
                3 + 4 + 2,
                7 + 4 + 3,
            ),
            (
                request(vec![(Role::User, vec![image(None), image(Some("low"))])]),
                3 + 4 + 765 + 85,
                7 + 4 + 1_600 + 1_280,
            ),
            (with_tool, 3 + 4 + 2 + 15 + 5 + 2, 7 + 4 + 3 + 450 + 45 + 3),
        ] {
            assert_eq!(input_tokens(&request, Family::OpenAi), openai);
            assert_eq!(input_tokens(&request, Family::Anthropic), anthropic);
        }
    }

    #[test]
    fn only_thoughts_of_the_current_turn_count() {
        let said = |text: &str| vec![Part::text(text)];
        let old = request(vec![
            (Role::User, said("a")),
            (
                Role::Assistant,
                vec![thought("so long ago"), Part::text("b")],
            ),
            (Role::User, said("c")),
        ]);
        let current = request(vec![
            (Role::User, said("a")),
            (Role::User, said("c")),
            (
                Role::Assistant,
                vec![thought("so long ago"), Part::text("b")],
            ),
        ]);
        let difference =
            input_tokens(&current, Family::Gemini) - input_tokens(&old, Family::Gemini);
        assert_eq!(difference, 3);
    }
}
