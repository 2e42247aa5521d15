//! Thoughts and their seals: `reasoning_details`, as OpenRouter defines it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::dialect::common::{Signature, Thinking};

/// An entry of `reasoning_details`.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Detail<'a> {
    #[serde(rename = "type", default)]
    pub kind: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// A thought in clear, which may have a seal.
pub(super) const TEXT: &str = "reasoning.text";

/// A summary of a thought. It has no seal of its own, but must come back as what it was.
const SUMMARY: &str = "reasoning.summary";

/// A thought that only its seal holds.
const ENCRYPTED: &str = "reasoning.encrypted";

/// What stands before the format of a summary.
const SUMMARY_MARK: &str = "summary@";

impl<'a> Detail<'a> {
    /// What is thought in it.
    pub(super) fn take_text(&mut self) -> String {
        let text = self.text.take().or(self.summary.take());
        text.unwrap_or_default().into_owned()
    }

    /// The seal on it, and whether it hides the thought itself. A summary has none before it is whole.
    pub(super) fn seal(&self) -> Option<(Signature, bool)> {
        let (value, is_redacted) = match &*self.kind {
            ENCRYPTED => (self.data.as_deref()?, true),
            TEXT => (self.signature.as_deref()?, false),
            _ => return None,
        };
        let signature = Signature::read(Dialect::Chat, value);
        if signature.origin != Dialect::Chat {
            return Some((signature, is_redacted));
        }
        let signature = Signature {
            origin: Dialect::Chat,
            value: sealed(self.format.as_deref(), value),
        };
        Some((signature, is_redacted))
    }

    /// What stands for the seal of a summary, so that its kind and format come back.
    pub(super) fn summary_seal(&self) -> Option<Signature> {
        (self.kind == SUMMARY).then(|| {
            let format = self.format.as_deref().unwrap_or_default();
            Signature {
                origin: Dialect::Chat,
                value: [SUMMARY_MARK, format, ":"].concat(),
            }
        })
    }

    /// An entry for a thought: for a caller, who is shown every seal, or for a server, which gets its own.
    pub(super) fn of(thinking: &'a Thinking, index: usize) -> Self {
        let mut detail = Self {
            kind: Cow::Borrowed(TEXT),
            id: thinking.id.as_deref().map(Cow::Borrowed),
            index: Some(index as u64),
            ..Self::default()
        };
        let text = Cow::Borrowed(thinking.text.as_str());
        let Some(signature) = &thinking.signature else {
            detail.text = Some(text);
            return detail;
        };
        let (mark, seal) = shown(signature);
        if let Some(format) = mark.and_then(|mark| mark.strip_prefix(SUMMARY_MARK)) {
            detail.kind = Cow::Borrowed(SUMMARY);
            detail.summary = Some(text);
            detail.format = (!format.is_empty()).then_some(Cow::Borrowed(format));
            return detail;
        }
        detail.format = mark.map(Cow::Borrowed);
        if thinking.is_redacted {
            detail.kind = Cow::Borrowed(ENCRYPTED);
            detail.data = Some(seal);
        } else {
            detail.text = (!text.is_empty()).then_some(text);
            detail.signature = Some(seal);
        }
        detail
    }
}

/// A server's own seal with the format that it belongs to, in one text.
fn sealed(format: Option<&str>, seal: &str) -> String {
    match format {
        None if !seal.contains(':') => seal.to_owned(),
        format => [format.unwrap_or_default(), ":", seal].concat(),
    }
}

/// A seal's format, and the seal as a caller or its own server sees it.
fn shown(signature: &Signature) -> (Option<&str>, Cow<'_, str>) {
    let format = match signature.origin {
        Dialect::Chat => {
            return match signature.value.split_once(':') {
                Some((format, seal)) => {
                    ((!format.is_empty()).then_some(format), Cow::Borrowed(seal))
                }
                None => (None, Cow::Borrowed(&signature.value)),
            };
        }
        Dialect::Anthropic => Some("anthropic-claude-v1"),
        Dialect::Gemini => Some("google-gemini-v1"),
        Dialect::Responses => Some("openai-responses-v1"),
        Dialect::Completions | Dialect::Bedrock | Dialect::Cohere => None,
    };
    (format, Cow::Owned(signature.shown_to(Dialect::Chat)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an entry as the reader of streams does.
    fn read(detail: &str) -> Thinking {
        let mut detail: Detail<'_> = serde_json::from_str(detail).unwrap();
        let text = detail.take_text();
        let seal = detail.seal();
        Thinking {
            text,
            is_redacted: seal.as_ref().is_some_and(|(_, is_redacted)| *is_redacted),
            signature: seal
                .map(|(signature, _)| signature)
                .or(detail.summary_seal()),
            id: detail.id.map(Cow::into_owned),
        }
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        for entry in [
            r#"{"type":"reasoning.text","text":"so","signature":"EqQ=","format":"anthropic-claude-v1","index":0}"#,
            r#"{"type":"reasoning.text","text":"so","index":0}"#,
            r#"{"type":"reasoning.text","signature":"a:b","index":0}"#,
            r#"{"type":"reasoning.summary","summary":"so","format":"openai-responses-v1","index":0}"#,
            r#"{"type":"reasoning.encrypted","data":"gAAA","id":"rs_1","format":"openai-responses-v1","index":0}"#,
        ] {
            let thinking = read(entry);
            let written = serde_json::to_string(&Detail::of(&thinking, 0)).unwrap();
            assert_eq!(written, entry);
            assert_eq!(read(&written), thinking);
        }
    }

    #[test]
    fn anothers_seal_comes_back_through_a_client_of_this_dialect() {
        for origin in [Dialect::Anthropic, Dialect::Gemini, Dialect::Responses] {
            for is_redacted in [false, true] {
                let thinking = Thinking {
                    text: if is_redacted { "" } else { "so" }.into(),
                    signature: Some(Signature {
                        origin,
                        value: "a:b=".into(),
                    }),
                    id: Some("rs_1".into()),
                    is_redacted,
                };
                let written = serde_json::to_string(&Detail::of(&thinking, 3)).unwrap();
                assert_eq!(read(&written), thinking, "{written}");
            }
        }
    }
}
