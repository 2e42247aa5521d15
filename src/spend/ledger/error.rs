//! What can be wrong with a ledger's store, in words that an operator can act on.

use std::fmt;

use super::schema::VERSION;

/// Why a store could not be opened, written or read. Its text names the store, what is wrong and what to do; never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger {place}: {detail}; {help}", help = self.kind.help())]
pub struct LedgerError {
    /// What kind of trouble it is.
    pub kind: ErrorKind,
    /// Which store: a path, or a server without its password.
    pub place: String,
    /// What the library underneath said.
    pub detail: String,
}

/// The kinds of trouble with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such file.
    Missing,
    /// It may not be created, opened or written.
    Inaccessible,
    /// Somebody else holds it for longer than we wait.
    Locked,
    /// There is no room left.
    Full,
    /// It is something else than a ledger, or damaged.
    Foreign,
    /// A newer version of the gateway made it.
    Newer,
    /// An older version made it, and none that writes has opened it since.
    Older,
    /// The server does not answer.
    Unreachable,
    /// The server does not let us in, or do what we must.
    Denied,
    /// TLS with the server failed.
    Tls,
    /// The store refuses what is in a row.
    Row,
    /// Two transactions were in each other's way; the same again will do.
    Conflict,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// What to do about it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Missing => "name the file that the gateway writes, or start the gateway first",
            Self::Inaccessible => {
                "its folder must exist, on a local disk, and both must be writable by the gateway's user"
            }
            Self::Locked => "find out which program or session holds it, and end that",
            Self::Full => "make room on the disk, or shorten `keep`",
            Self::Foreign => "name another place: this one is left as it is",
            Self::Newer => "run the newer version of the gateway, or name another place",
            Self::Older => "start the gateway once: it brings the ledger up to date",
            Self::Unreachable => "check that the server runs, and the host and port of the URL",
            Self::Denied => {
                "check user, password and database of the URL, and that the user may create a schema in the database"
            }
            Self::Tls => {
                "name the server's root certificate with `sslrootcert` in the URL, or do without TLS by `sslmode=disable`"
            }
            Self::Row => "look at the table `refused`",
            Self::Conflict | Self::Other => "see what the store's own log says",
        }
    }
}

impl LedgerError {
    pub(super) fn new(kind: ErrorKind, place: &str, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            place: place.to_owned(),
            detail: detail.to_string(),
        }
    }

    pub(super) fn newer(place: &str, found: i64) -> Self {
        let detail = format!("its tables have version {found}, and this gateway knows {VERSION}");
        Self::new(ErrorKind::Newer, place, detail)
    }

    /// Whether it is the rows' own fault, so that waiting would not help.
    pub(super) fn is_of_row(&self) -> bool {
        self.kind == ErrorKind::Row
    }
}
