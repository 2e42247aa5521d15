//! As much HTTP/1.1 as a load needs: requests made once, and where an answer ends.

use std::io;
use std::net::SocketAddr;

/// What a request is sent to.
pub const PATH: &str = "/v1/chat/completions";

/// Most header fields of a head.
const FIELDS_MAX: usize = 64;

/// A chat request of about 1 KiB, head and body, as an SDK would send it.
pub fn request(address: SocketAddr, key: &str, model: &str, stream: bool) -> Vec<u8> {
    let sentence =
        "The quick brown fox jumps over the lazy dog while the gateway counts its tokens. ";
    let body = format!(
        concat!(
            r#"{{"model":"{model}","messages":[{{"role":"system","content":"You are a helpful assistant."}},"#,
            r#"{{"role":"user","content":"{prompt}"}}],"temperature":0.7,"max_completion_tokens":256,"stream":{stream}}}"#
        ),
        model = model,
        prompt = sentence.repeat(10),
        stream = stream,
    );
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\naccept: application/json\r\nuser-agent: side-by-side\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A head that has arrived: how long it is and what follows it.
pub struct Head {
    /// The bytes of the head itself.
    pub length: usize,
    /// The status of an answer, 0 of a request.
    pub status: u16,
    /// How the body ends.
    pub body: Body,
}

/// How a body ends.
#[derive(Clone, Copy)]
pub enum Body {
    /// After so many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunked,
}

impl Head {
    /// The head of an answer; `None` while it is not whole.
    pub fn of_answer(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed = answer.parse(bytes).map_err(io::Error::other)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        Ok(Some(Self {
            length,
            status: answer.code.unwrap_or(0),
            body: Body::announced_by(answer.headers),
        }))
    }

    /// The head of a request; `None` while it is not whole.
    pub fn of_request(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(bytes).map_err(io::Error::other)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        Ok(Some(Self {
            length,
            status: 0,
            body: Body::announced_by(request.headers),
        }))
    }

    /// Whether `bytes`, which begin with this head and hold no second message, are all of the message.
    pub fn is_whole(&self, bytes: &[u8]) -> bool {
        match self.body {
            Body::Length(length) => bytes.len() >= self.length + length,
            Body::Chunked => bytes.ends_with(b"0\r\n\r\n"),
        }
    }
}

impl Body {
    fn announced_by(fields: &[httparse::Header<'_>]) -> Self {
        let value = |name: &str| {
            let field = fields
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(field.value).ok()
        };
        if value("transfer-encoding").is_some() {
            return Self::Chunked;
        }
        let length = value("content-length").and_then(|value| value.trim().parse().ok());
        Self::Length(length.unwrap_or(0))
    }
}
