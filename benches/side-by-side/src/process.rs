//! What a server costs, read from `/proc`.

use std::fs;
use std::time::Duration;

/// `/proc` counts CPU time in hundredths of a second (`USER_HZ`), whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// A server: a process and its children.
#[derive(Clone, Copy)]
pub struct Server(pub u32);

impl Server {
    /// User and system time of all its processes so far.
    pub fn cpu(self) -> Duration {
        self.processes().map(|process| process.ticks * TICK).sum()
    }

    /// Resident memory of all its processes in bytes; what they share counts once for each.
    pub fn resident_bytes(self) -> u64 {
        self.processes()
            .map(|process| resident_bytes(process.id))
            .sum()
    }

    fn processes(self) -> impl Iterator<Item = Process> {
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(Process::read)
            .filter(move |process| process.id == self.0 || process.parent == self.0)
    }
}

struct Process {
    id: u32,
    parent: u32,
    ticks: u32,
}

impl Process {
    /// `None` if it has ended meanwhile.
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may hold anything; after it come state, parent, …, and as 12th and 13th utime and stime.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
        Some(Self {
            id,
            parent: ticks(1)?,
            ticks: ticks(11)? + ticks(12)?,
        })
    }
}

fn resident_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
