//! A raw HTTP/1.1 client that can do what a decent client never does (half heads, contradictory lengths, leaving in
//! the middle), and that reads answers to the letter: a cut body is an error, never a short one.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::KEY;
use crate::sse::{self, Event};

/// A request in the making; `Host` and `Content-Length` are added when it is written.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, without its framing.
    pub body: Vec<u8>,
}

/// One connection and what has been read from it ahead.
pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    rest: Rest,
}

/// What a connection runs over: a socket, or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is left of the body that is being read.
enum Rest {
    Bytes(usize),
    Chunked,
    UntilClose,
}

/// A chat request to `model`, as any application sends it.
pub fn chat(model: &str) -> Request {
    let body =
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Say hello."}}]}}"#);
    Request::post("/v1/chat/completions", body)
}

/// The same, asking for a stream.
pub fn chat_stream(model: &str) -> Request {
    let body = format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"Say hello."}}],"stream":true}}"#
    );
    Request::post("/v1/chat/completions", body)
}

// === impl Request ===

impl Request {
    /// A GET with the tests' key.
    pub fn get(path: &str) -> Self {
        let headers = vec![("authorization".to_owned(), format!("Bearer {KEY}"))];
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }

    /// A POST of JSON with the tests' key.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let request = Self {
            method: "POST".to_owned(),
            body: body.into(),
            ..Self::get(path)
        };
        request.header("content-type", "application/json")
    }

    /// Sets a field, replacing one of the same name.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// Adds a field, even beside another of the same name.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a field.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head_bytes(Some(self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Its head alone, declaring a length of the caller's choice.
    pub fn head_bytes(&self, content_length: Option<usize>) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: tollgate.test\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = content_length.filter(|length| *length > 0 || self.method == "POST") {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

// === impl Head, Answer ===

impl Head {
    /// The first field with this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Answer {
    /// The first field with this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The body as server-sent events.
    pub fn events(&self) -> Vec<Event> {
        sse::events(self.text())
    }

    /// Asserts that this is an error of ours in OpenAI's envelope, and returns the `error` object.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(
            self.status, status,
            "expected {status} {code}, got {} {body}",
            self.status
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{body}"
        );
        assert!(
            self.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "{:?}",
            self.headers
        );
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{body}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{body}"
        );
        assert!(error["type"].is_string(), "{body}");
        assert!(
            error
                .get("param")
                .is_some_and(|param| param.is_null() || param.is_string()),
            "{body}"
        );
        error
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(present, _)| present == name)
        .map(|(_, value)| value.as_str())
}

// === impl Connection ===

impl Connection {
    /// Connects over plain TCP.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Speaks over a stream that is already there, such as TLS.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
            rest: Rest::Bytes(0),
        }
    }

    /// Sends bytes, whatever they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Reads a whole answer.
    pub async fn answer(&mut self) -> Result<Answer> {
        let Head { status, headers } = self.head().await?;
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Reads the head of an answer; its body is then read by [`Connection::piece`].
    pub async fn head(&mut self) -> Result<Head> {
        let end = loop {
            if let Some(position) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break position + 4;
            }
            if self.fill().await? == 0 {
                return Err(cut("before the end of the head"));
            }
        };
        let text: Vec<u8> = self.buffer.drain(..end).collect();
        let text =
            String::from_utf8(text).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, format!("a bad status line: {text}"))
        })?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let headers: Vec<_> = fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        self.rest = if find(&headers, "transfer-encoding").is_some_and(|value| value == "chunked") {
            Rest::Chunked
        } else if let Some(length) = find(&headers, "content-length") {
            Rest::Bytes(
                length
                    .parse()
                    .map_err(|error| Error::new(ErrorKind::InvalidData, error))?,
            )
        } else if status < 200 || status == 204 || status == 304 {
            Rest::Bytes(0)
        } else {
            Rest::UntilClose
        };
        Ok(Head { status, headers })
    }

    /// Reads the next piece of a body as it arrives: a whole chunk, or what there is; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        match self.rest {
            Rest::Chunked => self.chunk().await,
            Rest::Bytes(0) => Ok(None),
            Rest::Bytes(left) => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    return Err(cut("inside a body"));
                }
                let piece = self.take(left.min(self.buffer.len()));
                self.rest = Rest::Bytes(left - piece.len());
                Ok(Some(piece))
            }
            Rest::UntilClose => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    return Ok(None);
                }
                Ok(Some(self.take(self.buffer.len())))
            }
        }
    }

    /// Reads until the peer closes, and returns what it still sent.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        while let Ok(1..) = self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let line = self.line().await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| {
            Error::new(
                ErrorKind::InvalidData,
                format!("a bad chunk size: {line:?}"),
            )
        })?;
        if size == 0 {
            while !self.line().await?.is_empty() {}
            self.rest = Rest::Bytes(0);
            return Ok(None);
        }
        while self.buffer.len() < size + 2 {
            if self.fill().await? == 0 {
                return Err(cut("inside a chunk"));
            }
        }
        let piece = self.take(size);
        if self.take(2) != "\r\n" {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "a chunk longer than it said",
            ));
        }
        Ok(Some(piece))
    }

    async fn line(&mut self) -> Result<String> {
        let end = loop {
            if let Some(position) = memchr::memmem::find(&self.buffer, b"\r\n") {
                break position;
            }
            if self.fill().await? == 0 {
                return Err(cut("inside the framing"));
            }
        };
        let line = self.take(end + 2);
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn take(&mut self, count: usize) -> Bytes {
        self.buffer.drain(..count).collect::<Vec<_>>().into()
    }

    async fn fill(&mut self) -> Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = self.stream.read(&mut piece).await?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

fn cut(place: &str) -> Error {
    Error::new(
        ErrorKind::UnexpectedEof,
        format!("the connection ended {place}"),
    )
}
