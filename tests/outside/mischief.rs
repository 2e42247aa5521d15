//! What callers get wrong, or do on purpose: bytes on a connection, and the answer that they must get.

use crate::harness::in_time;
use crate::misdeeds::*;
use crate::raw::Connection;

/// The `server:` section that the table below is about.
pub const SERVER: &str = "server: { max_body: 1MiB, head_timeout: 1s, body_timeout: 1s }";

/// The target of requests that are in order but for the mischief.
pub const MODEL: &str = "fault/fine";

/// One kind of mischief.
pub struct Mischief {
    /// What it is.
    pub name: &'static str,
    /// All that the caller sends before it waits for the answer.
    pub sent: fn() -> Vec<u8>,
    /// The status and the code that it must get.
    pub refusal: (u16, &'static str),
    /// Must the connection be closed after the answer?
    pub closes: bool,
    /// How many of a thousand repetitions are of this kind; few where each one waits for a timeout.
    pub share: usize,
}

const TOO_SLOW: (u16, &str) = (408, "request_timeout");
const HEAD_TOO_LARGE: (u16, &str) = (431, "headers_too_large");
const TOO_LARGE: (u16, &str) = (413, "request_too_large");
const INVALID: (u16, &str) = (400, "invalid_request");
const UNSUPPORTED: (u16, &str) = (415, "unsupported_media_type");

/// Every kind that is nothing but bytes and an answer.
pub const MISCHIEF: [Mischief; 27] = [
    mischief("never speaks", Vec::new, TOO_SLOW)
        .closing()
        .rare(),
    mischief("half a head", half_a_head, TOO_SLOW)
        .closing()
        .rare(),
    mischief("half a body", half_a_body, TOO_SLOW)
        .closing()
        .rare(),
    mischief("half a chunked body", half_a_chunked_body, TOO_SLOW)
        .closing()
        .rare(),
    mischief("101 header fields", || fields(101), HEAD_TOO_LARGE),
    mischief("over 64 KiB of head", || long_head(70_000), HEAD_TOO_LARGE),
    mischief("an endless head", endless_head, HEAD_TOO_LARGE).closing(),
    mischief("too large by its length", declared_too_large, TOO_LARGE),
    mischief("too large in chunks", chunked_too_large, TOO_LARGE)
        .closing()
        .rare(),
    mischief("64 MiB when unpacked", gzip_bomb, TOO_LARGE).rare(),
    mischief("half a gzip body", half_a_gzip, INVALID),
    mischief("a length and chunks", length_and_chunked, INVALID).closing(),
    mischief("two lengths", two_lengths, INVALID).closing(),
    mischief("a length in words", length_in_words, INVALID).closing(),
    mischief("a chunk size in words", chunk_size_in_words, INVALID).closing(),
    mischief("bad UTF-8", bad_utf8, INVALID),
    mischief("100,000 brackets", brackets, INVALID),
    mischief("a field of 100,000 brackets", deep_field, INVALID),
    mischief("a repeated field", repeated_field, INVALID),
    mischief("no JSON", no_json, INVALID),
    mischief("an empty body", empty_body, INVALID),
    mischief("form data", form_data, UNSUPPORTED),
    mischief("an unknown encoding", unknown_encoding, UNSUPPORTED),
    mischief("no key", no_key, (401, "invalid_api_key")),
    mischief("an unknown model", unknown_model, (404, "model_not_found")),
    mischief("an unknown path", unknown_path, (404, "unknown_endpoint")),
    mischief("a wrong method", wrong_method, (405, "unknown_endpoint")),
];

const fn mischief(
    name: &'static str,
    sent: fn() -> Vec<u8>,
    refusal: (u16, &'static str),
) -> Mischief {
    Mischief {
        name,
        sent,
        refusal,
        closes: false,
        share: 20,
    }
}

// === impl Mischief ===

impl Mischief {
    const fn closing(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }

    const fn rare(self) -> Self {
        Self { share: 8, ..self }
    }

    /// Does it, and judges the answer.
    pub async fn commit(&self, mut connection: Connection) -> Result<(), String> {
        let (name, (status, code)) = (self.name, self.refusal);
        // The gateway may answer and close while we are still sending: the answer counts.
        let _ = in_time(name, connection.send((self.sent)())).await?;
        let answer = in_time(name, connection.answer()).await?;
        let answer = answer.map_err(|error| format!("{name}: {error}"))?;
        let body = String::from_utf8_lossy(&answer.body);
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if (answer.status, &json["error"]["code"]) != (status, &code.into()) {
            return Err(format!(
                "{name}: expected {status} {code}: {} {body}",
                answer.status
            ));
        }
        if !json["error"]["type"].is_string() || answer.header("x-request-id").is_none() {
            return Err(format!(
                "{name}: not our envelope: {:?} {body}",
                answer.headers
            ));
        }
        if self.closes {
            let more = in_time(name, connection.until_closed()).await?;
            if !more.is_empty() {
                return Err(format!(
                    "{name}: more after the answer: {}",
                    String::from_utf8_lossy(&more)
                ));
            }
        }
        Ok(())
    }
}
