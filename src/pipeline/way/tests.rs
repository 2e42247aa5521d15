use super::*;
use crate::dialect::PathFacts;
use crate::dialect::common::{Kept, Request};

fn way(caller: Dialect, target: Dialect) -> Way {
    let operation = Operation::Generate(caller);
    let body = Bytes::from_static(br#"{"model":"m","stream":true}"#);
    let incoming = Incoming::read(operation, body, PathFacts::default()).unwrap();
    let back = match caller == target {
        true => Back::AsIs,
        false => Back::Translated(Box::new(Translation {
            request: Request::new(caller, "m"),
            context: Context::default(),
            tool_names: None,
            hides_logprobs: false,
        })),
    };
    let plan = Plan {
        operation: Operation::Generate(target),
        body: Vec::new(),
        back,
        framing: Framing::Events,
        dropped: None,
    };
    Way::new(&incoming, &plan)
}

#[test]
fn what_was_said_before_a_cut_is_known_on_every_way() {
    let chat = [
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"one\n"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"two"}}]}"#,
    ];
    let anthropic = [
        r#"{"type":"message_start","message":{"id":"i","model":"m","usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"one\ntwo"}}"#,
    ];
    for (caller, target, frames) in [
        (Dialect::Chat, Dialect::Chat, &chat[..]),
        (Dialect::Responses, Dialect::Chat, &chat[..]),
        (Dialect::Anthropic, Dialect::Anthropic, &anthropic[..]),
        (Dialect::Chat, Dialect::Anthropic, &anthropic[..]),
    ] {
        let mut way = way(caller, target);
        for frame in frames {
            let frame = Bytes::from(format!("data: {frame}\n\n"));
            way.see(&frame, &mut Vec::new()).unwrap();
        }
        let said = way.take_said();
        let texts = said.kinds().map(Kept::text);
        assert_eq!(texts, ["one\ntwo", "hm", ""], "{caller:?} {target:?}");
        assert!(way.take_said().is_empty());
    }
}
