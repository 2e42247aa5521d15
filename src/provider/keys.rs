//! Several keys of one provider: it is a [`Provider`] for each of them, of the same name and with the same connections.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use super::section::{DialectName, ProviderSection};
use super::{Kind, Provider};
use crate::config::Document;

/// The most keys of one provider.
const KEYS_MAX: usize = 10;

/// Is divided evenly by any number of keys, and can be multiplied by any weight.
const KEY_SHARES: u32 = 2520;

impl Provider {
    /// The same, called with another key; connections are shared.
    pub(super) fn with_key(
        &self,
        number: usize,
        (name, value): &(HeaderName, HeaderValue),
    ) -> Self {
        let mut other = self.clone();
        other.key = Some(number);
        if let Kind::Remote(remote) = &mut other.kind {
            // Where the configuration says the field itself, no key is sent.
            let keys = remote.fields.iter_mut();
            let keys = keys.filter(|(field, own)| field == name && own.is_sensitive());
            keys.for_each(|(_, own)| *own = value.clone());
        }
        other
    }

    /// The provider with each of its keys.
    pub fn with_each_key(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.others.iter().map(Arc::as_ref))
    }

    /// The share of its requests that each of its keys has: in all it is the same, however many there are.
    pub fn share(&self) -> u32 {
        KEY_SHARES / (1 + self.others.len() as u32)
    }
}

/// The fields that hold the provider's keys, one each.
pub(super) fn keys(
    name: &str,
    section: &ProviderSection,
    document: &mut Document,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let several = section.api_keys.iter().flatten().enumerate();
    let several = several.map(|(at, key)| (Some(at.to_string()), key));
    let single = section.api_key.iter().map(|key| (None, key));
    let mut fields = Vec::new();
    for (at, key) in single.chain(several) {
        let bare = |field| (HeaderName::from_static(field), key.expose().to_owned());
        let (field, text) = match section.dialect {
            DialectName::OpenAi if section.azure.is_some() => bare("api-key"),
            DialectName::Anthropic if section.vertex.is_none() => bare("x-api-key"),
            DialectName::Gemini => bare("x-goog-api-key"),
            _ => (header::AUTHORIZATION, format!("Bearer {}", key.expose())),
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            let path = match &at {
                Some(at) => &["providers", name, "api_keys", at][..],
                None => &["providers", name, "api_key"],
            };
            let word = path[2];
            let message = format!("`{word}` holds a character that no HTTP header may");
            document.error(path, message);
            return None;
        };
        value.set_sensitive(true);
        fields.push((field, value));
    }
    Some(fields)
}

/// Several keys that are too few, too many, or not several.
pub(super) fn check_keys(name: &str, section: &ProviderSection, document: &mut Document) {
    let Some(keys) = &section.api_keys else {
        return;
    };
    let path = ["providers", name, "api_keys"];
    if section.api_key.is_some() {
        document
            .error_at_key(&path, "`api_key` and `api_keys` stand beside each other")
            .help("`api_keys` may hold all of them");
    }
    if !(1..=KEYS_MAX).contains(&keys.len()) {
        let message = format!("`api_keys` holds one key to {KEYS_MAX}");
        document.error(&path, message);
    }
    if let Some(at) = (1..keys.len()).find(|at| keys[..*at].contains(&keys[*at])) {
        let at = at.to_string();
        let path = [&path[..], &[&at]].concat();
        document.error(&path, "this key is in the list already");
    }
}
