//! The mark in the data of a stream where another target has gone on.

use serde_json::json;

use crate::dialect::{Framing, eventstream};

/// Says who goes on, and behind how much text.
pub struct Mark {
    /// A member of a JSON object.
    member: String,
    framing: Framing,
}

impl Mark {
    /// For a target that goes on behind so many bytes of text.
    pub fn new(target: &str, after: usize, framing: Framing) -> Self {
        let continued = json!({"continued": {"target": target, "after": after}});
        Self {
            member: format!(r#""tollgate":{continued}"#),
            framing,
        }
    }

    /// Puts it into the first event that `out` has behind so many bytes.
    pub fn put_into(&self, out: &mut Vec<u8>, before: usize) {
        match self.framing {
            Framing::Events | Framing::Array => self.put_into_object(out, before),
            Framing::EventStream => {
                let mut events = bytes::Bytes::from(out.split_off(before));
                if let Some(first) = eventstream::next(&mut events)
                    && let Ok(message) = eventstream::Message::parse(&first)
                {
                    let headers = message.headers().filter_map(|(name, value)| match value {
                        eventstream::Value::Text(text) => Some((name, text)),
                        // Ours are texts.
                        _ => None,
                    });
                    let headers: Vec<_> = headers.collect();
                    eventstream::write(out, &headers, |payload| {
                        let start = payload.len();
                        payload.extend_from_slice(message.payload);
                        self.put_into_object(payload, start);
                    });
                }
                out.extend_from_slice(&events);
            }
        }
    }

    fn put_into_object(&self, out: &mut Vec<u8>, from: usize) {
        let Some(brace) = memchr::memchr(b'{', &out[from..]) else {
            return;
        };
        let at = from + brace + 1;
        let comma = match out.get(at) {
            Some(b'}') | None => "",
            Some(_) => ",",
        };
        let member = [&self.member, comma].concat();
        out.splice(at..at, member.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = r#""tollgate":{"continued":{"target":"a/b","after":7}}"#;

    fn marked(framing: Framing, before: &[u8], event: &[u8]) -> Vec<u8> {
        let mut out = [before, event].concat();
        Mark::new("a/b", 7, framing).put_into(&mut out, before.len());
        out
    }

    #[test]
    fn the_first_event_is_marked() {
        for (framing, event, expected) in [
            (
                Framing::Events,
                "data: {\"a\":{}}\n\n",
                "data: {MARK,\"a\":{}}\n\n",
            ),
            (
                Framing::Events,
                "event: e\ndata: {}\n\ndata: {}\n\n",
                "event: e\ndata: {MARK}\n\ndata: {}\n\n",
            ),
            (Framing::Array, ",\r\n{\"a\":1}", ",\r\n{MARK,\"a\":1}"),
            (Framing::Events, "data: [DONE]\n\n", "data: [DONE]\n\n"),
        ] {
            let out = marked(framing, b"{}", event.as_bytes());
            let expected = ["{}", &expected.replace("MARK", MEMBER)].concat();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_binary_event_is_marked_and_whole() {
        let write = |payload: &[u8]| {
            let mut frame = Vec::new();
            let headers = [
                (":event-type", "contentBlockDelta"),
                (":message-type", "event"),
            ];
            eventstream::write(&mut frame, &headers, |out| out.extend_from_slice(payload));
            frame
        };
        let two = [write(br#"{"x":1}"#), write(b"{}")].concat();
        let expected = format!("{{{MEMBER},\"x\":1}}");
        let expected = [b"zz".to_vec(), write(expected.as_bytes()), write(b"{}")].concat();
        assert_eq!(marked(Framing::EventStream, b"zz", &two), expected);
    }
}
