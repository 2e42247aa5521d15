//! What all replicas have of one limit in one of its windows: a log that slides, in Redis.
//!
//! `rate.lua` is this log: an ask goes in, an answer comes out, and time is Redis's own. What the script does is written down
//! here a second time, as a pure state machine for the simulation, and the tests hold the one against the other call by call.
//!
//! What is granted may be used until its lease ends, and is entered in the part of the window in which that will be. It counts
//! until the whole of that part is older than the window.

#[cfg(test)]
mod model;

#[cfg(test)]
pub use model::Log;

use std::time::Duration;

/// Into so many parts a window is divided.
pub const PARTS: u64 = 250;

/// A lease lives for so many parts, where its limit is not far: what it was granted counts for up to three more than a window, which
/// is 1.2 % of it.
pub const LIFE: u64 = 2;

/// What a replica says, and asks for.
///
/// Messages may be lost, late or doubled. Nothing is granted twice and no amendment is made twice, by their numbers; what an
/// answer that was lost had granted is given back by the next message, or counts until it is old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Larger than in all of the replica's messages before.
    pub seq: u64,
    /// The number of the last message whose answer was heard.
    pub heard: u64,
    /// The limit, as its configuration has it.
    pub limit: u64,
    /// The least that is of use; less is not granted. None where nothing is needed now.
    pub need: Option<u64>,
    /// The most that one of those who wait needs.
    pub largest: u64,
    /// What all who wait want.
    pub want: u64,
    /// What is welcome besides, so that it need not ask again soon.
    pub welcome: u64,
    /// For how many parts what is granted may be used.
    pub life: u64,
    /// What has changed of what the log counts.
    pub batch: Batch,
    /// The batch is all that this replica has used in the last window: it has not been in touch with this log yet.
    pub is_anew: bool,
    /// The log was whole when it was last heard of: it need not be told who else there is.
    pub is_whole: bool,
    /// Which log it is in touch with; 0 where it has not heard of any.
    pub born: u64,
    /// The most that the log had counted when the replica last heard of it.
    pub most: u64,
    /// Now, in parts by the replica's clock, which [`Batch::uses`] are told by.
    pub clock: u64,
}

/// Changes to the log. They are sent again, the same ones, until an answer says that they were heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The number of the first message that told them.
    pub seq: u64,
    /// So much more or less was used of what was granted until a part.
    pub amendments: Vec<(u64, i64)>,
    /// So much was used without having been granted, in parts by the replica's clock.
    pub uses: Vec<(u64, u64)>,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which log this is: by when it began.
    pub born: u64,
    /// What it says.
    pub told: Told,
}

/// What an [`Answer`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What is granted, and how the log stands.
    Counted(Counted),
    /// The log does not know this replica: it is to say what it has used.
    Report,
    /// The log began anew, and others have not said yet what they have used.
    Wait,
}

/// What is granted, and how the log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// What may be used.
    pub granted: u64,
    /// Under which part it was entered.
    pub part: u64,
    /// What counts in all, this grant included.
    pub total: u64,
    /// Where nothing was granted that was needed: in how many microseconds there will be room for it, …
    pub wait: u64,
    /// … and for the largest.
    pub wait_largest: u64,
    /// In how many microseconds nothing will count any more.
    pub reset: u64,
}

/// How long a part of a window is.
pub fn part_of(window: Duration) -> Duration {
    window / PARTS as u32
}
