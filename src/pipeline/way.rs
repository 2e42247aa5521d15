//! The way of a stream's frames from the provider's dialect into the caller's.

use bytes::Bytes;

use super::mark::Mark;
use super::plan::{Back, Plan, Translation};
use super::seam::{Joint, Seam};
use super::stored::Sealing;
use crate::dialect::common::{Context, Delta, Malformed, ReadStream, Said, WriteStream};
use crate::dialect::{
    Dialect, Error, Framing, Incoming, Operation, Tier, ToolNames, Usage, openai, scan, sse,
};

/// What a frame means to whoever forwards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A comment: the connection lives, and no more.
    Nothing,
    /// An event with nothing of the answer in it: whoever answers is at work.
    Alive,
    /// A part of the answer.
    Part,
    /// The dialect's ending.
    Done,
    /// The provider's own error event, which ends the stream.
    Failed,
}

/// What the caller gets for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The frame itself.
    AsItCame,
    /// What has been written for it, if anything.
    Written,
}

/// How frames go.
pub enum Way {
    /// OpenAI's chat and completions to a caller who speaks them: looked at, not read.
    Watched(openai::Watch),
    /// Another dialect to a caller who speaks it: read along, and forwarded.
    Forwarded(Forwarded),
    /// Read and written anew.
    Translated(Translated),
}

/// Forwards frames, and reads along for usage and ending.
pub struct Forwarded {
    dialect: Dialect,
    reader: Box<dyn ReadStream>,
    deltas: Vec<Delta>,
    heard: Heard,
    form: Form,
}

/// What becomes of a frame that is forwarded.
enum Form {
    AsIs,
    /// Ids of what the provider keeps are the caller's.
    Sealed(Sealing),
    /// Elements of an array; whether one has been written.
    Array(bool),
}

/// Reads frames and writes them in the caller's dialect.
pub struct Translated {
    reader: Box<dyn ReadStream>,
    writer: Box<dyn WriteStream>,
    tool_names: Option<ToolNames>,
    hides_logprobs: bool,
    deltas: Vec<Delta>,
    heard: Heard,
    /// Where it goes on with another's answer.
    seam: Option<Box<Seam>>,
    mark: Option<Mark>,
}

/// What pieces have told that is not for the caller alone.
#[derive(Default)]
struct Heard {
    usage: Option<Usage>,
    tier: Tier,
    said: Said,
}

impl Way {
    /// The way of the answer to `incoming`.
    pub fn new(incoming: &Incoming, plan: &Plan) -> Self {
        let dialect = plan.operation.dialect();
        let form = match &plan.back {
            Back::Translated(translation) => {
                let Translation {
                    request,
                    context,
                    tool_names,
                    hides_logprobs,
                } = &**translation;
                let caller = incoming.operation.dialect();
                return Self::Translated(Translated {
                    reader: dialect.reader(context),
                    writer: caller.writer(request, context, plan.framing),
                    tool_names: tool_names.clone(),
                    hides_logprobs: *hides_logprobs,
                    deltas: Vec::new(),
                    heard: Heard::default(),
                    seam: incoming.begun.clone().map(|told| Box::new(Seam::new(told))),
                    mark: None,
                });
            }
            Back::Sealed(sealing) => Form::Sealed(sealing.clone()),
            _ if plan.framing == Framing::Array => Form::Array(false),
            _ => Form::AsIs,
        };
        if let Operation::Generate(Dialect::Chat | Dialect::Completions) = plan.operation {
            let withholds_usage = !incoming.wants_usage;
            return Self::Watched(openai::Watch::new(withholds_usage, incoming.choices));
        }
        Self::Forwarded(Forwarded {
            dialect,
            reader: dialect.reader(&Context::default()),
            deltas: Vec::new(),
            heard: Heard::default(),
            form,
        })
    }

    /// What the provider said that the stream cost, so far.
    pub fn usage(&self) -> Option<(Usage, Tier)> {
        let (usage, tier) = match self {
            Self::Watched(watch) => (watch.usage, watch.tier),
            Self::Forwarded(Forwarded { heard, .. })
            | Self::Translated(Translated { heard, .. }) => (heard.usage, heard.tier),
        };
        usage.map(|usage| (usage, tier))
    }

    /// What the stream has said so far.
    pub const fn said(&self) -> &Said {
        match self {
            Self::Watched(watch) => &watch.said,
            Self::Forwarded(forwarded) => &forwarded.heard.said,
            Self::Translated(translated) => &translated.heard.said,
        }
    }

    /// How it goes on with what the caller has; None while that depends on what is to come.
    pub fn joint(&self, is_ended: bool) -> Option<Joint> {
        match self {
            Self::Translated(Translated {
                seam: Some(seam), ..
            }) => seam.joint(is_ended),
            _ => Some(Joint::GoesOn(0)),
        }
    }

    /// Goes on where another has broken off, which has said so much by itself, and leaves out so many bytes of text. Returns
    /// what there is for the caller.
    pub fn join(
        &mut self,
        broken: &mut Self,
        said: Vec<Delta>,
        left_out: usize,
        mark: Mark,
    ) -> Bytes {
        let Self::Translated(own) = self else {
            return Bytes::new();
        };
        match broken {
            // Its writer is where the caller is.
            Self::Translated(broken) => std::mem::swap(&mut own.writer, &mut broken.writer),
            Self::Watched(_) | Self::Forwarded(_) => {
                let mut had = Vec::new();
                said.into_iter()
                    .for_each(|delta| own.writer.write(delta, &mut had));
            }
        }
        own.mark = Some(mark);
        let mut out = Vec::new();
        let held = own.seam.as_mut().map(|seam| seam.join(left_out));
        held.into_iter()
            .flatten()
            .for_each(|delta| own.say(delta, &mut out));
        Bytes::from(out)
    }

    /// Takes what the stream has said so far.
    pub const fn take_said(&mut self) -> Said {
        let said = match self {
            Self::Watched(watch) => &mut watch.said,
            Self::Forwarded(forwarded) => &mut forwarded.heard.said,
            Self::Translated(translated) => &mut translated.heard.said,
        };
        std::mem::replace(said, Said::EMPTY)
    }

    /// Looks at a frame: what it means, and whether the caller gets it as it came. What he gets in its place is written
    /// to `out`.
    ///
    /// # Errors
    /// It is not of the provider's dialect.
    pub fn see(&mut self, frame: &Bytes, out: &mut Vec<u8>) -> Result<(Seen, Shown), Malformed> {
        match self {
            Self::Watched(watch) => match watch.see(frame) {
                openai::Seen::Nothing => Ok((life(frame), Shown::AsItCame)),
                openai::Seen::Part => Ok((Seen::Part, Shown::AsItCame)),
                openai::Seen::Withhold => Ok((Seen::Part, Shown::Written)),
                openai::Seen::Done => Ok((Seen::Done, Shown::AsItCame)),
                openai::Seen::Failed => Ok((Seen::Failed, Shown::AsItCame)),
                openai::Seen::Malformed => Err(Malformed("an event is no JSON object".to_owned())),
            },
            Self::Forwarded(forwarded) => forwarded.see(frame, out),
            Self::Translated(translated) => {
                translated.reader.read(frame, &mut translated.deltas)?;
                let seen = translated.write(out);
                Ok((seen.unwrap_or_else(|| life(frame)), Shown::Written))
            }
        }
    }

    /// The connection ended properly: what is left to write, if the answer is whole.
    pub fn end(&mut self) -> Option<Bytes> {
        match self {
            // Every choice said why it finished; only the dialect's last word is missing.
            Self::Watched(watch) if watch.is_whole() => {
                Some(Bytes::from_static(b"data: [DONE]\n\n"))
            }
            Self::Watched(_) => None,
            Self::Forwarded(forwarded) => forwarded.end(),
            Self::Translated(translated) => {
                translated.reader.end(&mut translated.deltas);
                let mut written = Vec::new();
                let seen = translated.write(&mut written);
                (seen == Some(Seen::Done)).then(|| Bytes::from(written))
            }
        }
    }

    /// The event that ends the stream with an error of ours.
    pub fn error_event(&mut self, error: &Error) -> Bytes {
        match self {
            Self::Watched(_) => openai::error_event(error),
            Self::Forwarded(Forwarded {
                dialect,
                form: Form::Array(is_begun),
                ..
            }) => element(&dialect.error_body(error), is_begun, true),
            Self::Forwarded(forwarded) => forwarded.dialect.error_event(error),
            Self::Translated(translated) => {
                let mut written = Vec::new();
                let error = Delta::Error(error.clone());
                translated.writer.write(error, &mut written);
                Bytes::from(written)
            }
        }
    }
}

impl Heard {
    /// Listens to pieces: what they mean; None if there are none.
    fn listen(&mut self, deltas: &[Delta]) -> Option<Seen> {
        let mut seen = None;
        for delta in deltas {
            match delta {
                Delta::Usage(usage) => self.usage = Some(*usage),
                Delta::ServiceTier(tier) => self.tier = Tier::named(tier),
                Delta::End => return Some(Seen::Done),
                Delta::Error(_) => return Some(Seen::Failed),
                _ => self.said.add(delta),
            }
            seen = Some(Seen::Part);
        }
        seen
    }
}

/// What a frame without any piece of the answer means: comments come from whoever keeps the connection open.
fn life(frame: &[u8]) -> Seen {
    match frame.starts_with(b":") {
        true => Seen::Nothing,
        false => Seen::Alive,
    }
}

impl Forwarded {
    fn see(&mut self, frame: &Bytes, out: &mut Vec<u8>) -> Result<(Seen, Shown), Malformed> {
        let read = self.reader.read(frame, &mut self.deltas);
        let seen = self.heard.listen(&self.deltas);
        self.deltas.clear();
        let seen = match read {
            Ok(()) => seen.unwrap_or_else(|| life(frame)),
            // The caller may well understand what the reader does not.
            Err(_) if is_json(frame) => Seen::Part,
            Err(malformed) => return Err(malformed),
        };
        match &mut self.form {
            Form::AsIs => return Ok((seen, Shown::AsItCame)),
            Form::Sealed(sealing) => out.extend_from_slice(&sealing.seal_frame(frame)),
            Form::Array(is_begun) => {
                if let Some(data) = sse::data(frame).next() {
                    out.extend_from_slice(&element(data, is_begun, seen == Seen::Failed));
                }
            }
        }
        Ok((seen, Shown::Written))
    }

    fn end(&mut self) -> Option<Bytes> {
        self.reader.end(&mut self.deltas);
        let seen = self.heard.listen(&self.deltas);
        self.deltas.clear();
        let last = match self.form {
            Form::Array(_) => Bytes::from_static(b"\n]"),
            _ => Bytes::new(),
        };
        (seen == Some(Seen::Done)).then_some(last)
    }
}

/// Whether a frame's data is a JSON object.
fn is_json(frame: &[u8]) -> bool {
    let data = sse::data(frame).next();
    data.is_some_and(|data| scan::object(data.trim_ascii()).is_ok())
}

/// An element of an array, as Google streams one.
fn element(data: &[u8], is_begun: &mut bool, is_last: bool) -> Bytes {
    let before: &[u8] = match std::mem::replace(is_begun, true) {
        true => b",\r\n",
        false => b"[",
    };
    let behind: &[u8] = match is_last {
        true => b"\n]",
        false => b"\n",
    };
    Bytes::from([before, data, behind].concat())
}

impl Translated {
    /// Writes the pieces that were read.
    fn write(&mut self, out: &mut Vec<u8>) -> Option<Seen> {
        let seen = self.heard.listen(&self.deltas);
        let mut deltas = std::mem::take(&mut self.deltas);
        for mut delta in deltas.drain(..) {
            if self.hides_logprobs && matches!(delta, Delta::Logprobs { .. }) {
                continue;
            }
            if let Some(names) = &self.tool_names {
                names.restore_delta(&mut delta);
            }
            let told = match &mut self.seam {
                None => Some(delta),
                Some(seam) => seam.take(delta),
            };
            if let Some(delta) = told {
                self.say(delta, out);
            }
        }
        self.deltas = deltas;
        seen
    }

    fn say(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let before = out.len();
        self.writer.write(delta, out);
        if out.len() > before
            && let Some(mark) = self.mark.take()
        {
            mark.put_into(out, before);
        }
    }
}

#[cfg(test)]
mod tests;
