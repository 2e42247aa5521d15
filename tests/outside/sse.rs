//! Server-sent events, read as a browser reads them.

use serde_json::Value;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its `event:` field, where there is one.
    pub name: Option<String>,
    /// Its `data:` lines.
    pub data: String,
}

/// The complete events of a stream; comments are none, and what follows the last blank line is none either.
pub fn events(text: &str) -> Vec<Event> {
    let text = text.replace("\r\n", "\n");
    let mut blocks: Vec<&str> = text.split("\n\n").collect();
    blocks.pop();
    blocks.into_iter().filter_map(event).collect()
}

impl Event {
    /// Its data as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    /// Is this `data: [DONE]`?
    pub fn is_done(&self) -> bool {
        self.data == "[DONE]"
    }

    /// The chunk that carries nothing but usage.
    pub fn is_usage_only(&self) -> bool {
        let json = self.json();
        json["choices"].as_array().is_some_and(Vec::is_empty) && json["usage"].is_object()
    }
}

fn event(block: &str) -> Option<Event> {
    let field = |line: &str, name: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    let data: Vec<String> = block
        .lines()
        .filter_map(|line| field(line, "data"))
        .collect();
    let name = block.lines().find_map(|line| field(line, "event"));
    (!data.is_empty()).then(|| Event {
        name,
        data: data.join("\n"),
    })
}
