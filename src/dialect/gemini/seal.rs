//! Seals on thoughts, as `thoughtSignature` holds them.
//!
//! The field is `bytes` to Google and to its SDKs, which read it as base64 and may write it back in the other alphabet.
//! So a seal of another provider's goes through a client of Gemini's as base64 of what [`Signature::shown_to`] writes,
//! with the rest of what a thought of that provider's is known by before it: `redacted;`, `id=…;`.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::dialect::Dialect;
use crate::dialect::common::{Signature, Thinking};

/// What Google documents for calls that no model of its own made: a seal that is not checked, instead of the one that
/// Gemini 3 demands on the first call of a turn.
pub const UNCHECKED: &str = "skip_thought_signature_validator";

/// A seal with what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The seal itself.
    pub signature: Signature,
    /// Responses' id of the item.
    pub id: Option<String>,
    /// The thought itself is in the seal.
    pub is_redacted: bool,
}

impl Seal {
    /// Reads a caller's `thoughtSignature`. None for the seal that means nothing.
    pub fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text == UNCHECKED {
            return None;
        }
        Some(Self::wrapped(text).unwrap_or_else(|| Self::own(text)))
    }

    /// Gemini's own, as a provider writes it.
    pub fn own(text: &str) -> Self {
        Self {
            signature: Signature {
                origin: Dialect::Gemini,
                value: text.to_owned(),
            },
            id: None,
            is_redacted: false,
        }
    }

    /// That of `thinking`.
    pub fn of(thinking: &Thinking) -> Option<Self> {
        Some(Self {
            signature: thinking.signature.clone()?,
            id: thinking.id.clone(),
            is_redacted: thinking.is_redacted,
        })
    }

    /// The thought with this seal.
    pub fn on(self, text: String) -> Thinking {
        Thinking {
            text,
            signature: Some(self.signature),
            id: self.id,
            is_redacted: self.is_redacted,
        }
    }

    /// Whether a model of Google's made it.
    pub fn is_geminis(&self) -> bool {
        self.signature.origin == Dialect::Gemini
    }

    /// What to write into a caller's answer.
    pub fn shown(&self) -> String {
        if self.is_geminis() {
            return self.signature.value.clone();
        }
        let mut text = String::new();
        if self.is_redacted {
            text.push_str(REDACTED);
        }
        if let Some(id) = self.id.as_deref().filter(|id| !id.contains(';')) {
            text.extend([ID, id, ";"]);
        }
        text.push_str(&self.signature.shown_to(Dialect::Gemini));
        STANDARD.encode(text)
    }

    fn wrapped(text: &str) -> Option<Self> {
        // The first three bytes of every wrapped seal, so that Gemini's own, which are long, are not decoded.
        let is_near = ["cmVk", "aWQ9", "dGcx"]
            .iter()
            .any(|lead| text.starts_with(lead));
        if !is_near {
            return None;
        }
        let decoded = EITHER
            .decode(text.replace('-', "+").replace('_', "/"))
            .ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (is_redacted, rest) = match decoded.strip_prefix(REDACTED) {
            Some(rest) => (true, rest),
            None => (false, &*decoded),
        };
        let (id, rest) = match rest.strip_prefix(ID).and_then(|rest| rest.split_once(';')) {
            Some((id, rest)) => (Some(id.to_owned()), rest),
            None => (None, rest),
        };
        let signature = Signature::read(Dialect::Gemini, rest);
        (signature.origin != Dialect::Gemini).then_some(Self {
            signature,
            id,
            is_redacted,
        })
    }
}

impl From<Signature> for Seal {
    fn from(signature: Signature) -> Self {
        Self {
            signature,
            id: None,
            is_redacted: false,
        }
    }
}

const REDACTED: &str = "redacted;";
const ID: &str = "id=";

/// With and without padding.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn a_foreign_seal_survives_a_client_that_reads_base64() {
        for (origin, id, is_redacted) in [
            (Dialect::Anthropic, None, false),
            (Dialect::Anthropic, None, true),
            (Dialect::Responses, Some("rs_1".to_owned()), false),
        ] {
            let seal = Seal {
                signature: Signature {
                    origin,
                    value: "a+/b==?>~".into(),
                },
                id,
                is_redacted,
            };
            let shown = seal.shown();
            let bytes = STANDARD.decode(&shown).unwrap();
            for echoed in [
                shown,
                URL_SAFE.encode(&bytes),
                URL_SAFE_NO_PAD.encode(&bytes),
            ] {
                assert_eq!(Seal::read(&echoed), Some(seal.clone()));
            }
        }
    }

    #[test]
    fn geminis_own_seal_is_left_as_it_is() {
        for text in ["EpwI_-", "dGcxOm5v", "cmVk"] {
            assert_eq!(Seal::read(text), Some(Seal::own(text)));
            assert_eq!(Seal::own(text).shown(), text);
        }
        assert_eq!(Seal::read(UNCHECKED), None);
        assert_eq!(Seal::read(""), None);
    }
}
