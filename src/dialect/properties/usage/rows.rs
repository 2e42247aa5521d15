//! Usages of which somebody else has worked out what they mean.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::dialect::common::Usage;

/// A usage of a real answer. The same one is told under several providers.
#[derive(Deserialize)]
struct Row {
    provider: String,
    api: String,
    body: Value,
    /// What it means, by the parts' names.
    usage: BTreeMap<String, u64>,
}

/// What whoever worked the rows out does not read by some APIs, and we do.
const UNREAD: &[(&str, &str, &[&str])] = &[
    ("aws", "anthropic", CLAUDE),
    ("azure", "anthropic", CLAUDE),
    ("google", "anthropic", CLAUDE),
    ("azure", "chat", &["cache_write_tokens"]),
];

const CLAUDE: &[&str] = &[
    "cache_write_5m_tokens",
    "output_reasoning_tokens",
    "web_searches",
];

#[test]
fn every_usage_means_what_it_is_known_to_mean() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/prices/usages-dev.jsonl"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recordings");
        return;
    };
    let mut excused = BTreeMap::<String, u64>::new();
    let mut count = 0;
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).expect("a row");
        let body = row.body.to_string();
        let api = (row.provider.as_str(), row.api.as_str());
        let read = read(api, body.as_bytes()).unwrap_or_else(|| panic!("nothing in {body}"));
        let unread = UNREAD
            .iter()
            .find(|(provider, flavor, _)| api == (*provider, *flavor));
        let unread = unread.map_or(&[][..], |(_, _, parts)| parts);
        for (name, part) in Usage::NAMES.iter().zip(read.parts()) {
            let known = row.usage.get(*name).copied().unwrap_or(0);
            if known == 0 && part > 0 && unread.contains(name) {
                *excused.entry(format!("{api:?} {name}")).or_default() += 1;
                continue;
            }
            assert_eq!(part, known, "{name} of {api:?} {body}");
        }
        let names = row.usage.keys();
        let unknown: Vec<_> = names
            .filter(|name| !Usage::NAMES.contains(&&***name))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        count += 1;
    }
    for (what, count) in excused {
        eprintln!("{count} read although the row does not say it: {what}");
    }
    eprintln!("{count} rows");
    assert!(count > 0);
}

fn read(api: (&str, &str), body: &[u8]) -> Option<Usage> {
    let dialect = match api {
        ("google", "default") => Dialect::Gemini,
        ("anthropic" | "minimax", "default") | (_, "anthropic") => Dialect::Anthropic,
        (_, "responses") => Dialect::Responses,
        ("aws", "default") => Dialect::Bedrock,
        ("cohere", _) => Dialect::Cohere,
        _ => Dialect::Chat,
    };
    let usage = dialect.usage(body)?;
    match api {
        // The rows hold usages of chats under this name, too; embeddings have no more than this.
        (_, "embeddings") => Some(Usage {
            input_tokens: usage.input_tokens,
            ..Usage::default()
        }),
        _ => Some(usage),
    }
}
