//! The body of an answer as steps, made as they are asked for.

use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::completion::{Completion, Cursor};
use super::embedding::Embeddings;
use super::faults::{Course, GARBAGE_FRAMES, garbage};

/// How many frames a stream sends before it stalls or breaks; fewer where it ends before.
const FRAMES_BEFORE_FAULT: usize = 4;
/// Longest pause between two tokens.
const GAP_MAX: Duration = Duration::from_secs(60);

/// One step of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is sent for this long. Never 0.
    Wait(Duration),
    /// These bytes are sent. In a stream they are one frame (but for the half of one before a [`Step::Cut`]).
    Send(Bytes),
    /// Nothing more is ever sent, and the connection stays open.
    Stall,
    /// The connection breaks here.
    Cut,
}

/// The steps of a body. Their end is the clean end of the answer.
#[derive(Debug)]
pub struct Steps(Source);

#[derive(Debug)]
enum Source {
    Ready(std::vec::IntoIter<Step>),
    /// After a pause, if it is not 0.
    Vectors(Duration, Embeddings),
    Stream(Box<Stream>),
}

/// When the bytes come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) first_token: Duration,
    gap: Duration,
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        match &mut self.0 {
            Source::Ready(steps) => steps.next(),
            Source::Vectors(pause, vectors) => {
                let pause = std::mem::take(pause);
                if !pause.is_zero() {
                    return Some(Step::Wait(pause));
                }
                vectors.next().map(Step::Send)
            }
            Source::Stream(stream) => stream.next(),
        }
    }
}

impl Steps {
    /// These bytes at once.
    pub(super) fn whole(body: Vec<u8>) -> Self {
        Self::ready(vec![Step::Send(body.into())])
    }

    /// A whole answer of so many tokens.
    pub(super) fn paced(body: Vec<u8>, tokens: usize, pace: Pace, course: Course) -> Self {
        let pause = pace.first_token.saturating_add(pace.of(tokens));
        let mut steps = wait(pause);
        match course {
            Course::Stall => steps = vec![Step::Stall],
            Course::Cut => steps.extend(half(body.into())),
            Course::Well | Course::Error(_) | Course::Garbage => {
                steps.push(Step::Send(body.into()))
            }
        }
        Self::ready(steps)
    }

    /// Vectors, which come at once after the first pause.
    pub(super) fn vectors(mut vectors: Embeddings, pace: Pace, course: Course) -> Self {
        match course {
            Course::Stall => Self::ready(vec![Step::Stall]),
            Course::Cut => {
                let mut steps = wait(pace.first_token);
                steps.extend(vectors.next().into_iter().flat_map(half));
                Self::ready(steps)
            }
            _ => Self(Source::Vectors(pace.first_token, vectors)),
        }
    }

    pub(super) fn stream(completion: Completion, usage: bool, pace: Pace, course: Course) -> Self {
        Self(Source::Stream(Box::new(Stream::new(
            completion, usage, pace, course,
        ))))
    }

    /// A whole answer that is none.
    pub(super) fn garbage(endpoint: Endpoint, pace: Pace) -> Self {
        let mut steps = wait(pace.first_token);
        steps.push(Step::Send(Bytes::from_static(garbage(endpoint))));
        Self::ready(steps)
    }

    /// A stream that is none.
    pub(super) fn garbage_stream(pace: Pace) -> Self {
        let frames = GARBAGE_FRAMES.map(|frame| Step::Send(Bytes::from_static(frame)));
        Self::ready(wait(pace.first_token).into_iter().chain(frames).collect())
    }

    fn ready(steps: Vec<Step>) -> Self {
        Self(Source::Ready(steps.into_iter()))
    }
}

impl Pace {
    /// `tokens_per_second` of 0, or of what is no speed, makes no pauses.
    pub(super) fn new(first_token: Duration, tokens_per_second: f64) -> Self {
        let gap = if tokens_per_second > 0.0 {
            Duration::try_from_secs_f64(1.0 / tokens_per_second).unwrap_or(GAP_MAX)
        } else {
            Duration::ZERO
        };
        Self {
            first_token,
            gap: gap.min(GAP_MAX),
        }
    }

    fn of(self, tokens: usize) -> Duration {
        self.gap
            .saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX))
    }
}

/// A stream on its way. It holds the answer and a place in it, and never more than one frame.
#[derive(Debug)]
struct Stream {
    completion: Completion,
    /// Whether the usage is told at the end.
    usage: bool,
    pace: Pace,
    course: Course,
    frame_start: Vec<u8>,
    state: State,
    cursors: Vec<Cursor>,
    /// Whether a choice had a token in this round.
    is_busy: bool,
    frames: usize,
}

/// What comes next; the numbers are places among the choices.
#[derive(Clone, Copy, Debug)]
enum State {
    First,
    Opening(usize),
    Round(usize),
    Finish(usize),
    Usage,
    Done,
    Cut,
    Over,
}

impl Stream {
    fn new(completion: Completion, usage: bool, pace: Pace, course: Course) -> Self {
        Self {
            frame_start: completion.frame_start(),
            cursors: vec![Cursor::default(); completion.choices.len()],
            completion,
            usage,
            pace,
            course,
            state: State::First,
            is_busy: false,
            frames: 0,
        }
    }

    fn next(&mut self) -> Option<Step> {
        let step = self.advance()?;
        let Step::Send(frame) = step else {
            return Some(step);
        };
        let is_ending = !matches!(self.state, State::Opening(_) | State::Round(_));
        if self.frames >= FRAMES_BEFORE_FAULT || is_ending {
            if self.course == Course::Stall {
                self.state = State::Over;
                return Some(Step::Stall);
            }
            if self.course == Course::Cut {
                self.state = State::Cut;
                return Some(Step::Send(frame.slice(..frame.len() / 2)));
            }
        }
        self.frames += 1;
        Some(Step::Send(frame))
    }

    /// The next step of a stream that goes well. After it, `state` says what kind of frame it was or what follows.
    fn advance(&mut self) -> Option<Step> {
        let choices = self.completion.choices.len();
        loop {
            match self.state {
                State::First => {
                    self.state = State::Opening(0);
                    if !self.pace.first_token.is_zero() {
                        return Some(Step::Wait(self.pace.first_token));
                    }
                }
                State::Opening(index) if index < choices => {
                    self.state = State::Opening(index + 1);
                    if let Some(opening) = self.completion.opening(index) {
                        return Some(self.frame(&opening));
                    }
                }
                State::Opening(_) => self.state = State::Round(0),
                State::Round(index) if index < choices => {
                    self.state = State::Round(index + 1);
                    if let Some(token) = self.completion.token(index, &mut self.cursors[index]) {
                        self.is_busy = true;
                        return Some(self.frame(&token));
                    }
                }
                State::Round(_) if self.is_busy => {
                    self.is_busy = false;
                    self.state = State::Round(0);
                    if !self.pace.gap.is_zero() {
                        return Some(Step::Wait(self.pace.gap));
                    }
                }
                State::Round(_) => self.state = State::Finish(0),
                State::Finish(index) if index < choices => {
                    self.state = State::Finish(index + 1);
                    return Some(self.frame(&self.completion.finish(index)));
                }
                State::Finish(_) => self.state = State::Usage,
                State::Usage => {
                    self.state = State::Done;
                    if self.usage {
                        return Some(self.usage_frame());
                    }
                }
                State::Done => {
                    self.state = State::Over;
                    return Some(Step::Send(Bytes::from_static(b"data: [DONE]\n\n")));
                }
                State::Cut => {
                    self.state = State::Over;
                    return Some(Step::Cut);
                }
                State::Over => return None,
            }
        }
    }

    fn frame(&self, choice: &[u8]) -> Step {
        let end: &[u8] = if self.usage {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        };
        Step::Send([&self.frame_start, choice, end].concat().into())
    }

    fn usage_frame(&self) -> Step {
        let mut frame = self.frame_start.clone();
        frame.extend_from_slice(b"],\"usage\":");
        // Numbers into memory: nothing here can fail.
        serde_json::to_writer(&mut frame, &self.completion.usage).unwrap_or_default();
        frame.extend_from_slice(b"}\n\n");
        Step::Send(frame.into())
    }
}

fn wait(pause: Duration) -> Vec<Step> {
    if pause.is_zero() {
        return Vec::with_capacity(2);
    }
    vec![Step::Wait(pause)]
}

/// Half of a body, and then nothing.
fn half(body: Bytes) -> [Step; 2] {
    [Step::Send(body.slice(..body.len() / 2)), Step::Cut]
}
