//! A stream from upstream, cut into pieces for the caller.
//!
//! In the caller's own dialect frames leave with the bytes that they came in, as soon as they are whole; else each is
//! read into the common form and written anew. A stream ends in exactly one of three ways: the dialect's own ending,
//! the provider's error event, or a failure that becomes an error event of ours.

mod broken;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::attempt::{Attempt, malformed, timeout_at};
use super::bound::Bound;
use super::failed::Failed;
use super::meter::Meter;
use super::past::Past;
use super::plan::Back;
use super::tap::Tap;
use super::way::{Seen, Shown, Way};
use crate::dialect::common::{Context, Delta, Said};
use crate::dialect::{Dialect, Error, Frames, Tier, Usage};
use crate::provider::{Body, Failure, FailureKind, Phase};

/// How long the rest of a finished stream may take, so that its connection can be used again.
const TAIL: Duration = Duration::from_secs(1);

/// A stream whose first frame has come.
pub struct Stream {
    /// The provider's fields that the caller gets.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    body: Body,
    frames: Frames,
    way: Way,
    /// Read, but not yet taken.
    ready: BytesMut,
    ending: Option<Ending>,
    /// When the whole stream must be there.
    deadline: Instant,
    /// When the next frame must be there.
    due: Instant,
    between_tokens: Duration,
    has_part: bool,
    dialect: Dialect,
    /// Bytes that may still come, where a translation holds on to what it has read.
    room: u64,
    /// The provider's own error, if the stream began with it.
    refusal: Option<Error>,
    /// What is told once the frames before it have been taken.
    fault: Option<Failure>,
    bound: Option<Bound>,
    meter: Option<Box<Meter>>,
    /// Listens as long as it is held back.
    tap: Option<Box<Tap>>,
    /// The most bytes that are held back.
    held_max: u64,
    /// What the caller has been told, where another may go on when it breaks.
    past: Option<Box<Past>>,
    /// What came from the provider's error on, which the caller is told if nobody goes on.
    kept: Option<Bytes>,
}

/// What may come before the answer itself, in bytes.
const PREFACE_MAX: usize = 256 * 1024;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the dialect ends it.
    Complete,
    /// With the provider's own error event.
    Failed,
}

/// Some frames, and whether they are the last.
#[derive(Debug)]
pub struct Piece {
    /// Whole frames; may be empty at the end.
    pub frames: Bytes,
    /// Nothing comes after these.
    pub ending: Option<Ending>,
}

/// The error that a frame holds.
fn refusal(dialect: Dialect, frame: &[u8]) -> Option<Error> {
    let mut deltas = Vec::new();
    let mut reader = dialect.reader(&Context::default());
    reader.read(frame, &mut deltas).ok()?;
    deltas.into_iter().find_map(|delta| match delta {
        Delta::Error(error) => Some(error),
        _ => None,
    })
}

impl Stream {
    pub(super) fn new(
        body: Body,
        fields: Vec<(HeaderName, HeaderValue)>,
        attempt: &Attempt<'_>,
    ) -> Self {
        let dialect = attempt.plan.operation.dialect();
        let way = Way::new(attempt.incoming, attempt.plan);
        Self {
            fields,
            body,
            frames: dialect.frames(),
            room: match way {
                Way::Translated(_) => attempt.max_answer,
                _ => u64::MAX,
            },
            way,
            dialect,
            refusal: None,
            fault: None,
            bound: attempt.bound.clone(),
            meter: attempt.meter.clone(),
            tap: attempt.is_judged.then(|| {
                let tool_names = match &attempt.plan.back {
                    Back::Translated(translation) => translation.tool_names.clone(),
                    _ => None,
                };
                Box::new(Tap::new(dialect, tool_names))
            }),
            held_max: attempt.max_answer,
            past: attempt
                .continues
                .then(|| Box::new(Past::new(dialect, attempt.incoming.begun.clone()))),
            kept: None,
            ready: BytesMut::new(),
            ending: None,
            deadline: attempt.deadline,
            due: Instant::now(),
            between_tokens: attempt.timeouts.between_tokens,
            has_part: false,
        }
    }

    /// What the provider said that the stream used, so far, and the tier that served it.
    pub fn usage(&self) -> Option<(Usage, Tier)> {
        self.way.usage()
    }

    /// Whether it has come to its end: what was said of its usage is all.
    pub fn is_complete(&self) -> bool {
        self.ending == Some(Ending::Complete)
    }

    /// Whether it has come to its end, or to the provider's error.
    pub const fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes what it has said so far.
    pub const fn take_said(&mut self) -> Said {
        self.way.take_said()
    }

    /// Waits for the first frame of the answer itself; comments before it are held back. Returns the provider's error, if
    /// the stream begins with one.
    ///
    /// # Errors
    /// The stream fails, or ends, before it has begun.
    pub(super) async fn first(&mut self) -> Result<Option<Error>, Failure> {
        while !self.has_part {
            let frames = self.read().await?;
            self.ready.extend_from_slice(&frames);
            match self.ending {
                Some(Ending::Failed) if !self.has_part => {
                    let refusal = self.refusal.take();
                    return refusal
                        .map(Some)
                        .ok_or_else(|| malformed("it began with an error event"));
                }
                Some(Ending::Complete) if !self.has_part => {
                    return Err(malformed("an empty stream"));
                }
                _ if self.ready.len() > PREFACE_MAX => {
                    let detail = format!("over {PREFACE_MAX} bytes before the answer");
                    return Err(Failure::new(FailureKind::TooLarge, detail));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Waits until about so many tokens have come, or its end, and holds them back. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The stream broke off before that.
    pub async fn hold(&mut self, tokens: u64) -> Result<(), Failure> {
        while self.ending.is_none() && self.heard().is_some_and(|heard| heard.tokens() < tokens) {
            let frames = self.read_in_time().await?;
            self.ready.extend_from_slice(&frames);
            if self.ready.len() as u64 > self.held_max {
                return Err(Failure::new(
                    FailureKind::TooLarge,
                    "a stream that is held back",
                ));
            }
        }
        Ok(())
    }

    /// What has been heard of it while it is held back.
    pub fn heard(&self) -> Option<&Tap> {
        self.tap.as_deref()
    }

    /// That the provider has ended it with an error while it was held back.
    pub fn failed(&mut self) -> Option<Failed> {
        let is_failed = self.ending == Some(Ending::Failed);
        is_failed.then(|| Failed::in_stream(self.refusal.take()))
    }

    /// It is held back no more.
    pub fn release(&mut self) {
        self.tap = None;
    }

    /// It is gone on with after it has not been read for a while: its next token has its whole time from now on.
    pub fn take_up(&mut self) {
        self.due = Instant::now() + self.between_tokens;
    }

    /// The next piece. Cancelling it loses nothing. Not to be called behind the last.
    ///
    /// # Errors
    /// The stream broke off: what the caller has is not the whole answer.
    pub async fn next(&mut self) -> Result<Piece, Failure> {
        let mut frames = self.ready.split().freeze();
        while frames.is_empty() && self.ending.is_none() {
            frames = self.read_in_time().await?;
        }
        Ok(Piece {
            frames,
            ending: self.ending,
        })
    }

    /// The event that ends the stream with an error of ours.
    pub fn error_event(&mut self, error: &Error) -> Bytes {
        self.way.error_event(error)
    }

    /// Reads on for a moment behind the end, so that the connection can be used again.
    pub async fn finish(mut self) {
        let rest = async { while let Ok(Some(_)) = self.body.chunk().await {} };
        let _ = pingora_timeout::timeout(TAIL, rest).await;
    }

    /// Reads once, within the time between tokens.
    async fn read_in_time(&mut self) -> Result<Bytes, Failure> {
        let (due, phase) = match self.due < self.deadline {
            true => (self.due, Phase::BetweenTokens),
            false => (self.deadline, Phase::Total),
        };
        let read = timeout_at(due, self.read()).await;
        read.unwrap_or_else(|| Err(Failure::timeout(phase)))
    }

    /// Reads once, and returns what of it is for the caller.
    async fn read(&mut self) -> Result<Bytes, Failure> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let Some(chunk) = self.body.chunk().await? else {
            return self.end();
        };
        let left = self.room.checked_sub(chunk.len() as u64);
        let too_large = || Failure::new(FailureKind::TooLarge, "a translated stream");
        self.room = left.ok_or_else(too_large)?;
        let whole = self.frames.push(chunk).map_err(malformed)?;
        self.look_at(whole)
    }

    /// The connection ended. That alone does not make an answer complete.
    fn end(&mut self) -> Result<Bytes, Failure> {
        let last = match self.frames.is_partial() {
            true => None,
            false => self.way.end(),
        };
        let cut = || Failure::new(FailureKind::Cut, "the stream ended without its ending");
        let last = last.ok_or_else(cut)?;
        if let Some(tap) = &mut self.tap {
            tap.end();
        }
        self.ending = Some(Ending::Complete);
        Ok(last)
    }

    /// Looks at whole frames; returns what the caller gets of them, and nothing of what comes behind the end.
    fn look_at(&mut self, whole: Bytes) -> Result<Bytes, Failure> {
        let mut rest = whole.clone();
        let mut kept = 0; // bytes of `whole` that leave as they came
        let mut written = match self.way {
            Way::Translated(_) => Vec::with_capacity(whole.len()),
            _ => Vec::new(),
        };
        let mut is_altered = false;
        while self.ending.is_none()
            && let Some(frame) = self.frames.next_of(&mut rest)
        {
            let before = written.len();
            if let Some(past) = &mut self.past
                && past.hears_error(&frame)
                && self.has_part
                && self.tap.is_none()
            {
                self.kept = Some(whole.slice(whole.len() - rest.len() - frame.len()..));
                self.ending = Some(Ending::Failed);
                break;
            }
            if let Some(tap) = &mut self.tap {
                tap.listen(&frame);
            }
            let (seen, mut shown) = match self.way.see(&frame, &mut written) {
                Ok(seen) => seen,
                Err(fault) => {
                    self.fault = Some(malformed(fault));
                    break;
                }
            };
            if let Some(bound) = &mut self.bound
                && bound.is_passed(
                    self.way.said().bytes(),
                    self.way.usage().map(|(usage, _)| usage),
                )
            {
                written.truncate(before);
                self.fault = Some(Failure::new(
                    FailureKind::TooLong,
                    "more tokens than it was limited to",
                ));
                break;
            }
            if let Some(meter) = &self.meter {
                let event = match shown {
                    Shown::AsItCame => &frame,
                    Shown::Written => &written[before..],
                };
                if let Some(metered) = meter.see(event, self.way.usage()) {
                    written.truncate(before);
                    written.extend_from_slice(&metered);
                    shown = Shown::Written;
                }
            }
            match (shown, is_altered) {
                (Shown::AsItCame, false) => kept += frame.len(),
                (Shown::AsItCame, true) => written.extend_from_slice(&frame),
                (Shown::Written, false) => {
                    is_altered = true;
                    written.splice(..0, whole[..kept].iter().copied());
                }
                (Shown::Written, true) => {}
            }
            match seen {
                Seen::Nothing => {}
                Seen::Alive => self.due = Instant::now() + self.between_tokens,
                Seen::Part => {
                    self.has_part = true;
                    self.due = Instant::now() + self.between_tokens;
                }
                Seen::Done => self.ending = Some(Ending::Complete),
                Seen::Failed => {
                    self.ending = Some(Ending::Failed);
                    if !self.has_part || self.tap.is_some() {
                        self.refusal = refusal(self.dialect, &frame);
                    }
                }
            }
        }
        Ok(match is_altered {
            true => Bytes::from(written),
            false => whole.slice(..kept),
        })
    }
}
