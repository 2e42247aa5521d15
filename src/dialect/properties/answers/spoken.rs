//! From an answer to a stream that says it, in pieces and in an order that chance chooses.

use std::collections::VecDeque;

use crate::dialect::common::{Answer, Choice, Content, Delta, Part};

/// What chooses in which pieces, and in which order, a stream comes.
#[derive(Clone, Debug)]
pub struct Chance(pub Vec<u8>);

impl Chance {
    /// A number below `most`.
    fn below(&mut self, most: usize) -> usize {
        let byte = self.0.pop().unwrap_or_default();
        usize::from(byte) % most.max(1)
    }

    fn pieces(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for char in text.chars() {
            if self.below(4) == 1 {
                pieces.push(String::new());
            }
            pieces.last_mut().expect("a piece").push(char);
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// A choice's pieces, each of which may wait for others of the same run.
fn deltas_of_choice(choice: u32, said: &Choice, chance: &mut Chance) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let mut calls = 0;
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    for run in said
        .parts
        .chunk_by(|one, next| is_call(one) && is_call(next))
    {
        if is_call(&run[0]) {
            interleave(choice, run, calls, chance, &mut deltas);
            calls += run.len() as u32;
            continue;
        }
        match &run[0].content {
            Content::Text { text, citations } => {
                let pieces = chance.pieces(text).into_iter();
                deltas.extend(pieces.map(|text| Delta::Text { choice, text }));
                let citations = citations.iter().cloned();
                deltas.extend(citations.map(|citation| Delta::Citation { choice, citation }));
                let tokens = said.logprobs.chunks(2).map(<[_]>::to_vec);
                deltas.extend(tokens.map(|tokens| Delta::Logprobs { choice, tokens }));
            }
            Content::Refusal(text) => {
                let pieces = chance.pieces(text).into_iter();
                deltas.extend(pieces.map(|text| Delta::Refusal { choice, text }));
            }
            Content::Thinking(thinking) => {
                let pieces = chance.pieces(&thinking.text).into_iter();
                deltas.extend(pieces.map(|text| Delta::Thinking { choice, text }));
                deltas.extend(
                    thinking
                        .signature
                        .clone()
                        .map(|signature| Delta::Signature {
                            choice,
                            signature,
                            id: thinking.id.clone(),
                            is_redacted: thinking.is_redacted,
                        }),
                );
            }
            Content::Image { source, .. } => deltas.push(Delta::Image {
                choice,
                source: source.clone(),
            }),
            _ => {}
        }
    }
    deltas.extend(
        said.finish
            .clone()
            .map(|finish| Delta::Finish { choice, finish }),
    );
    deltas
}

/// Calls whose arguments come in turns. They begin in their order.
fn interleave(choice: u32, run: &[Part], first: u32, chance: &mut Chance, deltas: &mut Vec<Delta>) {
    let mut queues: Vec<VecDeque<Delta>> = Vec::new();
    for (part, call) in run.iter().zip(first..) {
        if let Content::ToolCall {
            id,
            name,
            arguments,
            signature,
        } = &part.content
        {
            let mut queue = VecDeque::from([Delta::ToolCall {
                choice,
                call,
                id: id.clone(),
                name: name.clone(),
                signature: signature.clone(),
            }]);
            let pieces = chance.pieces(arguments).into_iter();
            queue.extend(pieces.map(|json| Delta::Arguments { choice, call, json }));
            queues.push(queue);
        }
    }
    let mut begun = 0;
    loop {
        let is_ready = |at: &usize| !queues[*at].is_empty() && *at <= begun;
        let ready: Vec<_> = (0..queues.len()).filter(is_ready).collect();
        let Some(at) = ready.get(chance.below(ready.len())).copied() else {
            break;
        };
        begun = begun.max(at + 1);
        deltas.extend(queues[at].pop_front());
    }
}

/// The stream that says `answer`.
pub fn deltas(answer: &Answer, chance: &mut Chance) -> Vec<Delta> {
    let mut deltas = vec![Delta::Start {
        id: answer.id.clone(),
        model: answer.model.clone(),
        created: answer.created,
    }];
    let choices = answer.choices.iter().zip(0..);
    let mut queues: Vec<_> = choices
        .map(|(said, choice)| {
            deltas_of_choice(choice, said, chance)
                .into_iter()
                .peekable()
        })
        .collect();
    while !queues.is_empty() {
        let at = chance.below(queues.len());
        deltas.extend(queues[at].next());
        queues.retain_mut(|queue| queue.peek().is_some());
    }
    deltas.extend(answer.service_tier.clone().map(Delta::ServiceTier));
    deltas.extend(answer.usage.map(Delta::Usage));
    deltas.push(Delta::End);
    deltas
}
