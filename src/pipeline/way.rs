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

    /// Looks at a frame: what it means, and what the caller gets for it; None is the frame itself.
    ///
    /// # Errors
    /// It is not of the provider's dialect.
    pub fn see(&mut self, frame: &Bytes) -> Result<(Seen, Option<Bytes>), Malformed> {
        match self {
            Self::Watched(watch) => match watch.see(frame) {
                openai::Seen::Nothing => Ok((Seen::Nothing, None)),
                openai::Seen::Part => Ok((Seen::Part, None)),
                openai::Seen::Withhold => Ok((Seen::Part, Some(Bytes::new()))),
                openai::Seen::Done => Ok((Seen::Done, None)),
                openai::Seen::Failed => Ok((Seen::Failed, None)),
                openai::Seen::Malformed => Err(Malformed("an event is no JSON object".to_owned())),
            },
            Self::Forwarded(forwarded) => forwarded.see(frame),
            Self::Translated(translated) => translated.see(frame),
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
                let (seen, written) = translated.write();
                (seen == Seen::Done).then_some(written)
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
    fn see(&mut self, frame: &Bytes) -> Result<(Seen, Option<Bytes>), Malformed> {
        self.reader.read(frame, &mut self.deltas)?;
        let seen = meaning(&self.deltas, &mut self.usage);
        self.deltas.clear();
        let shown = match &mut self.form {
            Form::AsIs => None,
            Form::Sealed(sealing) => Some(sealing.seal_frame(frame)),
            Form::Array(is_begun) => Some(match sse::data(frame).next() {
                Some(data) => element(data, is_begun, seen == Seen::Failed),
                None => Bytes::new(),
            }),
        };
        Ok((seen, shown))
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
    fn see(&mut self, frame: &Bytes) -> Result<(Seen, Option<Bytes>), Malformed> {
        self.reader.read(frame, &mut self.deltas)?;
        let (seen, written) = self.write();
        Ok((seen, Some(written)))
    }

    /// Writes the pieces that were read.
    fn write(&mut self) -> (Seen, Bytes) {
        let seen = meaning(&self.deltas, &mut self.usage);
        let mut written = Vec::new();
        for delta in self.deltas.drain(..) {
            self.writer.write(delta, &mut written);
        }
        (seen, Bytes::from(written))
    }
}
