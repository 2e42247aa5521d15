//! The way of a stream's frames from the provider's dialect into the caller's.

use bytes::Bytes;

use super::plan::{Back, Plan};
use super::stored::Sealing;
use crate::dialect::common::{Context, Delta, Malformed, ReadStream, WriteStream};
use crate::dialect::{Dialect, Error, Framing, Incoming, Operation, Usage, openai, sse};

/// What a frame means to whoever forwards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A comment or an empty event: nothing of the answer itself.
    Nothing,
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
    deltas: Vec<Delta>,
    usage: Option<Usage>,
}

impl Way {
    /// The way of the answer to `incoming`.
    pub fn new(incoming: &Incoming, plan: &Plan) -> Self {
        let dialect = plan.operation.dialect();
        let form = match &plan.back {
            Back::Translated(translation) => {
                let (request, context) = &**translation;
                let caller = incoming.operation.dialect();
                return Self::Translated(Translated {
                    reader: dialect.reader(context),
                    writer: caller.writer(request, context, plan.framing),
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
                openai::Seen::Nothing => Ok((Seen::Nothing, Shown::AsItCame)),
                openai::Seen::Part => Ok((Seen::Part, Shown::AsItCame)),
                openai::Seen::Withhold => Ok((Seen::Part, Shown::Written)),
                openai::Seen::Done => Ok((Seen::Done, Shown::AsItCame)),
                openai::Seen::Failed => Ok((Seen::Failed, Shown::AsItCame)),
                openai::Seen::Malformed => Err(Malformed("an event is no JSON object".to_owned())),
            },
            Self::Forwarded(forwarded) => forwarded.see(frame, out),
            Self::Translated(translated) => {
                translated.reader.read(frame, &mut translated.deltas)?;
                Ok((translated.write(out), Shown::Written))
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
                (seen == Seen::Done).then(|| Bytes::from(written))
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

/// What pieces mean, and the usage among them.
fn meaning(deltas: &[Delta], usage: &mut Option<Usage>) -> Seen {
    let mut seen = Seen::Nothing;
    for delta in deltas {
        match delta {
            Delta::Usage(said) => {
                *usage = Some(*said);
                seen = Seen::Part;
            }
            Delta::End => return Seen::Done,
            Delta::Error(_) => return Seen::Failed,
            _ => seen = Seen::Part,
        }
    }
    seen
}

impl Forwarded {
    fn see(&mut self, frame: &Bytes, out: &mut Vec<u8>) -> Result<(Seen, Shown), Malformed> {
        self.reader.read(frame, &mut self.deltas)?;
        let seen = meaning(&self.deltas, &mut self.usage);
        self.deltas.clear();
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
        let last = match self.form {
            Form::Array(_) => Bytes::from_static(b"\n]"),
            _ => Bytes::new(),
        };
        (seen == Seen::Done).then_some(last)
    }
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
    fn write(&mut self, out: &mut Vec<u8>) -> Seen {
        let seen = meaning(&self.deltas, &mut self.usage);
        for delta in self.deltas.drain(..) {
            self.writer.write(delta, out);
        }
        seen
    }
}
