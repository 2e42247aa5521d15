//! Request bodies: how they may be packed, and what must hold for them before anything is sent upstream.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::harness::{Gateway, config};
use crate::raw::{Request, chat};
use crate::upstream::{COMPLETION, Upstream};

/// Large enough to need more than one buffer, and not so regular that it packs into nothing.
fn body() -> String {
    let words: String = (0_u64..40_000)
        .map(|number| format!("{:x} ", number.wrapping_mul(0x9E37_79B9)))
        .collect();
    format!(r#"{{"model":"up/m-1","messages":[{{"role":"user","content":"café {words}"}}]}}"#)
}

#[tokio::test]
async fn packed_bodies_are_accepted_and_go_up_unpacked() {
    let (gateway, upstream) = gateway_and_upstream("").await;
    let body = body();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes()).expect("written to memory");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(body.as_bytes()).expect("written to memory");
    let mut brotli_packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 5,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut body.as_bytes(), &mut brotli_packed, &parameters)
        .expect("written to memory");
    let gzip = gzip.finish().expect("written to memory");
    let packed = [
        ("gzip", gzip.clone()),
        ("GZip", gzip),
        ("deflate", zlib.finish().expect("written to memory")),
        ("br", brotli_packed),
        (
            "zstd",
            zstd::encode_all(body.as_bytes(), 3).expect("written to memory"),
        ),
        ("identity", body.clone().into_bytes()),
    ];
    for (encoding, packed) in packed {
        upstream.forget();
        let request =
            Request::post("/v1/chat/completions", packed).header("content-encoding", encoding);
        let answer = gateway.ask(request).await;
        assert_eq!(answer.text(), COMPLETION, "{encoding}");
        let arrived = upstream.only_request();
        assert_eq!(arrived.header("content-encoding"), None, "{encoding}");
        assert!(
            arrived.body == body.replacen("up/m-1", "m-1", 1).as_bytes(),
            "{encoding}: unpacked as it was"
        );
    }
}

#[tokio::test]
async fn a_bomb_is_refused_in_every_encoding_without_being_unpacked() {
    let (gateway, upstream) = gateway_and_upstream("server: { max_body: 1MiB }").await;
    let resident = gateway.resident_bytes();
    let zeros = vec![b' '; 64 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&zeros).expect("written to memory");
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&zeros).expect("written to memory");
    let raw = raw.finish().expect("written to memory");
    let mut zlib = vec![0x78, 0x9C]; // zlib's header around the same stream
    zlib.extend_from_slice(&raw);
    let mut brotli_packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 5,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut zeros.as_slice(), &mut brotli_packed, &parameters)
        .expect("written to memory");
    let bombs = [
        ("gzip", gzip.finish().expect("written to memory")),
        ("deflate", zlib),
        ("br", brotli_packed),
        (
            "zstd",
            zstd::encode_all(zeros.as_slice(), 1).expect("written to memory"),
        ),
    ];
    for (encoding, bomb) in bombs {
        assert!(
            bomb.len() < 1 << 20,
            "{encoding}: the packed size is within the limit"
        );
        let request =
            Request::post("/v1/chat/completions", bomb).header("content-encoding", encoding);
        gateway
            .ask(request)
            .await
            .assert_error(413, "request_too_large");
    }
    let grown = gateway.resident_bytes().saturating_sub(resident);
    // The decoders have windows of their own, of up to 16 MiB.
    assert!(
        grown < 48 << 20,
        "64 MiB of blanks must not be held: grew by {grown} bytes"
    );
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() {
    let (gateway, _upstream) = gateway_and_upstream("server: { max_body: 1MiB }").await;
    let shell = r#"{"model":"up/m-1","filler":""}"#;
    let of_size =
        |size: usize| shell.replace("\"\"", &format!("\"{}\"", "x".repeat(size - shell.len())));
    let fits = gateway
        .ask(Request::post("/v1/chat/completions", of_size(1 << 20)))
        .await;
    assert_eq!(fits.text(), COMPLETION);
    let over = gateway
        .ask(Request::post(
            "/v1/chat/completions",
            of_size((1 << 20) + 1),
        ))
        .await;
    over.assert_error(413, "request_too_large");
}

#[tokio::test]
async fn depth_128_is_accepted_and_129_is_not() {
    let (gateway, _upstream) = gateway_and_upstream("").await;
    // The object itself is the first level.
    let of_depth = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        Request::post(
            "/v1/chat/completions",
            format!(r#"{{"model":"up/m-1","x":{open}{close}}}"#),
        )
    };
    assert_eq!(gateway.ask(of_depth(128)).await.text(), COMPLETION);
    gateway
        .ask(of_depth(129))
        .await
        .assert_error(400, "invalid_request");
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let (gateway, upstream) = gateway_and_upstream("").await;
    let cases = [
        (r#"{"messages":[]}"#, Some("model")),
        (r#"{"model":7,"messages":[]}"#, Some("model")),
        (r#"{"model":null}"#, Some("model")),
        (r#"{"model":"up/m-1","model":"up/m-2"}"#, Some("model")),
        (r#"{"model":"up/m-1","mod\u0065l":"up/m-2"}"#, Some("model")),
        (
            r#"{"model":"up/m-1","temperature":1,"top_p":1,"temperature":1}"#,
            Some("temperature"),
        ),
        (r#"{"model":"up/m-1","stream":"yes"}"#, Some("stream")),
        (r#"{"model":"up/m-1","stream":1}"#, Some("stream")),
        (r#"["model","up/m-1"]"#, None),
        (r#""up/m-1""#, None),
        (r#"{"model":"up/m-1"} {}"#, None),
        (r#"{"model":"up/m-1",}"#, None),
        (r#"{"model":"up/m-1","x":NaN}"#, None),
        (r#"{"model":"up/m-1","x":01}"#, None),
        (r#"{"model":"up/m-1","x":"\x"}"#, None),
        ("{\"model\":\"up/m-1\",\"x\":\"a\nb\"}", None),
        (r#"{'model':'up/m-1'}"#, None),
        (r#"{"model":"up/m-1""#, None),
    ];
    for (body, param) in cases {
        let error = gateway
            .ask(Request::post("/v1/chat/completions", body))
            .await
            .assert_error(400, "invalid_request");
        assert_eq!(error["param"].as_str(), param, "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{body}: {error}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn only_json_is_accepted() {
    let (gateway, _upstream) = gateway_and_upstream("").await;
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        let answer = gateway
            .ask(chat("up/m-1").header("content-type", media_type))
            .await;
        assert_eq!(answer.text(), COMPLETION, "{media_type}");
    }
    for media_type in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ] {
        let answer = gateway
            .ask(chat("up/m-1").header("content-type", media_type))
            .await;
        answer.assert_error(415, "unsupported_media_type");
    }
    for encoding in ["compress", "aes128gcm", "gzip, snappy"] {
        let answer = gateway
            .ask(chat("up/m-1").header("content-encoding", encoding))
            .await;
        answer.assert_error(415, "unsupported_media_type");
    }
}

async fn gateway_and_upstream(server: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&format!(
        "{server}\n{}",
        upstream.as_provider("up")
    )))
    .await;
    (gateway, upstream)
}
