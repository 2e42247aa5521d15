//! `invalid_json`: JSON was asked for, and an application could not read the answer.

use serde_json::Value;

use super::Outcome;
use super::look::Look;
use super::schema::{self, Fit};
use crate::dialect::Dialect;
use crate::dialect::common::{Format, Request};

/// Fences around JSON are a fault: who asked for JSON parses the text as it is.
pub(super) fn judge(look: &Look<'_>, request: &Request) -> Outcome {
    if request.format == Format::Text || !look.calls.is_empty() {
        return Outcome::Passed;
    }
    if look.is_cut {
        return Outcome::Unknown;
    }
    let Ok(value) = serde_json::from_str::<Value>(&look.text) else {
        return Outcome::Fired;
    };
    match &request.format {
        Format::Schema { schema, .. } => schema::fit(schema, &value).into(),
        // Of Gemini, `application/json` may be a list.
        _ => Outcome::fired_if(!value.is_object() && request.source != Dialect::Gemini),
    }
}

impl From<Fit> for Outcome {
    fn from(fit: Fit) -> Self {
        match fit {
            Fit::Fits => Self::Passed,
            Fit::Misfits => Self::Fired,
            Fit::Unknown => Self::Unknown,
        }
    }
}
