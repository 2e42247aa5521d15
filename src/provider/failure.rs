//! Why a call upstream brought no usable answer.

use std::fmt;

/// A call that failed. [`fmt::Display`] is for the caller's eyes and names no address; `detail` is for the operator.
#[derive(Debug)]
pub struct Failure {
    /// What failed.
    pub kind: FailureKind,
    /// What the library underneath said, for the log.
    pub detail: String,
}

/// What failed in a call upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no credential to call it with.
    Credential,
    /// The host's name is unknown.
    Resolve,
    /// No connection: refused, unreachable, or the proxy would not.
    Connect,
    /// TLS could not be agreed on, or the certificate is not the host's.
    Tls,
    /// The request could not be sent, or the connection closed before the answer's head.
    Lost,
    /// The connection broke within the answer.
    Cut,
    /// What came is not an answer: bad HTTP, bad JSON, an empty stream, a redirect.
    Malformed,
    /// The answer is larger than the limit.
    TooLarge,
    /// It goes on beyond the length that it was limited to.
    TooLong,
    /// A time limit passed.
    Timeout(Phase),
}

/// Which time limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `timeout.connect`
    Connect,
    /// `timeout.first_token`
    FirstToken,
    /// `timeout.between_tokens`
    BetweenTokens,
    /// `timeout.attempt`, or this call's share of the time that there is for all.
    Attempt,
    /// `timeout.total`, or the deadline that the caller set.
    Total,
}

impl FailureKind {
    /// A word for it, for routes and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
            Self::Timeout(_) => "timeout",
        }
    }
}

impl Failure {
    /// A failure and what is known about it.
    pub fn new(kind: FailureKind, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            detail: detail.to_string(),
        }
    }

    /// Whether the provider may have got the request, worked on it, and bill that.
    pub const fn may_cost(&self) -> bool {
        match self.kind {
            FailureKind::Credential
            | FailureKind::Resolve
            | FailureKind::Connect
            | FailureKind::Tls
            | FailureKind::Timeout(Phase::Connect) => false,
            FailureKind::Lost
            | FailureKind::Cut
            | FailureKind::Malformed
            | FailureKind::TooLarge
            | FailureKind::TooLong
            | FailureKind::Timeout(_) => true,
        }
    }

    /// A time limit that passed.
    pub fn timeout(phase: Phase) -> Self {
        Self::new(FailureKind::Timeout(phase), phase.name())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FailureKind::Credential => "the gateway has no credential for it at present",
            FailureKind::Resolve => "its host name could not be resolved",
            FailureKind::Connect => "no connection could be made",
            FailureKind::Tls => "the TLS handshake failed",
            FailureKind::Lost => "the connection closed before an answer",
            FailureKind::Cut => "the connection closed within the answer",
            FailureKind::Malformed => "the answer could not be understood",
            FailureKind::TooLong => "the answer is longer than it was limited to",
            FailureKind::TooLarge => "the answer is larger than `server.max_answer`",
            FailureKind::Timeout(phase) => {
                return write!(f, "it took longer than `timeout.{}`", phase.name());
            }
        })
    }
}

impl Phase {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstToken => "first_token",
            Self::BetweenTokens => "between_tokens",
            Self::Attempt => "attempt",
            Self::Total => "total",
        }
    }
}
