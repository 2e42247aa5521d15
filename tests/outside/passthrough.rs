//! On the fast path every byte that the gateway does not act on goes through as it came, both ways.

use crate::harness::{Gateway, config};
use crate::raw::{Request, chat, chat_stream};
use crate::recordings::{is_but_for_usage, with_model};
use crate::sse;
use crate::upstream::{COMPLETION, FRAMES, Upstream, chunk, stream_head, whole};

/// Bodies that a gateway which parses and prints again would change.
const BODIES: [&str; 6] = [
    r#"{"model":"m","messages":[],"temperature":1.0,"top_p":1e2,"seed":1E+2,"x":-0,"y":-0.0,"z":0.10,"n":12345678901234567890123}"#,
    r#"{"zebra":1,"model":"m","apple":{"b":1,"a":2,"model":"inner"},"messages":[{"role":"user","content":"x","z":1,"a":2}]}"#,
    r#"{"messages":[{"role":"user","content":"caf\u00e9 \ud83d\ude00 \/ \u0000 \" \\ é 😀"}],"model":"m"}"#,
    "  {\r\n\t\"model\" :\t\"m\" ,\n  \"messages\" : [ ] ,\n  \"unknown_field\" : { \"deep\" : [ 1 , { } , null ] }\n}\n ",
    r#"{"model":"m","messages":[{"role":"user","content":"x","role":"inner repeats are the provider's affair"}],"metadata":{"model":"not me"}}"#,
    r#"{"mod\u0065l":"m","messages":[],"m\u00e9ta":"\u005c"}"#,
];

#[tokio::test]
async fn a_request_goes_up_byte_for_byte_but_for_its_model() {
    let (gateway, upstream) = gateway_and(Upstream::healthy().await).await;
    for body in BODIES {
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
            upstream.forget();
            let answer = gateway
                .ask(Request::post(path, with_model(body, "up/m-1")))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let arrived = upstream.only_request();
            assert_eq!(arrived.path, path);
            assert_eq!(
                String::from_utf8_lossy(&arrived.body),
                with_model(body, "m-1")
            );
        }
    }
}

#[tokio::test]
async fn a_streaming_request_gains_only_the_question_for_usage() {
    let (gateway, upstream) = gateway_and(Upstream::healthy().await).await;
    for body in BODIES {
        upstream.forget();
        let streaming = body.replacen('{', "{\"stream\": true,", 1);
        let answer = gateway
            .ask(Request::post(
                "/v1/chat/completions",
                with_model(&streaming, "up/m-1"),
            ))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = String::from_utf8(upstream.only_request().body).expect("UTF-8 was sent");
        assert!(
            is_but_for_usage(&arrived, &with_model(&streaming, "m-1")),
            "{arrived}"
        );
    }
}

#[tokio::test]
async fn stream_options_of_the_callers_own_are_kept() {
    let (gateway, upstream) = gateway_and(Upstream::healthy().await).await;
    for (options, arrive_as) in [
        (r#"{"include_usage":true}"#, r#"{"include_usage":true}"#),
        (
            r#"{ "include_obfuscation" : false }"#,
            r#"{"include_obfuscation":false,"include_usage":true}"#,
        ),
        (
            r#"{"include_usage":false,"x":1.0}"#,
            r#"{"include_usage":true,"x":1.0}"#,
        ),
    ] {
        upstream.forget();
        let body = format!(
            r#"{{"model":"up/m-1","messages":[],"stream":true,"stream_options":{options},"seed":1e2}}"#
        );
        let answer = gateway
            .ask(Request::post("/v1/chat/completions", body))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = upstream.only_request();
        let expected: serde_json::Value = serde_json::from_str(arrive_as).expect("JSON");
        assert_eq!(arrived.json()["stream_options"], expected, "from {options}");
        assert!(String::from_utf8_lossy(&arrived.body).contains(r#""seed":1e2"#));
    }
}

#[tokio::test]
async fn a_whole_answer_comes_back_byte_for_byte() {
    let (gateway, _upstream) = gateway_and(Upstream::healthy().await).await;
    let answer = gateway.ask(chat("up/m-1")).await;
    assert_eq!(answer.text(), COMPLETION);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn an_answer_without_a_length_comes_back_byte_for_byte() {
    let chunked = |_: &_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let middle = COMPLETION.len() / 2;
        [
            head.to_vec(),
            chunk(&COMPLETION[..middle]),
            chunk(&COMPLETION[middle..]),
            chunk(""),
        ]
        .concat()
    };
    let (gateway, _upstream) = gateway_and(Upstream::answering(chunked).await).await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
}

#[tokio::test]
async fn frames_leave_whole_and_unchanged_however_they_arrive() {
    const ODD_FRAMES: [&str; 5] = [
        ": a comment\n\n",
        "event: note\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\u00e9 1.0 1e2\"}}],\ndata: \"usage\":null}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"😀é\"}}]}\r\n\r\n",
        "data:{\"choices\":[{\"index\":0,\"delta\":{}}],\"unknown\":-0}\n\n",
        "data: [DONE]\n\n",
    ];
    let text = ODD_FRAMES.concat();
    let byte_by_byte = {
        let text = text.clone();
        move |_: &_| {
            [
                stream_head(),
                text.bytes().flat_map(|byte| chunk([byte])).collect(),
                chunk(""),
            ]
            .concat()
        }
    };
    let (gateway, _upstream) = gateway_and(Upstream::answering(byte_by_byte).await).await;
    let answer = gateway.ask(chat_stream("up/m-1")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.events(), sse::events(&text));
}

#[tokio::test]
async fn a_frame_leaves_as_soon_as_it_is_there() {
    let (upstream, finish) = Upstream::pacing().await;
    let (gateway, _upstream) = gateway_and(upstream).await;
    let mut connection = gateway.connect().await;
    connection
        .send(chat_stream("up/m-1").bytes())
        .await
        .expect("sent");
    let frames = async {
        assert_eq!(connection.head().await.expect("a head").status, 200);
        for number in 0..5 {
            // The upstream is still in the middle of its answer: nobody has told it to finish.
            let piece = connection
                .piece()
                .await
                .expect("a frame")
                .expect("not the end");
            let text = String::from_utf8_lossy(&piece).into_owned();
            assert!(
                text.starts_with("data: ") && text.ends_with("\n\n"),
                "frame {number}: {text:?}"
            );
        }
    };
    crate::harness::within("five frames", frames).await;
    finish.send(true).expect("the upstream waits");
    let rest = async {
        let mut rest = Vec::new();
        while let Some(piece) = connection.piece().await.expect("the rest") {
            rest.extend_from_slice(&piece);
        }
        rest
    };
    let rest = crate::harness::within("the rest of the stream", rest).await;
    assert!(rest.ends_with(FRAMES[2].as_bytes()));
}

#[tokio::test]
async fn an_unasked_usage_chunk_stays_with_the_gateway_and_reaches_its_log() {
    const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}\n\n";
    let answer = |_: &_| {
        let frames = [FRAMES[0], FRAMES[1], USAGE, FRAMES[2]].concat();
        [stream_head(), chunk(frames), chunk("")].concat()
    };
    let (gateway, _upstream) = gateway_and(Upstream::answering(answer).await).await;
    let unasked = gateway
        .ask(chat_stream("up/m-1").header("x-request-id", "unasked"))
        .await;
    assert_eq!(unasked.text(), FRAMES.concat());
    let body =
        r#"{"model":"up/m-1","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let asked = gateway
        .ask(Request::post("/v1/chat/completions", body))
        .await;
    assert_eq!(
        asked.text(),
        [FRAMES[0], FRAMES[1], USAGE, FRAMES[2]].concat()
    );
    let line = gateway.request_line("unasked").await;
    assert_eq!(
        (&line["input_tokens"], &line["output_tokens"]),
        (&7.into(), &5.into()),
        "{line}"
    );
}

#[tokio::test]
async fn a_large_answer_and_a_large_request_come_through() {
    let large = format!(
        r#"{{"id":"x","choices":[],"filler":"{}"}}"#,
        "é".repeat(4 << 20)
    );
    let answered = large.clone();
    let upstream = Upstream::answering(move |_| whole(200, "application/json", &answered)).await;
    let (gateway, upstream) = gateway_and(upstream).await;
    let body = format!(
        r#"{{"model":"up/m-1","messages":[],"filler":"{}"}}"#,
        "ü".repeat(4 << 20)
    );
    let answer = gateway
        .ask(Request::post("/v1/chat/completions", body.clone()))
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.text() == large, "eight mebibytes down");
    assert!(
        upstream.only_request().body == body.replace("up/m-1", "m-1").as_bytes(),
        "eight mebibytes up"
    );
}

async fn gateway_and(upstream: Upstream) -> (Gateway, Upstream) {
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    (gateway, upstream)
}
