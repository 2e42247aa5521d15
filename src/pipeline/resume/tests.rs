use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::*;
use crate::dialect::common::{Answer, Collector, Context, Delta, Finish, Signature, Usage};
use crate::dialect::{Dialect, Operation, PathFacts};
use crate::pipeline::past::Past;
use crate::pipeline::plan::{Back, Plan, Translation};
use crate::pipeline::way::{Seen, Shown, Way};

const WHOLE: &str = "Once upon a time there was a füchsin, and she was red.";
const TOLD: &str = "Once upon a time there was a füch";

fn text(text: &str) -> Delta {
    Delta::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

fn thinking(text: &str) -> Delta {
    Delta::Thinking {
        choice: 0,
        text: text.to_owned(),
    }
}

fn start(id: &str, model: &str) -> Delta {
    Delta::Start {
        id: id.to_owned(),
        model: model.to_owned(),
        created: Some(1_760_000_000),
    }
}

fn end() -> Vec<Delta> {
    let usage = Usage {
        input_tokens: 30,
        output_tokens: 12,
        ..Usage::default()
    };
    let finish = Finish::Stop;
    vec![
        Delta::Finish { choice: 0, finish },
        Delta::Usage(usage),
        Delta::End,
    ]
}

/// What is said before the stream breaks.
fn first(origin: Dialect) -> Vec<Delta> {
    let seal = Delta::Signature {
        choice: 0,
        signature: Signature {
            origin,
            value: "c2VhbA==".to_owned(),
        },
        id: None,
        is_redacted: false,
    };
    let (one, two) = TOLD.split_at(11);
    vec![
        start("id_1", "m-1"),
        thinking("hm"),
        seal,
        text(one),
        text(two),
    ]
}

/// The frames in which a provider says this.
fn frames(dialect: Dialect, framing: Framing, said: Vec<Delta>) -> Vec<Bytes> {
    let request = Request::new(dialect, "m");
    let mut writer = dialect.writer(&request, &context("w"), framing);
    let mut out = Vec::new();
    said.into_iter()
        .for_each(|delta| writer.write(delta, &mut out));
    cut(dialect, out.into())
}

fn cut(dialect: Dialect, bytes: Bytes) -> Vec<Bytes> {
    let mut frames = dialect.frames();
    let mut whole = frames.push(bytes).expect("frames");
    std::iter::from_fn(|| frames.next_of(&mut whole)).collect()
}

fn context(id: &str) -> Context {
    Context {
        id: id.to_owned(),
        now: 1_770_000_000,
    }
}

fn incoming(caller: Dialect) -> Incoming {
    let body = match caller {
        Dialect::Gemini => r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
        Dialect::Bedrock => r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#,
        Dialect::Responses => r#"{"input":"Hi"}"#,
        _ => {
            r#"{"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}"#
        }
    };
    let path = PathFacts {
        model: Some("m".to_owned()),
        stream: Some(true),
    };
    let body = Bytes::from_static(body.as_bytes());
    Incoming::read(Operation::Generate(caller), body, path).expect("a request")
}

fn way(incoming: &Incoming, target: Dialect, framing: Framing) -> Way {
    let caller = incoming.operation.dialect();
    let back = match caller == target && incoming.begun.is_none() {
        true => Back::AsIs,
        false => Back::Translated(Box::new(Translation {
            request: Request::new(caller, "m"),
            context: context("later"),
            tool_names: None,
            hides_logprobs: false,
        })),
    };
    let plan = Plan {
        operation: Operation::Generate(target),
        body: Vec::new(),
        back,
        framing,
        dropped: None,
    };
    Way::new(incoming, &plan)
}

/// What the caller gets of these frames.
fn shown(way: &mut Way, frames: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        let (seen, shown) = way.see(frame, &mut out).expect("frames of the dialect");
        assert_ne!(seen, Seen::Failed);
        if shown == Shown::AsItCame {
            out.extend_from_slice(frame);
        }
    }
    out
}

/// The answer that a caller reads.
fn read(caller: Dialect, framing: Framing, stream: Vec<u8>) -> Answer {
    let stream = match framing {
        Framing::Array => {
            let elements: Vec<Value> = serde_json::from_slice(&stream).expect("an array");
            let events = elements
                .iter()
                .map(|element| format!("data: {element}\n\n"));
            events.collect::<String>().into_bytes()
        }
        Framing::Events | Framing::EventStream => stream,
    };
    let mut reader = caller.reader(&Context::default());
    let mut deltas = Vec::new();
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&stream);
    for frame in cut(caller, bytes.freeze()) {
        reader.read(&frame, &mut deltas).expect("a frame");
    }
    reader.end(&mut deltas);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish().expect("a whole answer")
}

/// A stream of `target` that breaks, and is gone on with by one of OpenAI's dialect that says the last words once more.
fn continued(caller: Dialect, target: Dialect, framing: Framing) -> Vec<u8> {
    let request = incoming(caller);
    let mut broken = way(&request, target, framing);
    let mut past = Past::new(target, None);
    let came = frames(target, target.framing(), first(target));
    assert!(came.iter().all(|frame| !past.hears_error(frame)));
    let mut stream = shown(&mut broken, &came);
    let told = past.told().expect("it can be gone on with");
    assert_eq!(&*told.text, TOLD);
    let begun = request.begun(told.text.clone()).expect("a request");
    let mut next = way(&begun, Dialect::Chat, framing);
    let rest = &WHOLE[17..];
    let (one, two) = rest.split_at(5);
    let mut said = vec![start("id_2", "m-2"), thinking("hm?"), text(one), text(two)];
    said.extend(end());
    let came = frames(Dialect::Chat, Framing::Events, said);
    let out = shown(&mut next, &came);
    assert_eq!(String::from_utf8_lossy(&out), "", "it is held back");
    let Some(Joint::GoesOn(left_out)) = next.joint(true) else {
        panic!("it goes on");
    };
    assert_eq!(left_out, TOLD.len() - 17);
    let mark = Mark::new("a/b", told.text.len(), framing);
    stream.extend_from_slice(&next.join(&mut broken, told.said, left_out, mark));
    stream
}

#[test]
fn a_continued_stream_reads_like_one_whole_answer() {
    use Dialect::{Anthropic, Bedrock, Chat, Cohere, Gemini, Responses};
    for (caller, framing) in [
        (Chat, Framing::Events),
        (Anthropic, Framing::Events),
        (Gemini, Framing::Events),
        (Gemini, Framing::Array),
        (Cohere, Framing::Events),
        (Bedrock, Framing::EventStream),
        (Responses, Framing::Events),
    ] {
        for target in [Chat, Anthropic, Gemini, Bedrock] {
            if caller == Responses && target == Responses {
                continue;
            }
            check(caller, target, framing);
        }
        if caller == Cohere {
            check(caller, caller, framing);
        }
    }
}

fn check(caller: Dialect, target: Dialect, framing: Framing) {
    let what = format!("{caller:?} {target:?} {framing:?}");
    let stream = continued(caller, target, framing);
    let shown = String::from_utf8_lossy(&stream).into_owned();
    let mark = format!(
        r#""tollgate":{{"continued":{{"target":"a/b","after":{}}}}}"#,
        TOLD.len()
    );
    assert_eq!(shown.matches(&mark).count(), 1, "{what}: {shown}");
    let mut whole = first(target);
    whole.extend([text(&WHOLE[TOLD.len()..])]);
    whole.extend(end());
    let mut one = way(&incoming(caller), target, framing);
    let came = frames(target, target.framing(), whole);
    let mut uncut = self::shown(&mut one, &came);
    uncut.extend_from_slice(&one.end().unwrap_or_default());
    let (read, uncut) = (read(caller, framing, stream), read(caller, framing, uncut));
    assert_eq!((&read.id, &read.model), (&uncut.id, &uncut.model), "{what}");
    assert_eq!(read.choices, uncut.choices, "{what}: {shown}");
    assert_eq!(read.usage, uncut.usage, "{what}");
    check_numbers(caller, &shown);
}

/// Numbers go on where they were.
fn check_numbers(caller: Dialect, stream: &str) {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let (field, numbers): (_, Vec<_>) = match caller {
        Dialect::Responses => {
            let numbers = events.filter_map(|event| event["sequence_number"].as_u64());
            ("sequence_number", numbers.collect())
        }
        Dialect::Anthropic => {
            let starts = events.filter(|event| event["type"] == "content_block_start");
            (
                "index",
                starts.filter_map(|event| event["index"].as_u64()).collect(),
            )
        }
        _ => return,
    };
    let expected: Vec<_> = (0..numbers.len() as u64).collect();
    assert!(!numbers.is_empty(), "{field}");
    assert_eq!(numbers, expected, "{field}: {stream}");
}

#[test]
fn what_is_no_plain_text_is_not_gone_on_with() {
    let call = Delta::ToolCall {
        choice: 0,
        call: 0,
        id: "c".to_owned(),
        name: "f".to_owned(),
        signature: None,
    };
    let refusal = Delta::Refusal {
        choice: 0,
        text: "I cannot help with that".to_owned(),
    };
    for (what, said) in [
        ("a thought", vec![thinking("a long thought, not complete")]),
        ("a call", vec![text(TOLD), call]),
        ("a refusal", vec![refusal]),
        ("a word", vec![text("Once")]),
        ("too much", vec![text(&TOLD.repeat(4000))]),
        ("an end", [vec![text(TOLD)], end()].concat()),
    ] {
        let mut past = Past::new(Dialect::Chat, None);
        let said = [vec![start("i", "m")], said].concat();
        for frame in frames(Dialect::Chat, Framing::Events, said) {
            assert!(!past.hears_error(&frame));
        }
        assert!(past.told().is_none(), "{what}");
    }
}

#[test]
fn only_one_free_text_is_gone_on_with() {
    let fit = |body: &str| {
        let request = Dialect::Chat.read_request(body.as_bytes(), "m", true);
        is_fit(&request.expect("a request"))
    };
    let user = r#"{"role":"user","content":"Hi"}"#;
    assert!(fit(&format!(r#"{{"messages":[{user}]}}"#)));
    for more in [
        r#""n":2"#,
        r#""logprobs":true"#,
        r#""response_format":{"type":"json_object"}"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#,
    ] {
        assert!(
            !fit(&format!(r#"{{"messages":[{user}],{more}}}"#)),
            "{more}"
        );
    }
    let begun = r#"{"role":"assistant","content":"So"}"#;
    assert!(!fit(&format!(r#"{{"messages":[{user},{begun}]}}"#)));
}
