//! A provider's stream, read.

use serde_json::Number;

use super::choice::ChoiceState;
use super::chunk::Chunk;
use crate::dialect::chat::error::read_event;
use crate::dialect::common::{Answer, Collector, Context, Delta, Malformed, ReadStream};
use crate::dialect::sse;

/// Reads a provider's stream.
#[derive(Debug)]
pub struct Reader {
    /// Stands in for the answer's id where calls have none of their own.
    id: String,
    is_begun: bool,
    is_ended: bool,
    choices: Vec<ChoiceState>,
    service_tier: String,
}

/// The most choices of an answer; OpenAI takes `n` up to 128.
const CHOICES_MAX: u32 = 1024;

impl Reader {
    /// A reader of one stream.
    pub fn new(context: &Context) -> Self {
        Self {
            id: context.id.clone(),
            is_begun: false,
            is_ended: false,
            choices: Vec::new(),
            service_tier: String::new(),
        }
    }

    fn read_chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let choices = chunk.choices.unwrap_or_default();
        let has_choices = !choices.is_empty();
        let was_finished = self.is_finished();
        // Azure begins with the filter's results alone, in a chunk without id, model and time.
        if has_choices || !chunk.id.is_empty() {
            self.begin(&chunk.id, &chunk.model, chunk.created.as_ref(), out);
        }
        if !chunk.service_tier.is_empty() && self.service_tier != chunk.service_tier {
            self.service_tier = chunk.service_tier.into_owned();
            out.push(Delta::ServiceTier(self.service_tier.clone()));
        }
        let mut usage = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        for mut choice in choices {
            usage = usage.or(choice.usage.take());
            if choice.index >= CHOICES_MAX {
                return Err(Malformed("a choice with a huge index".into()));
            }
            let place = choice.index as usize;
            while self.choices.len() <= place {
                let index = self.choices.len() as u32;
                self.choices.push(ChoiceState::new(index));
            }
            self.choices[place].read(choice, &self.id, out);
        }
        // An error beside a choice that was finished says no more than its reason: OpenRouter's "token limit reached".
        if let Some(raw) = chunk.error
            && raw.get() != "null"
            && !(has_choices && was_finished)
        {
            self.is_ended = true;
            out.push(Delta::Error(read_event(raw.get().as_bytes())));
            return Ok(());
        }
        if !has_choices && self.is_finished() {
            self.finish(out);
        }
        out.extend(usage.and_then(|usage| usage.read()).map(Delta::Usage));
        Ok(())
    }

    fn begin(&mut self, id: &str, model: &str, created: Option<&Number>, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        if !id.is_empty() {
            id.clone_into(&mut self.id);
        }
        let seconds = |number: &Number| {
            let whole = number.as_f64().filter(|seconds| *seconds >= 0.0);
            number.as_u64().or(whole.map(|seconds| seconds as u64))
        };
        out.push(Delta::Start {
            id: id.to_owned(),
            model: model.to_owned(),
            created: created.and_then(seconds),
        });
    }

    /// Whether every choice that began has said why it finished.
    fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(ChoiceState::is_finished)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) {
        for choice in &mut self.choices {
            choice.finish(&self.id, out);
        }
    }

    fn end_whole(&mut self, out: &mut Vec<Delta>) {
        self.begin("", "", None, out);
        self.finish(out);
        self.is_ended = true;
        out.push(Delta::End);
    }
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let Some(data) = sse::joined(frame) else {
            return Ok(());
        };
        let data = data.as_ref();
        if self.is_ended || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end_whole(out);
            return Ok(());
        }
        if sse::event(frame) == Some(b"error") {
            self.is_ended = true;
            out.push(Delta::Error(read_event(data)));
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)?;
        // vLLM's and Mistral's errors have no `error` around them.
        if chunk.choices.is_none() && chunk.error.is_none() && is_bare_error(data) {
            self.is_ended = true;
            out.push(Delta::Error(read_event(data)));
            return Ok(());
        }
        self.read_chunk(chunk, out)
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        if !self.is_ended && self.is_finished() {
            self.end_whole(out);
        }
    }
}

fn is_bare_error(data: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Object {
        object: String,
    }
    serde_json::from_slice::<Object>(data).is_ok_and(|object| object.object == "error")
}

/// Reads a whole answer as a stream of one chunk.
pub(in crate::dialect::chat) fn read_whole(
    body: &[u8],
    context: &Context,
) -> Result<Answer, Malformed> {
    let chunk: Chunk<'_> = serde_json::from_slice(body)?;
    if chunk.choices.is_none() {
        return Err(Malformed("an answer without choices".into()));
    }
    let mut reader = Reader::new(context);
    let mut deltas = Vec::new();
    reader.read_chunk(chunk, &mut deltas)?;
    reader.end_whole(&mut deltas);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector
        .finish()
        .map_err(|_| Malformed("an error in place of an answer".into()))
}
