//! A stream from upstream, cut into pieces for the caller.
//!
//! In the caller's own dialect frames leave with the bytes that they came in, as soon as they are whole; else each is
//! read into the common form and written anew. A stream ends in exactly one of three ways: the dialect's own ending,
//! the provider's error event, or a failure that becomes an error event of ours.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::attempt::{Attempt, malformed, timeout_at};
use super::way::{Seen, Shown, Way};
use crate::dialect::{Error, Frames, Usage};
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
}

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

impl Stream {
    pub(super) fn new(
        body: Body,
        fields: Vec<(HeaderName, HeaderValue)>,
        attempt: &Attempt<'_>,
    ) -> Self {
        Self {
            fields,
            body,
            frames: attempt.plan.operation.dialect().frames(),
            way: Way::new(attempt.incoming, attempt.plan),
            ready: BytesMut::new(),
            ending: None,
            deadline: attempt.deadline,
            due: Instant::now(),
            between_tokens: attempt.timeouts.between_tokens,
            has_part: false,
        }
    }

    /// What the provider said that the stream cost, so far.
    pub fn usage(&self) -> Option<Usage> {
        self.way.usage()
    }

    /// Waits for the first frame of the answer itself; comments before it are held back.
    ///
    /// # Errors
    /// The stream fails, or ends, before it has begun.
    pub(super) async fn first(&mut self) -> Result<(), Failure> {
        while !self.has_part {
            let frames = self.read().await?;
            self.ready.extend_from_slice(&frames);
            match self.ending {
                Some(Ending::Failed) => return Err(malformed("it began with an error event")),
                Some(Ending::Complete) if !self.has_part => {
                    return Err(malformed("an empty stream"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The next piece. Cancelling it loses nothing. Not to be called behind the last.
    ///
    /// # Errors
    /// The stream broke off: what the caller has is not the whole answer.
    pub async fn next(&mut self) -> Result<Piece, Failure> {
        let mut frames = self.ready.split().freeze();
        while frames.is_empty() && self.ending.is_none() {
            let (due, phase) = match self.due < self.deadline {
                true => (self.due, Phase::BetweenTokens),
                false => (self.deadline, Phase::Total),
            };
            let read = timeout_at(due, self.read()).await;
            frames = read.unwrap_or_else(|| Err(Failure::timeout(phase)))?;
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

    /// Reads once, and returns what of it is for the caller.
    async fn read(&mut self) -> Result<Bytes, Failure> {
        let Some(chunk) = self.body.chunk().await? else {
            return self.end();
        };
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
            let seen = self.way.see(&frame, &mut written);
            let (seen, shown) = seen.map_err(malformed)?;
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
                Seen::Part => {
                    self.has_part = true;
                    self.due = Instant::now() + self.between_tokens;
                }
                Seen::Done => self.ending = Some(Ending::Complete),
                Seen::Failed => self.ending = Some(Ending::Failed),
            }
        }
        Ok(match is_altered {
            true => Bytes::from(written),
            false => whole.slice(..kept),
        })
    }
}
