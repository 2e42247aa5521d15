//! What goes wrong with an answer: because its model's name asks for it, or by chance.

use std::time::Duration;

use super::seed::Seed;
use super::{Endpoint, Faults};

/// Longest pause that `slow-<ms>` makes.
const SLOW_MAX: Duration = Duration::from_secs(600);

/// How an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// As it should.
    Well,
    /// It is an error of this status.
    Error(u16),
    /// It says nothing more after its beginning.
    Stall,
    /// Its connection breaks in the middle.
    Cut,
    /// It is no answer at all, with status 200.
    Garbage,
}

/// What a model's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    Course(Course),
    /// The first byte comes after so long.
    Slow(Duration),
}

/// What this name asks for, if it is reserved. `error-200` is not: only 400 to 599 are errors.
pub(super) fn reserved(model: &str) -> Option<Reserved> {
    if let Some(status) = model.strip_prefix("error-") {
        let status = status.parse().ok()?;
        return (400..=599)
            .contains(&status)
            .then_some(Reserved::Course(Course::Error(status)));
    }
    if let Some(pause) = model.strip_prefix("slow-") {
        let pause = Duration::from_millis(pause.parse().ok()?);
        return Some(Reserved::Slow(pause.min(SLOW_MAX)));
    }
    let course = match model {
        "stall" => Course::Stall,
        "cut" => Course::Cut,
        "garbage" => Course::Garbage,
        _ => return None,
    };
    Some(Reserved::Course(course))
}

impl Course {
    /// Draws one: the same for the same request at the same place in the sequence.
    pub(super) fn by_chance(faults: &Faults, seed: &Seed, sequence: u64) -> Self {
        let drawn = seed.with(sequence).fraction();
        let error = faults.error.rate.clamp(0.0, 1.0);
        let stall = error + faults.stall.clamp(0.0, 1.0);
        let cut = stall + faults.cut.clamp(0.0, 1.0);
        if drawn < error {
            Self::Error(faults.error.status)
        } else if drawn < stall {
            Self::Stall
        } else if drawn < cut {
            Self::Cut
        } else {
            Self::Well
        }
    }
}

/// A whole answer that is none.
pub(super) fn garbage(endpoint: Endpoint) -> &'static [u8] {
    match endpoint {
        Endpoint::Chat => {
            b"{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,]"
        }
        Endpoint::Completions => {
            b"{\"id\":\"cmpl-0\",\"object\":\"text_completion\",\"choices\":[{\"text\":,}"
        }
        Endpoint::Embeddings => b"{\"object\":\"list\",\"data\":[{\"embedding\":[0.1,,]}",
    }
}

/// The frames of a stream that is none.
pub(super) const GARBAGE_FRAMES: [&[u8]; 3] = [
    b"data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"index\":0,\"delta\":{\"content\":]}\n\n",
    b"\xff\xfe this is no event\n\n",
    b"data: <html>\n\n",
];
