//! What a caller is told when nobody has answered.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::attempt::Whole;
use super::failed::{Failed, Told};
use super::{End, Refusal};
use crate::dialect::{Error, Kind};
use crate::route::Ended;
use crate::route::health::Fault;

/// Why there is no answer yet.
#[derive(Default)]
pub struct Failures {
    /// Why a target could not be asked: the first.
    skipped: Option<Error>,
    /// What came of those that were.
    failed: Vec<(Arc<str>, Failed)>,
}

/// What the caller is told.
pub enum Word {
    /// A provider's own error.
    Own(Box<Whole>, Box<Error>),
    /// An error of ours.
    Ours(End),
}

impl Failures {
    /// A target could not be asked.
    pub fn skipped(&mut self, error: Error) {
        self.skipped.get_or_insert(error);
    }

    /// A target was asked, and failed.
    pub fn failed(&mut self, target: Arc<str>, failed: Failed) {
        self.failed.push((target, failed));
    }

    /// What the caller is told when nobody is left: of one target what that said, of several what became of each.
    pub fn last_word(mut self, ended: &Ended) -> Word {
        let Some((name, last)) = self.failed.pop() else {
            return Word::Ours(self.skipped.unwrap_or_else(|| unhealthy(ended)).into());
        };
        let is_only = self.failed.iter().all(|(other, _)| *other == name);
        if is_only || last.fault == Fault::Caller {
            return match last.told {
                Told::Own(own, error) => Word::Own(own, error),
                Told::Ours(refusal) => Word::Ours(End::Refused(refusal)),
            };
        }
        self.failed.push((name, last));
        Word::Ours(self.of_several(ended))
    }

    fn of_several(&self, ended: &Ended) -> End {
        let said = self.failed.iter();
        let said = said.map(|(name, failed)| format!("{name}: {}", failed.verdict.word));
        let said = said.collect::<Vec<_>>().join(", ");
        let details = self.failed.iter().map(|(name, failed)| match &failed.told {
            Told::Own(own, _) => format!("{name}: status {}", own.status),
            Told::Ours(refusal) => {
                let detail = refusal.detail.as_deref().unwrap_or_default();
                format!("{name}: {detail}")
            }
        });
        let detail = details.collect::<Vec<_>>().join("; ");
        let timed_out = StatusCode::GATEWAY_TIMEOUT.as_u16();
        let mut statuses = self.failed.iter().map(|(_, failed)| failed.verdict.status);
        let kind = match statuses.all(|status| status == timed_out) {
            true => Kind::UpstreamTimeout,
            false => Kind::Upstream,
        };
        let error = Error::new(kind, format!("no target gave a usable answer ({said})"));
        End::Refused(Box::new(Refusal {
            error: Error {
                retry_after: ended.retry_after.filter(|_| kind == Kind::Upstream),
                ..error
            },
            detail: Some(detail),
        }))
    }
}

/// Nobody may be asked at present.
fn unhealthy(ended: &Ended) -> Error {
    let (kind, message) = match ended.is_limited {
        true => (
            Kind::RateLimited,
            "no target of the model takes more for now, by what its provider has said",
        ),
        false => (
            Kind::NoHealthyTarget,
            "no target of the model is healthy at present",
        ),
    };
    let soon = Duration::from_secs(1);
    Error::new(kind, message).retry_after(ended.retry_after.unwrap_or(soon))
}
