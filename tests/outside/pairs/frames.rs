//! AWS's event stream: binary messages with two checksums.

use serde_json::Value;

use super::complaints::Complaints;

/// One message.
pub struct Message {
    /// Its `:event-type` or `:exception-type`.
    pub name: String,
    /// Is it an exception?
    pub is_exception: bool,
    /// Its payload.
    pub json: Value,
}

/// The message of an event.
pub fn event(name: &str, json: &Value) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, json)
}

/// Reads every message; complains of what does not hold together.
pub fn messages(mut bytes: &[u8], complaints: &mut Complaints) -> Vec<Message> {
    const LEAST: usize = 16;
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let total = number(bytes, 0);
        if bytes.len() < LEAST || total < LEAST || total > bytes.len() {
            complaints.add(format!(
                "a message of {total} bytes in {} bytes",
                bytes.len()
            ));
            break;
        }
        let (message, rest) = bytes.split_at(total);
        bytes = rest;
        let sums = [(8, 8), (total - 4, total - 4)];
        for (end, at) in sums {
            let sum = crc32fast::hash(&message[..end]) as usize;
            complaints.unless(sum == number(message, at), || {
                format!("the checksum over {end} bytes is wrong")
            });
        }
        let end = 12 + number(message, 4);
        if end > total - 4 {
            complaints.add("headers longer than their message");
            break;
        }
        let headers = headers(&message[12..end], complaints);
        let header = |name: &str| headers.iter().find(|(present, _)| present == name);
        let text = |name: &str| header(name).map_or("", |(_, value)| value.as_str());
        let is_exception = text(":message-type") == "exception";
        complaints.unless(is_exception || text(":message-type") == "event", || {
            format!("the message type {:?}", text(":message-type"))
        });
        complaints.equal(
            "the content type",
            &text(":content-type"),
            &"application/json",
        );
        let name = text(if is_exception {
            ":exception-type"
        } else {
            ":event-type"
        })
        .to_owned();
        complaints.unless(!name.is_empty(), || "a message without its type".to_owned());
        messages.push(Message {
            json: complaints.json(&name, &message[end..total - 4]),
            name,
            is_exception,
        });
    }
    messages
}

const STRING: u8 = 7;

fn message(headers: &[(&str, &str)], json: &Value) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("a short name"));
        head.extend_from_slice(name.as_bytes());
        head.push(STRING);
        let length = u16::try_from(value.len()).expect("a short value");
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let payload = json.to_string();
    let length = |length: usize| {
        u32::try_from(length)
            .expect("a small message")
            .to_be_bytes()
    };
    let mut message = Vec::new();
    message.extend_from_slice(&length(16 + head.len() + payload.len()));
    message.extend_from_slice(&length(head.len()));
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&head);
    message.extend_from_slice(payload.as_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

fn headers(mut bytes: &[u8], complaints: &mut Complaints) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    while let Some((name_length, rest)) = bytes.split_first() {
        let name_length = usize::from(*name_length);
        let value_at = name_length + 3;
        if rest.len() < value_at || rest[name_length] != STRING {
            complaints.add("a header that is no string");
            break;
        }
        let length = usize::from(u16::from_be_bytes([rest[value_at - 2], rest[value_at - 1]]));
        if rest.len() < value_at + length {
            complaints.add("a header longer than the headers");
            break;
        }
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        headers.push((
            text(&rest[..name_length]),
            text(&rest[value_at..value_at + length]),
        ));
        bytes = &rest[value_at + length..];
    }
    headers
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_be_bytes(four.unwrap_or_default()) as usize
}
