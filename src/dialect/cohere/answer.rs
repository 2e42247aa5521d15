//! Whole answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::citation;
use super::error::given_up;
use super::wire::{
    self, Block, KnownBlock, LogprobItem, NO_ARGUMENTS, Seal, Texts, ToolCall, WireUsage,
    WrittenBlock, WrittenCall, WrittenLogprob,
};
use crate::dialect::common::{
    Answer, Choice, Citation, Collector, Content, Context, Delta, Json, Malformed, Request, Usage,
    derived_call_id,
};
use crate::dialect::{Dialect, Error};

/// Reads a provider's answer.
///
/// # Errors
/// It is none.
pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> {
    let body: Body<'_> = serde_json::from_slice(body)?;
    let mut deltas = Vec::new();
    body.message.tell(&body.id, context, &mut deltas)?;
    // What is whole is put together from the same pieces as what is streamed, and so the same.
    let mut collector = Collector::default();
    collector.push(Delta::Start {
        id: body.id,
        model: String::new(),
        created: None,
    });
    let has_calls = deltas
        .iter()
        .any(|delta| matches!(delta, Delta::ToolCall { .. }));
    deltas.into_iter().for_each(|delta| collector.push(delta));
    let tokens: Vec<_> = body
        .logprobs
        .into_iter()
        .flatten()
        .map(Into::into)
        .collect();
    collector.push(Delta::Logprobs { choice: 0, tokens });
    if let Some(reason) = body.finish_reason {
        let finish = wire::finish(&reason).with_calls(has_calls);
        collector.push(Delta::Finish { choice: 0, finish });
    }
    if let Some(usage) = body.usage.as_ref().and_then(WireUsage::read) {
        collector.push(Delta::Usage(usage));
    }
    collector.push(Delta::End);
    collector
        .finish()
        .map_err(|_| Malformed("an answer without an end".to_owned()))
}

/// What a whole answer says that it cost.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Body {
        usage: Option<WireUsage>,
    }

    let body: Body = serde_json::from_slice(answer).ok()?;
    body.usage?.read()
}

/// The error of a whole answer, with a status of success, that Cohere gave up.
pub fn failure(answer: &[u8]) -> Option<Error> {
    #[derive(Deserialize)]
    struct Body {
        finish_reason: Option<String>,
        error: Option<String>,
    }

    let body: Body = serde_json::from_slice(answer).ok()?;
    given_up(&body.finish_reason?, body.error)
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    id: String,
    finish_reason: Option<String>,
    #[serde(borrow)]
    message: Message<'a>,
    usage: Option<WireUsage>,
    logprobs: Option<Vec<LogprobItem>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Texts<'a>>,
    tool_plan: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(borrow)]
    citations: Option<Vec<&'a RawValue>>,
}

impl Message<'_> {
    fn tell(self, id: &str, context: &Context, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let mut others = Vec::new();
        let mut citations = Vec::new();
        for raw in self.citations.into_iter().flatten() {
            match citation::read(raw)? {
                citation::Read::OfText { citation, block } => citations.push((block, citation)),
                citation::Read::OfOther(content) => others.push(content),
            }
        }
        match self.content {
            None => {}
            Some(Texts::One(text)) => tell_text(text, out),
            Some(Texts::Blocks(raws)) => {
                let blocks: Vec<_> = raws
                    .iter()
                    .map(|raw| serde_json::from_str::<Block<'_>>(raw.get()))
                    .collect::<Result<_, _>>()?;
                let is_text: Vec<_> = blocks.iter().map(|block| block.kind == "text").collect();
                for (index, (block, raw)) in blocks.into_iter().zip(raws).enumerate() {
                    tell_block(block, raw, out)?;
                    tell_citations_of(index, &is_text, &mut citations, out);
                }
            }
        }
        out.extend(citations.into_iter().map(|(_, citation)| of_text(citation)));
        tell_thought(self.tool_plan.unwrap_or_default(), out);
        for (number, call) in self.tool_calls.into_iter().flatten().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            tell_call(call, number, id, context, out);
        }
        for content in others {
            tell_other(content, out);
        }
        Ok(())
    }
}

/// Tells the citations that belong to the block `index`. Those that name no text belong to the last one.
fn tell_citations_of(
    index: usize,
    is_text: &[bool],
    citations: &mut Vec<(Option<u64>, Citation)>,
    out: &mut Vec<Delta>,
) {
    if !is_text[index] {
        return;
    }
    let is_last = !is_text[index + 1..].contains(&true);
    citations.retain(|(block, citation)| {
        let block = block.and_then(|block| usize::try_from(block).ok());
        let block = block.filter(|block| is_text.get(*block) == Some(&true));
        let is_its = block.map_or(is_last, |block| block == index);
        if is_its {
            out.push(of_text(citation.clone()));
        }
        !is_its
    });
}

fn of_text(citation: Citation) -> Delta {
    Delta::Citation {
        choice: 0,
        citation,
    }
}

/// Tells a content block, or the beginning of one.
pub(super) fn tell_block(
    mut block: Block<'_>,
    raw: &RawValue,
    out: &mut Vec<Delta>,
) -> Result<(), Malformed> {
    match block.kind.as_ref() {
        "" if block.thinking.is_none() => tell_text(block.text.take().unwrap_or_default(), out),
        "text" => tell_text(block.text.take().unwrap_or_default(), out),
        "" | "thinking" => {
            let thinking = block.into_thinking();
            tell_thought(thinking.text, out);
            if let Some(signature) = thinking.signature {
                out.push(Delta::Signature {
                    choice: 0,
                    signature,
                    id: thinking.id,
                    is_redacted: thinking.is_redacted,
                });
            }
        }
        kind => tell_other(
            Content::Opaque {
                dialect: Dialect::Cohere,
                kind: kind.to_owned(),
                json: Json::parse(raw.get())?,
            },
            out,
        ),
    }
    Ok(())
}

pub(super) fn tell_text(text: String, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(Delta::Text { choice: 0, text });
    }
}

pub(super) fn tell_thought(text: String, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(Delta::Thinking { choice: 0, text });
    }
}

/// Tells a tool call, the `number`-th of the answer `answer`, with the arguments that it begins with.
pub(super) fn tell_call(
    call: ToolCall,
    number: u32,
    answer: &str,
    context: &Context,
    out: &mut Vec<Delta>,
) {
    let Content::ToolCall {
        mut id,
        name,
        arguments,
        signature,
    } = Content::from(call)
    else {
        return;
    };
    if id.is_empty() {
        let answer = if answer.is_empty() {
            &context.id
        } else {
            answer
        };
        id = derived_call_id(answer, number);
    }
    out.push(Delta::ToolCall {
        choice: 0,
        call: number,
        id,
        name,
        signature,
    });
    if !arguments.is_empty() {
        out.push(Delta::Arguments {
            choice: 0,
            call: number,
            json: arguments,
        });
    }
}

pub(super) fn tell_other(content: Content, out: &mut Vec<Delta>) {
    if let Content::Opaque {
        dialect,
        kind,
        json,
    } = content
    {
        out.push(Delta::Opaque {
            choice: 0,
            dialect,
            kind,
            json,
        });
    }
}

/// Writes an answer for a caller. There is one choice, and pictures have no form here.
pub fn write_answer(answer: &Answer, _request: &Request, context: &Context) -> Vec<u8> {
    let choice = answer.choices.first();
    let written = Written {
        id: match answer.id.as_str() {
            "" => &context.id,
            id => id,
        },
        finish_reason: wire::finish_word(choice.and_then(|choice| choice.finish.as_ref())),
        message: choice.map(WrittenMessage::of).unwrap_or_default(),
        usage: answer.usage.map(WireUsage::from),
        logprobs: choice
            .into_iter()
            .flat_map(|choice| &choice.logprobs)
            .map(WrittenLogprob::from)
            .collect(),
    };
    serde_json::to_vec(&written).unwrap_or_default()
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    finish_reason: &'static str,
    message: WrittenMessage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<WrittenLogprob<'a>>,
}

#[derive(Default, Serialize)]
struct WrittenMessage<'a> {
    role: Assistant,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<WrittenBlock<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WrittenCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<Json>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "lowercase")]
enum Assistant {
    #[default]
    Assistant,
}

impl<'a> WrittenMessage<'a> {
    fn of(choice: &'a Choice) -> Self {
        let mut message = Self::default();
        for part in &choice.parts {
            message.add(&part.content);
        }
        message
    }

    fn add(&mut self, content: &'a Content) {
        let block = match content {
            Content::Text { text, citations } => {
                let index = self.content.len();
                let written = |citation| citation::written(citation, text, index);
                self.citations.extend(citations.iter().map(written));
                let text = Cow::Borrowed(text.as_str());
                WrittenBlock::Known(KnownBlock::Text { text })
            }
            Content::Refusal(text) => WrittenBlock::Known(KnownBlock::Text {
                text: Cow::Borrowed(text),
            }),
            Content::Thinking(thinking) => WrittenBlock::Known(KnownBlock::Thinking {
                thinking: &thinking.text,
                seal: Seal::shown(
                    thinking.signature.as_ref(),
                    thinking.id.as_deref(),
                    thinking.is_redacted,
                ),
            }),
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let arguments = match arguments.as_str() {
                    "" => NO_ARGUMENTS,
                    arguments => arguments,
                };
                self.tool_calls.push(WrittenCall {
                    signature: signature
                        .as_ref()
                        .map(|seal| seal.shown_to(Dialect::Cohere)),
                    ..WrittenCall::new(id, name, arguments)
                });
                return;
            }
            Content::Opaque {
                dialect: Dialect::Cohere,
                kind,
                json,
            } if kind == citation::KIND => return self.citations.push(json.clone()),
            Content::Opaque {
                dialect: Dialect::Cohere,
                json,
                ..
            } => WrittenBlock::Other(json),
            _ => return,
        };
        self.content.push(block);
    }
}
