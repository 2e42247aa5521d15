//! A small disk of a gateway's own.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Home, config, sqlite};
use crate::harness::Gateway;

/// How much it holds.
const SIZE: &str = "16m";

/// A file system in memory that only its gateway sees, and that is gone with it: nothing to clean up, whatever happens.
pub struct Disk {
    home: Home,
    /// Open, so that what is on it can be read when the gateway has ended.
    root: File,
}

// === impl Disk ===

impl Disk {
    /// Starts a gateway whose ledger is on a disk of its own. None where none may be mounted.
    pub async fn mount() -> Option<(Self, Gateway)> {
        let Some(unshare) = may_mount() else {
            println!("skipped: no file system may be mounted here");
            return None;
        };
        let home = Home::new();
        let folder = home.0.path().join("disk");
        std::fs::create_dir(&folder).expect("a folder in the test's own directory");
        let file = home.0.path().join("tollgate.yaml");
        let ledger = sqlite(&folder.join("tollgate.db"));
        std::fs::write(&file, config(&ledger)).expect("a file in the test's own directory");
        let script = format!(
            "mount -t tmpfs -o size={SIZE} tmpfs {} && exec {} serve --config {}",
            folder.display(),
            env!("CARGO_BIN_EXE_tollgate"),
            file.display()
        );
        let mut command = Command::new("unshare");
        command.args(unshare).args(["sh", "-c", &script]);
        let gateway = Gateway::launch(command).await;
        let seen = format!("/proc/{}/root{}", gateway.id(), folder.display());
        let root = File::open(seen).expect("the gateway's disk");
        Some((Self { home, root }, gateway))
    }

    /// Leaves no room on it.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path("ballast")).expect("a file on the disk");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room on it.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path("ballast")).expect("our own file");
    }

    /// Copies the ledger from it, once the gateway has ended.
    pub fn ledger(&self) -> PathBuf {
        let copy = self.home.ledger();
        std::fs::copy(self.path("tollgate.db"), &copy).expect("the ledger");
        assert!(
            !Path::new(&self.path("tollgate.db-wal")).exists(),
            "an end in good order leaves one file"
        );
        copy
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/self/fd/{}/{name}", self.root.as_raw_fd())
    }
}

/// The arguments of `unshare` with which this user may mount, if any do.
fn may_mount() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    ways.into_iter().find(|way| {
        let mut attempt = Command::new("unshare");
        attempt
            .args(*way)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        let attempt = attempt.stdout(Stdio::null()).stderr(Stdio::null()).status();
        attempt.is_ok_and(|status| status.success())
    })
}
