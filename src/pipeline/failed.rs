//! Why an attempt has no answer to let through, and what that says: of its target, and to the caller.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::Refusal;
use super::attempt::{Whole, passed_back};
use super::fields::X_AMZN_ERRORTYPE;
use super::trial::Verdict;
use crate::dialect::{Dialect, Error, Kind, bedrock};
use crate::provider::{Failure, FailureKind, Head};
use crate::route::Target;
use crate::route::health::Fault;

/// Why there is no answer to let through.
pub struct Failed {
    /// What that says of the target.
    pub fault: Fault,
    /// Whether the request is longer than the model's window.
    pub is_too_long: bool,
    /// How it ended, for the route and the ledger.
    pub verdict: Verdict,
    /// What the caller is told, if nobody else answers.
    pub told: Told,
    /// The provider may have done some work, and bill it.
    pub may_cost: bool,
    /// The provider does not accept our credential, with this status.
    pub refused_credential: Option<StatusCode>,
}

/// What a caller is told of an attempt that failed.
pub enum Told {
    /// The provider's own error: as an answer, and as it was understood.
    Own(Box<Whole>, Box<Error>),
    /// An error of ours.
    Ours(Box<Refusal>),
}

impl Told {
    fn ours(error: Error, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into());
        Self::Ours(Box::new(Refusal { error, detail }))
    }
}

impl Failed {
    /// There is no usable answer.
    pub fn of(target: &Target, failure: &Failure) -> Self {
        let error = to_error(&target.provider.name, failure);
        Self {
            fault: match failure.kind {
                FailureKind::Credential => Fault::Credential,
                kind => Fault::Failed(kind.word()),
            },
            is_too_long: false,
            verdict: Verdict {
                word: failure.kind.word().into(),
                status: error.status().as_u16(),
            },
            told: Told::ours(error, failure.detail.clone()),
            may_cost: failure.may_cost(),
            refused_credential: None,
        }
    }

    /// An answer that was to go on with another's begins anew.
    pub fn not_continued() -> Self {
        let error = Error::new(Kind::Upstream, "it began anew instead of going on");
        Self {
            // It has answered well, and others may do better.
            fault: Fault::Caller,
            is_too_long: false,
            verdict: Verdict {
                word: "not_continued".into(),
                status: error.status().as_u16(),
            },
            told: Told::ours(error, "the answer began anew"),
            may_cost: true,
            refused_credential: None,
        }
    }

    /// A stream that had begun ended with an error of its provider's; None where its words cannot be read.
    pub fn in_stream(error: Option<Error>) -> Self {
        const MESSAGE: &str = "the provider ended the stream with an error";
        let error = error.unwrap_or_else(|| Error::new(Kind::Upstream, MESSAGE));
        Self {
            fault: Fault::Failed("error_event"),
            is_too_long: false,
            verdict: Verdict {
                word: "error_event".into(),
                status: error.status().as_u16(),
            },
            told: Told::ours(error, MESSAGE),
            may_cost: true,
            refused_credential: None,
        }
    }

    /// The provider's own error, told in the dialect of the `caller`.
    pub fn by_itself(error: &Error, head: &Head, caller: Dialect) -> Self {
        let retry_after = head.retry_after.as_ref().and_then(delay);
        let retry_after = retry_after.or(error.retry_after);
        let status = error.status();
        Self {
            fault: fault_of(error, retry_after),
            is_too_long: error.kind == Kind::ContextTooLong,
            verdict: Verdict {
                word: status.as_u16().to_string().into(),
                status: status.as_u16(),
            },
            told: Told::Own(
                Box::new(own_error(error, head, caller)),
                Box::new(error.clone()),
            ),
            may_cost: false,
            refused_credential: None,
        }
    }

    /// The provider did not accept our credential, with this status.
    pub fn refused_credential(target: &Target, status: StatusCode) -> Self {
        target.provider.doubt();
        let name = &target.provider.name;
        let message = format!("the provider `{name}` does not accept the gateway's credential");
        let error = Error::new(Kind::Upstream, message);
        Self {
            fault: match status {
                StatusCode::FORBIDDEN => Fault::Forbidden,
                _ => Fault::Credential,
            },
            is_too_long: false,
            verdict: Verdict {
                word: status.as_u16().to_string().into(),
                status: error.status().as_u16(),
            },
            told: Told::ours(error, format!("status {status}")),
            may_cost: false,
            refused_credential: Some(status),
        }
    }
}

/// A provider's error in the caller's dialect.
fn own_error(error: &Error, head: &Head, caller: Dialect) -> Whole {
    let mut fields = passed_back(head);
    fields.retain(|(name, _)| *name != header::CONTENT_TYPE && *name != X_AMZN_ERRORTYPE);
    fields.extend(error_fields(caller, error));
    if let Some(delay) = error.retry_after
        && head.retry_after.is_none()
    {
        fields.push((header::RETRY_AFTER, seconds(delay)));
    }
    Whole::new(error.status(), fields, caller.error_body(error))
}

/// What a provider's own error says of it.
fn fault_of(error: &Error, retry_after: Option<Duration>) -> Fault {
    let status = error.status().as_u16();
    match (error.kind, status) {
        (Kind::ContextTooLong | Kind::ContentFiltered, _) => Fault::Caller,
        (Kind::InvalidApiKey | Kind::QuotaSpent, _) => Fault::Credential,
        // Another request was in the way of this one.
        (_, 409) => Fault::Failed("status"),
        _ => Fault::of_status(status, retry_after).unwrap_or(Fault::Failed("status")),
    }
}

/// The delay that a `retry-after` tells, in seconds or by a date.
fn delay(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let left = at.signed_duration_since(chrono::Utc::now());
    Some(left.to_std().unwrap_or_default())
}

/// A failure in words for the caller.
pub fn to_error(provider: &str, failure: &Failure) -> Error {
    let kind = match failure.kind {
        FailureKind::Timeout(_) => Kind::UpstreamTimeout,
        _ => Kind::Upstream,
    };
    Error::new(
        kind,
        format!("the provider `{provider}` gave no usable answer: {failure}"),
    )
}

/// The fields of an error's answer in a dialect, but for those of every answer.
pub fn error_fields(
    dialect: Dialect,
    error: &Error,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let json = HeaderValue::from_static("application/json");
    let is_bedrock = dialect == Dialect::Bedrock;
    let kind = is_bedrock.then(|| HeaderValue::from_static(bedrock::error_type(error)));
    let kind = kind.map(|kind| (X_AMZN_ERRORTYPE.clone(), kind));
    [(header::CONTENT_TYPE, json)].into_iter().chain(kind)
}

/// Whole seconds, rounded up, for `retry-after`.
pub fn seconds(delay: Duration) -> HeaderValue {
    HeaderValue::from(delay.as_millis().div_ceil(1000) as u64)
}
