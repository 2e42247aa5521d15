//! Names in messages: how a path is written, and which name may have been meant.

/// Names longer than this are not compared: the cost grows with the product of the lengths.
const COMPARED_CHARS_MAX: usize = 64;

/// The candidate that `name` is most likely a misspelling of: at most one edit in three characters away, but not all of
/// them, however they are cased.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > COMPARED_CHARS_MAX {
        return None;
    }
    let edits_max = (length / 3).max(1);
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= COMPARED_CHARS_MAX)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&name, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(edits, _)| *edits <= edits_max && *edits < length)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// A path as messages write it: `teams.search.keys[0]`, `models."openai/*".target`.
pub fn dotted(path: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for segment in path {
        let segment = segment.as_ref();
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            text += &format!("[{segment}]");
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if !segment.is_empty() && segment.chars().all(plain) {
            text += segment;
        } else {
            text += &format!("\"{segment}\"");
        }
    }
    text
}

/// `a`, `b` or `c`, out of its parts.
pub(super) fn alternatives(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_name() {
        let names = ["timeout", "target", "retry"];
        assert_eq!(nearest("tmeout", names), Some("timeout"));
        assert_eq!(nearest("Retry", names), Some("retry"));
        assert_eq!(nearest("tagret", names), Some("target"));
    }

    #[test]
    fn an_unrelated_or_endless_name_finds_none() {
        assert_eq!(nearest("budget", ["timeout", "target"]), None);
        assert_eq!(nearest("x", ["n"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["timeout"]), None);
    }

    #[test]
    fn paths_quote_what_would_read_wrongly() {
        assert_eq!(
            dotted(&["models", "openai/*", "target"]),
            "models.\"openai/*\".target"
        );
        assert_eq!(
            dotted(&["teams", "search", "keys", "0", "name"]),
            "teams.search.keys[0].name"
        );
        assert_eq!(dotted(&["models", "gpt-4.1"]), "models.\"gpt-4.1\"");
        assert_eq!(dotted(&[""; 0]), "");
    }
}
