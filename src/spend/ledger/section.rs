//! `ledger` in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::server::ServerUrl;
use crate::config::{Document, ScalarOr, Secret, units};

/// The durable record of usage and cost: `sqlite:PATH`, `postgres://…`, `off`, or with more to say about it.
///
/// A Postgres URL holds a password, so the whole place is treated as a secret.
pub type LedgerSection = ScalarOr<Secret, DetailedLedgerSection>;

/// A ledger with more to say about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedLedgerSection {
    /// `sqlite:PATH`, a file that is created when it is not there, in a folder that is (a local disk: not NFS), a relative
    /// one from where the process was started; or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, with `sslmode` `disable`, `prefer`, `require` or
    /// `verify-full`, and `sslrootcert=FILE` for a root certificate of one's own. TLS always means a certificate that is
    /// checked.
    pub url: Secret,
    /// How often rows are committed, from `1ms` to `10s`: what a crash of the machine can lose at most.
    #[serde(default = "commit_every")]
    pub commit_every: units::Duration,
    /// How long the rows of attempts are kept, from `1d`. The days' sums are kept for ever.
    #[serde(default = "keep")]
    pub keep: units::Duration,
}

/// A ledger that can be opened: it is valid once it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub location: Location,
    /// The longest that a row waits until it is durable while the store works.
    pub commit_every: Duration,
    /// How long the rows of attempts are kept.
    pub keep: Duration,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<ServerUrl>),
}

/// Why a text names no ledger. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Neither of the two forms.
    #[error("a ledger is `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `off`")]
    Form,
    /// A database in memory, or no path at all.
    #[error("a ledger in SQLite needs the path of a file: `sqlite:tollgate.db`")]
    Path,
    /// A Postgres URL that cannot be read.
    #[error(
        "this is no Postgres URL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`; in USER and PASSWORD \
         all but letters, digits and `-._~` is percent-encoded"
    )]
    Url,
    /// A Postgres URL without a host or a user.
    #[error("the Postgres URL names no host or no user")]
    Incomplete,
    /// A root certificate that cannot be read.
    #[error("the file that `sslrootcert` names cannot be read, or holds no certificate in PEM")]
    RootCertificate,
}

const COMMIT_EVERY_DEFAULT: Duration = Duration::from_millis(200);
const KEEP_DEFAULT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Shorter, and SQLite would do nothing but wait for the disk; longer, and a crash loses more than anybody expects.
const COMMIT_EVERY_MIN: Duration = Duration::from_millis(1);
const COMMIT_EVERY_MAX: Duration = Duration::from_secs(10);

/// A row that is handed in again counts once as long as it is kept, which must be longer than any outage.
const KEEP_MIN: Duration = Duration::from_secs(24 * 60 * 60);

fn commit_every() -> units::Duration {
    units::Duration(COMMIT_EVERY_DEFAULT)
}

fn keep() -> units::Duration {
    units::Duration(KEEP_DEFAULT)
}

impl Settings {
    /// The ledger that the section at `path` of a document asks for; None for `off`, and where something is wrong, which
    /// the document is told.
    pub fn resolve(
        section: &LedgerSection,
        path: &[&str],
        document: &mut Document,
    ) -> Option<Self> {
        let defaults = |location| Self {
            location,
            commit_every: COMMIT_EVERY_DEFAULT,
            keep: KEEP_DEFAULT,
        };
        let detailed = match section {
            ScalarOr::Scalar(word) if word.expose() == "off" => return None,
            ScalarOr::Scalar(place) => {
                return location(place, path, document).map(defaults);
            }
            ScalarOr::Collection(detailed) => detailed,
        };
        let place = location(&detailed.url, &[path, &["url"]].concat(), document);
        let commit_every = detailed.commit_every.0;
        let is_often = (COMMIT_EVERY_MIN..=COMMIT_EVERY_MAX).contains(&commit_every);
        if !is_often {
            let path = [path, &["commit_every"]].concat();
            document.error(&path, "`commit_every` is from `1ms` to `10s`");
        }
        let is_kept = detailed.keep.0 >= KEEP_MIN;
        if !is_kept {
            let path = [path, &["keep"]].concat();
            document
                .error(&path, "`keep` is at least `1d`")
                .help("the days' sums are kept for ever; this is for the rows of single attempts");
        }
        let location = place.filter(|_| is_often && is_kept)?;
        Some(Self {
            location,
            commit_every,
            keep: detailed.keep.0,
        })
    }
}

fn location(place: &Secret, path: &[&str], document: &mut Document) -> Option<Location> {
    let parsed = Location::parse(place.expose());
    parsed
        .map_err(|error| {
            document.error(path, error.to_string());
        })
        .ok()
}

impl Location {
    /// Reads `sqlite:PATH` or a Postgres URL; a root certificate that it names is read from its file.
    ///
    /// # Errors
    ///
    /// A text of another form; the error does not repeat it.
    pub fn parse(text: &str) -> Result<Self, InvalidLocation> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let url = ServerUrl::parse(text)?;
            return Ok(Self::Postgres(Box::new(url)));
        }
        let path = text.strip_prefix("sqlite:").ok_or(InvalidLocation::Form)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') {
            return Err(InvalidLocation::Path);
        }
        Ok(Self::Sqlite(path.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessEnvironment;

    #[derive(Deserialize, JsonSchema)]
    struct File {
        ledger: LedgerSection,
    }

    /// What a line of the file comes to, and what is said about it.
    fn resolve(line: &str) -> (Option<Settings>, String) {
        let text = format!("ledger: {line}\n");
        let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
        let file: Option<File> = document.read();
        let settings =
            file.and_then(|file| Settings::resolve(&file.ledger, &["ledger"], &mut document));
        (settings, document.finish().to_string())
    }

    #[test]
    fn a_word_a_path_a_url_or_a_mapping_names_a_ledger() {
        assert_eq!(resolve("off").0, None);
        let defaults = |path: &str| Settings {
            location: Location::Sqlite(path.into()),
            commit_every: Duration::from_millis(200),
            keep: Duration::from_secs(90 * 86_400),
        };
        assert_eq!(resolve("sqlite:a/b.db").0, Some(defaults("a/b.db")));
        assert_eq!(resolve("sqlite:///a/b.db").0, Some(defaults("/a/b.db")));
        let (settings, said) = resolve("postgres://me:hunter2@db:5433/spend");
        let settings = settings.expect(&said);
        assert!(matches!(settings.location, Location::Postgres(_)));
        assert!(!format!("{settings:?}").contains("hunter2"));
        let (settings, said) = resolve("{ url: 'sqlite:x.db', commit_every: 50ms, keep: 7d }");
        let settings = settings.expect(&said);
        assert_eq!(settings.commit_every, Duration::from_millis(50));
        assert_eq!(settings.keep, Duration::from_secs(7 * 86_400));
    }

    #[test]
    fn what_is_no_ledger_is_refused_without_being_repeated() {
        for (line, said) in [
            ("mysql://me:hunter2@db/spend", "a ledger is `sqlite:PATH`"),
            ("'sqlite:'", "needs the path of a file"),
            ("'sqlite::memory:'", "needs the path of a file"),
            ("postgres://me:hunter2@db/spend?x=1", "no Postgres URL"),
            ("postgres://me:hunter2@/spend", "names no host"),
            (
                "postgres://me:hunter2@db/spend?sslrootcert=/proc/none",
                "`sslrootcert`",
            ),
            ("{ url: 'sqlite:x', commit_every: 11s }", "`1ms` to `10s`"),
            ("{ url: 'sqlite:x', keep: 1h }", "at least `1d`"),
        ] {
            let (settings, diagnostics) = resolve(line);
            assert_eq!(settings, None, "{line}");
            assert!(diagnostics.contains(said), "{line}: {diagnostics}");
            assert!(!diagnostics.contains("ter2"), "{diagnostics}");
        }
    }
}
