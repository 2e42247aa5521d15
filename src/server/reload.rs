//! Putting a changed configuration in force: on SIGHUP, on a changed file, and when the admin API asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::tls::Certificate;
use crate::config::{Diagnostics, ProcessEnvironment};
use crate::pipeline::Gateway;
use crate::provider::Dialer;
use crate::snapshot::Snapshot;
use crate::telemetry::Level;

/// How often files are looked at. Content is compared, so the symlinks of a Kubernetes ConfigMap are no special case.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The file in force, and what it takes to read it again.
pub struct Reloader {
    /// None for the embedded file, which does not change.
    path: Option<PathBuf>,
    gateway: Arc<Gateway>,
    dialer: Arc<Dialer>,
    certificate: Option<Arc<Certificate>>,
    /// The files that are watched, and what they held when they were last read. Held while reloading, so that two do not
    /// overlap.
    seen: Mutex<Contents>,
}

/// What files hold; nothing where one cannot be read.
type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What a reload said.
pub struct Outcome {
    /// Whether the file is in force.
    pub is_success: bool,
    /// What was said about it.
    pub diagnostics: Diagnostics,
    /// What needs a restart to take effect.
    pub needs_restart: Vec<&'static str>,
}

impl Reloader {
    /// For a gateway that serves what `path` held a moment ago.
    pub fn new(
        path: Option<PathBuf>,
        gateway: Arc<Gateway>,
        dialer: Arc<Dialer>,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        let watched = watched_files(path.as_deref(), &gateway.snapshot());
        Self {
            seen: Mutex::new(contents(watched)),
            path,
            gateway,
            dialer,
            certificate,
        }
    }

    /// Looks for changes, forever.
    pub async fn watch(&self) {
        if self.path.is_none() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let is_changed = {
                let seen = self.seen.lock().await;
                *seen != contents(seen.keys().cloned())
            };
            if is_changed {
                self.reload().await;
            }
        }
    }

    /// Reads the file again. If it is bad, the snapshot in force stays.
    pub async fn reload(&self) -> Outcome {
        let mut seen = self.seen.lock().await;
        *seen = contents(seen.keys().cloned());
        let before = self.gateway.snapshot();
        let (name, text) = match &self.path {
            None => (
                crate::snapshot::QUICKSTART_NAME.to_owned(),
                Ok(crate::snapshot::QUICKSTART.to_owned()),
            ),
            Some(path) => (path.display().to_string(), std::fs::read_to_string(path)),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let diagnostics = Diagnostics::unreadable(&name, &error);
                return self.failed(diagnostics);
            }
        };
        let reading = Snapshot::read(
            &name,
            &text,
            &ProcessEnvironment,
            &self.dialer,
            Some(&before),
        );
        let Some(snapshot) = reading.snapshot else {
            return self.failed(reading.diagnostics);
        };
        if let Err(error) = self.gateway.open_books(&snapshot) {
            return self.failed(Diagnostics::unreadable(
                &name,
                &std::io::Error::other(error),
            ));
        }
        let needs_restart = before.needs_restart(&snapshot);
        self.reload_certificate(&snapshot);
        // What was looked at before the file was read stays as it was then: a change since is still to be noticed.
        let watched = watched_files(self.path.as_deref(), &snapshot).into_iter();
        *seen = watched
            .map(|file| match seen.remove_entry(&file) {
                Some(entry) => entry,
                None => with_content(file),
            })
            .collect();
        self.gateway.log.set_format(snapshot.log);
        self.gateway.replace(snapshot);
        self.gateway.metrics.reloaded(true);
        let restart = needs_restart.join(", ");
        self.gateway.log.event(
            Level::Info,
            "config reloaded",
            &[("needs_restart", &restart)],
        );
        Outcome {
            is_success: true,
            diagnostics: reading.diagnostics,
            needs_restart,
        }
    }

    fn failed(&self, diagnostics: Diagnostics) -> Outcome {
        self.gateway.metrics.reloaded(false);
        let text = diagnostics.to_string();
        self.gateway
            .log
            .event(Level::Error, "config reload failed", &[("error", &text)]);
        Outcome {
            is_success: false,
            diagnostics,
            needs_restart: Vec::new(),
        }
    }

    /// A certificate is renewed where it lies; another path needs a restart.
    fn reload_certificate(&self, snapshot: &Snapshot) {
        let (Some(certificate), Some(section)) = (&self.certificate, snapshot.listen.tls()) else {
            return;
        };
        if let Err(error) = certificate.reload(section) {
            let error = format!("{error:#}");
            self.gateway.log.event(
                Level::Error,
                "certificate reload failed",
                &[("error", &error)],
            );
        }
    }
}

fn watched_files(path: Option<&Path>, snapshot: &Snapshot) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = path.map(Path::to_owned).into_iter().collect();
    files.extend(snapshot.files.iter().cloned());
    if let Some(tls) = snapshot.listen.tls() {
        files.extend([tls.cert.clone(), tls.key.clone()]);
    }
    files
}

/// What the files hold now. They are small, and read twice a second: a comparison of times would miss a swap.
fn contents(files: impl IntoIterator<Item = PathBuf>) -> Contents {
    files.into_iter().map(with_content).collect()
}

fn with_content(file: PathBuf) -> (PathBuf, Option<Vec<u8>>) {
    let content = std::fs::read(&file).ok();
    (file, content)
}
