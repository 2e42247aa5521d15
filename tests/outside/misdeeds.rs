//! The bytes of what callers get wrong, in the order of the table in `mischief`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::mischief::MODEL;
use crate::raw::{Request, chat};
use crate::upstream::chunk;

pub fn half_a_head() -> Vec<u8> {
    b"POST /v1/chat/completions HT".to_vec()
}

pub fn half_a_body() -> Vec<u8> {
    let request = chat(MODEL);
    [
        request.head_bytes(Some(request.body.len())),
        request.body[..20].to_vec(),
    ]
    .concat()
}

pub fn half_a_chunked_body() -> Vec<u8> {
    let head = chat(MODEL)
        .header("transfer-encoding", "chunked")
        .head_bytes(None);
    [head, b"40\r\n{\"model\":".to_vec()].concat()
}

/// A request with this many header fields in all.
pub fn fields(count: usize) -> Vec<u8> {
    let mut request = chat(MODEL);
    // Host and Content-Length come on top.
    for number in request.headers.len() + 2..count {
        request = request.header(&format!("x-field-{number}"), "x");
    }
    request.bytes()
}

/// A request with a field of this many bytes.
pub fn long_head(bytes: usize) -> Vec<u8> {
    chat(MODEL).header("x-long", &"x".repeat(bytes)).bytes()
}

pub fn endless_head() -> Vec<u8> {
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nx-long: ".to_vec(),
        vec![b'x'; 256 * 1024],
    ]
    .concat()
}

pub fn declared_too_large() -> Vec<u8> {
    chat(MODEL).head_bytes(Some((1 << 20) + 1))
}

pub fn chunked_too_large() -> Vec<u8> {
    let head = chat(MODEL)
        .header("transfer-encoding", "chunked")
        .head_bytes(None);
    let blanks = chunk(vec![b' '; 64 * 1024]);
    [head, blanks.repeat(17), chunk("")].concat()
}

pub fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let start = format!(r#"{{"model":"{MODEL}","messages":[],"filler":""#);
    encoder
        .write_all(start.as_bytes())
        .expect("written to memory");
    for _ in 0..64 {
        encoder
            .write_all(&vec![b'x'; 1 << 20])
            .expect("written to memory");
    }
    encoder.write_all(b"\"}").expect("written to memory");
    let packed = encoder.finish().expect("written to memory");
    Request::post("/v1/chat/completions", packed)
        .header("content-encoding", "gzip")
        .bytes()
}

pub fn half_a_gzip() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&chat(MODEL).body)
        .expect("written to memory");
    let mut packed = encoder.finish().expect("written to memory");
    packed.truncate(packed.len() / 2);
    Request::post("/v1/chat/completions", packed)
        .header("content-encoding", "gzip")
        .bytes()
}

pub fn length_and_chunked() -> Vec<u8> {
    let body = chat(MODEL).body;
    let head = chat(MODEL)
        .header("transfer-encoding", "chunked")
        .head_bytes(Some(5));
    [head, chunk(body), chunk("")].concat()
}

pub fn two_lengths() -> Vec<u8> {
    let request = chat(MODEL);
    let head = request
        .clone()
        .also("content-length", "5")
        .head_bytes(Some(request.body.len()));
    [head, request.body.to_vec()].concat()
}

pub fn length_in_words() -> Vec<u8> {
    chat(MODEL)
        .header("content-length", "twelve")
        .head_bytes(None)
}

pub fn chunk_size_in_words() -> Vec<u8> {
    let head = chat(MODEL)
        .header("transfer-encoding", "chunked")
        .head_bytes(None);
    [head, b"xyz\r\n{}\r\n0\r\n\r\n".to_vec()].concat()
}

pub fn bad_utf8() -> Vec<u8> {
    let body = [
        br#"{"model":"fault/fine","messages":[{"role":"user","content":"caf"#.as_slice(),
        &[0xE9],
        br#""}]}"#,
    ];
    post(body.concat())
}

pub fn brackets() -> Vec<u8> {
    post("[".repeat(100_000))
}

pub fn deep_field() -> Vec<u8> {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    post(format!(
        r#"{{"model":"{MODEL}","messages":[],"x":{open}{close}}}"#
    ))
}

pub fn repeated_field() -> Vec<u8> {
    post(format!(
        r#"{{"model":"{MODEL}","messages":[],"temperature":0,"temperature":1}}"#
    ))
}

pub fn no_json() -> Vec<u8> {
    post("model=m&messages=none")
}

pub fn empty_body() -> Vec<u8> {
    post("")
}

pub fn form_data() -> Vec<u8> {
    Request::post("/v1/chat/completions", "model=m")
        .header("content-type", "application/x-www-form-urlencoded")
        .bytes()
}

pub fn unknown_encoding() -> Vec<u8> {
    chat(MODEL).header("content-encoding", "snappy").bytes()
}

pub fn no_key() -> Vec<u8> {
    chat(MODEL).without("authorization").bytes()
}

pub fn unknown_model() -> Vec<u8> {
    chat("no-such-model").bytes()
}

pub fn unknown_path() -> Vec<u8> {
    Request::post("/v1/chat/completion", "{}").bytes()
}

pub fn wrong_method() -> Vec<u8> {
    Request::get("/v1/chat/completions").bytes()
}

fn post(body: impl Into<Vec<u8>>) -> Vec<u8> {
    Request::post("/v1/chat/completions", body.into()).bytes()
}
