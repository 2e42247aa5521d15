//! The way of a stream's frames from the provider's dialect into the caller's.

use bytes::Bytes;

use super::plan::{Back, Plan, Translation};
use super::stored::Sealing;
use crate::dialect::common::{Context, Delta, Malformed, ReadStream, WriteStream};
use crate::dialect::{
    Dialect, Error, Framing, Incoming, Operation, ToolNames, Usage, openai, scan, sse,
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
    usage: Option<Usage>,
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
    deltas: Vec<Delta>,
    usage: Option<Usage>,
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
                } = &**translation;
                let caller = incoming.operation.dialect();
                return Self::Translated(Translated {
                    reader: dialect.reader(context),
                    writer: caller.writer(request, context, plan.framing),
                    tool_names: tool_names.clone(),
                    deltas: Vec::new(),
                    usage: None,
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
            usage: None,
            form,
        })
    }

    /// What the provider said that the stream cost, so far.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Watched(watch) => watch.usage,
            Self::Forwarded(forwarded) => forwarded.usage,
            Self::Translated(translated) => translated.usage,
        }
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

/// What pieces mean, and the usage among them; None if there are none.
fn meaning(deltas: &[Delta], usage: &mut Option<Usage>) -> Option<Seen> {
    let mut seen = None;
    for delta in deltas {
        match delta {
            Delta::Usage(said) => {
                *usage = Some(*said);
                seen = Some(Seen::Part);
            }
            Delta::End => return Some(Seen::Done),
            Delta::Error(_) => return Some(Seen::Failed),
            _ => seen = Some(Seen::Part),
        }
    }
    seen
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
        let seen = meaning(&self.deltas, &mut self.usage);
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
        let seen = meaning(&self.deltas, &mut self.usage);
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
        let seen = meaning(&self.deltas, &mut self.usage);
        for mut delta in self.deltas.drain(..) {
            if let Some(names) = &self.tool_names {
                names.restore_delta(&mut delta);
            }
            self.writer.write(delta, out);
        }
        seen
    }
}
