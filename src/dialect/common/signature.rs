//! Seals on thoughts.

use crate::dialect::Dialect;

/// A provider's seal on a thought: opaque, and of use only where it was made.
///
/// In a caller's dialect that is not `origin`'s own it is written with its origin before it, so that it can come back
/// through any client and is sent only to where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whose it is: [`Dialect::Anthropic`] also for Claude at Bedrock and Vertex, which share seals;
    /// [`Dialect::Responses`] for OpenAI's encrypted content; [`Dialect::Gemini`]; [`Dialect::Chat`] for what an
    /// OpenAI-compatible server sealed.
    pub origin: Dialect,
    /// As its origin wrote it.
    pub value: String,
}

impl Signature {
    const LEAD: &'static str = "tg1:";

    /// Reads what stands in a message of `dialect`, whose own seals are `dialect`'s.
    pub fn read(dialect: Dialect, text: &str) -> Self {
        let wrapped = text
            .strip_prefix(Self::LEAD)
            .and_then(|rest| rest.split_once(':'));
        if let Some((origin, value)) = wrapped
            && let Some(origin) = Dialect::named(origin)
        {
            return Self {
                origin,
                value: value.to_owned(),
            };
        }
        Self {
            origin: dialect,
            value: text.to_owned(),
        }
    }

    /// What to write into an answer for a caller who speaks `dialect`.
    pub fn shown_to(&self, dialect: Dialect) -> String {
        match self.origin == dialect {
            true => self.value.clone(),
            false => [Self::LEAD, self.origin.name(), ":", &self.value].concat(),
        }
    }

    /// The seal for a provider whose seals are `origin`'s; None if it is another's.
    pub fn sent_to(&self, origin: Dialect) -> Option<&str> {
        (self.origin == origin).then_some(self.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_through_a_foreign_client() {
        let seal = Signature {
            origin: Dialect::Gemini,
            value: "a:b==".into(),
        };
        assert_eq!(seal.shown_to(Dialect::Gemini), "a:b==");
        let shown = seal.shown_to(Dialect::Anthropic);
        assert_eq!(Signature::read(Dialect::Anthropic, &shown), seal);
        assert_eq!(seal.sent_to(Dialect::Anthropic), None);
        let own = Signature::read(Dialect::Anthropic, "EqQBCg==");
        assert_eq!(own.sent_to(Dialect::Anthropic), Some("EqQBCg=="));
        let odd = Signature::read(Dialect::Anthropic, "tg1:nobody:x");
        assert_eq!(odd.value, "tg1:nobody:x");
    }
}
