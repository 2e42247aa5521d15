//! Recorded provider traffic, for the tests of every dialect.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// One exchange with a provider.
#[derive(Deserialize)]
pub struct Recorded {
    /// The provider's name.
    pub provider: String,
    /// The path with ids starred.
    pub endpoint: String,
    /// The path as it was.
    pub path: String,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// The body that was sent.
    pub request: Value,
    /// The answer's status.
    pub status: u16,
    response_kind: String,
    response: Value,
}

impl Recorded {
    /// The answer's bytes.
    pub fn body(&self) -> Vec<u8> {
        match (self.response_kind.as_str(), &self.response) {
            ("text", Value::String(text)) => text.clone().into_bytes(),
            ("base64", Value::String(text)) => BASE64_STANDARD.decode(text).unwrap_or_default(),
            (_, value) => value.to_string().into_bytes(),
        }
    }
}

/// Every recording, or none where they are not at hand.
pub fn all() -> &'static [Recorded] {
    static ALL: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/recordings/dev.jsonl"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: no recordings");
            return Vec::new();
        };
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a recording"))
            .collect()
    });
    &ALL
}
