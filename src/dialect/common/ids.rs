//! Ids that are valid in another dialect than the one they were made in.

use std::borrow::Cow;

use crate::dialect::fnv::hash;

/// `id`, if it is of `[A-Za-z0-9_-]` and at most `longest` characters; else an id made of it, always the same.
pub fn fitted_id(id: &str, longest: usize) -> Cow<'_, str> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= longest && id.bytes().all(is_fit) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{:016x}", hash(id.as_bytes())))
}

/// The id of the `call`-th tool call in the answer `answer`, for providers that give calls none.
pub fn derived_call_id(answer: &str, call: u32) -> String {
    format!("call_{:016x}_{call}", hash(answer.as_bytes()))
}

/// `id` with `prefix` before it, unless it is there already: `chatcmpl-`, `msg_`, `resp_`.
pub fn prefixed_id(prefix: &str, id: &str) -> String {
    match id.starts_with(prefix) {
        true => id.to_owned(),
        false => [prefix, id].concat(),
    }
}

/// An id that stands for `text` and does not say it, always the same.
pub fn hashed_id(prefix: &str, text: &str) -> String {
    format!("{prefix}{:016x}", hash(text.as_bytes()))
}

/// `name` with `_` for what is not of `[A-Za-z0-9_-]`, cut, and with a hash of the whole behind it: at most `longest`
/// characters, always the same.
pub fn fitted_name(name: &str, longest: usize) -> String {
    let fit = |char: char| match char.is_ascii_alphanumeric() || "_-".contains(char) {
        true => char,
        false => '_',
    };
    let hash = format!("_{:016x}", hash(name.as_bytes()));
    let room = longest.saturating_sub(hash.len());
    let lead: String = name.chars().take(room).map(fit).collect();
    lead + &hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unfit_id_is_replaced() {
        assert_eq!(fitted_id("toolu_01-a", 64), "toolu_01-a");
        let replaced = fitted_id("a:b", 64).into_owned();
        assert_eq!(replaced, fitted_id("a:b", 64));
        assert_ne!(replaced, fitted_id("a:c", 64));
        assert_eq!(fitted_id(&replaced, 40), replaced);
        assert!(fitted_id(&"x".repeat(65), 64).len() <= 40);
        assert_ne!(derived_call_id("r", 0), derived_call_id("r", 1));
    }
}
