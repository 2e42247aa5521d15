//! The default gates over every recorded answer: which alarms are right is told by the recording, not by the gates.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::look::Look;
use super::*;
use crate::dialect::common::{Collector, Context, Format, ToolChoice};
use crate::dialect::recorded::{self, Recorded};

/// A recorded exchange in the common form. None where it is no answer of a model's, or an error under status 200.
fn exchange(recorded: &Recorded) -> Option<(Request, Answer)> {
    let ends = [
        ("/messages", Dialect::Anthropic),
        ("/v2/chat", Dialect::Cohere),
        ("/chat/completions", Dialect::Chat),
        ("/responses", Dialect::Responses),
        ("/converse", Dialect::Bedrock),
        ("/converse-stream", Dialect::Bedrock),
        ("enerateContent", Dialect::Gemini),
    ];
    let mut ends = ends.into_iter();
    let (_, dialect) = ends.find(|(end, _)| recorded.endpoint.ends_with(end))?;
    if recorded.status != 200 {
        return None;
    }
    let sent = recorded.request.to_string();
    let request = dialect
        .read_request(sent.as_bytes(), "m", recorded.stream)
        .ok()?;
    let context = Context::default();
    if !recorded.stream {
        let answer = dialect.read_answer(&recorded.body(), &context).ok()?;
        return Some((request, answer));
    }
    let mut frames = dialect.frames();
    let mut rest = recorded.body();
    // Some recordings have lost the blank line behind their last event.
    if dialect.framing() == crate::dialect::Framing::Events {
        rest.extend_from_slice(b"\n\n");
    }
    let mut bytes = frames.push(rest.into()).ok()?;
    let mut reader = dialect.reader(&context);
    let mut collector = Collector::default();
    while let Some(frame) = frames.next_of(&mut bytes) {
        let mut deltas = Vec::new();
        reader.read(&frame, &mut deltas).ok()?;
        deltas.into_iter().for_each(|delta| collector.push(delta));
    }
    let mut deltas = Vec::new();
    reader.end(&mut deltas);
    deltas.into_iter().for_each(|delta| collector.push(delta));
    Some((request, collector.finish().ok()?))
}

/// How providers write that an answer ended so.
const ENDS: [(&str, &str); 4] = [
    ("truncated", r#""(?i:length|max_tokens|max_output_tokens)""#),
    (
        "content_filter",
        r#""(?i:content_filter(ed)?|safety|prohibited_content|blocklist|model_armor|spii|image_safety|guardrail_intervened)""#,
    ),
    ("refusal", r#""refusal""#),
    (
        "invalid_tool_call",
        r#""(MALFORMED_FUNCTION_CALL|UNEXPECTED_TOOL_CALL|malformed_tool_use)""#,
    ),
];

/// The answers of models that the default gates were found to be right about by reading them: what a refusal begins with.
const READ: [&str; 1] =
    ["I'm not able to provide real-time information about the weather in Paris"];

/// The gates whose alarm a recording itself calls for, in the provider's words for the end.
fn told(recorded: &Recorded) -> Vec<&'static str> {
    static ENDINGS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
        let key = r#""(finish_?[rR]eason|stop_?[rR]eason|reason|blockReason)": ?"#;
        let regex = |end: &str| Regex::new(&[key, end].concat()).expect("an expression");
        ENDS.map(|(gate, end)| (gate, regex(end))).into()
    });
    let body = String::from_utf8_lossy(&recorded.body()).into_owned();
    let told = ENDINGS.iter().filter(|(_, end)| end.is_match(&body));
    told.map(|(gate, _)| *gate).collect()
}

/// Whether a gate's alarm is right, by the recording or another judge than the gate.
fn is_right(gate: &str, recorded: &Recorded, request: &Request, answer: &Answer) -> bool {
    if told(recorded).contains(&gate) {
        return true;
    }
    let look = Look::at(&answer.choices[0]);
    match gate {
        "refusal" => READ.iter().any(|read| look.text.starts_with(read)),
        "empty" => {
            let pieces = pieces(recorded);
            !pieces.is_empty() && !pieces.iter().any(says_something)
        }
        "invalid_tool_call" => {
            let is_missing =
                look.calls.is_empty() && request.tool_choice == Some(ToolChoice::Required);
            is_missing
                || look
                    .calls
                    .iter()
                    .any(|(name, arguments)| !is_callable(request, name, arguments))
        }
        _ => false,
    }
}

/// An answer's JSON, or that of each event of a stream. A binary stream has none.
fn pieces(recorded: &Recorded) -> Vec<Value> {
    let body = String::from_utf8_lossy(&recorded.body()).into_owned();
    let read = |text: &str| serde_json::from_str(text).ok();
    match read(&body) {
        Some(whole) => vec![whole],
        None => body
            .lines()
            .filter_map(|line| read(line.strip_prefix("data: ")?))
            .collect(),
    }
}

/// Whether there is a text anywhere in an answer's JSON that is no thought.
fn says_something(json: &Value) -> bool {
    match json {
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(members) => members.iter().any(|(name, member)| match member {
            Value::String(text) => {
                ["text", "content"].contains(&name.as_str()) && !text.trim().is_empty()
            }
            _ => !name.contains("reasoning") && name != "thinking" && says_something(member),
        }),
        _ => false,
    }
}

/// Whether a tool is offered and takes the arguments, as the reference library has it.
fn is_callable(request: &Request, name: &str, arguments: &str) -> bool {
    let Some(function) = request.functions().find(|function| function.name == name) else {
        return false;
    };
    let schema = function.parameters.as_ref().map(|schema| schema.value());
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    schema.is_none_or(|schema| jsonschema::is_valid(&schema, &arguments))
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gates.md");

/// What stands around what is written here.
const MARKS: [&str; 2] = [
    "<!-- Written by a test: UPDATE=1 cargo test gates_alarms -->\n",
    "<!-- Until here -->\n",
];

/// More false alarms than this would cost more than they save.
const FALSE_SHARE_MAX: f64 = 0.01;

#[test]
fn gates_alarms_over_all_recordings_are_right_and_stand_in_the_page() {
    if recorded::all().is_empty() {
        return;
    }
    let exchanges: Vec<_> = recorded::all()
        .iter()
        .filter_map(|recorded| Some((recorded, exchange(recorded)?)))
        .collect();
    let count = |is_counted: &dyn Fn(&Request, &Answer) -> bool| {
        let mut counted = 0;
        for (_, (request, answer)) in &exchanges {
            counted += usize::from(is_counted(request, answer));
        }
        counted
    };
    let mut table = format!(
        "Of {} answers, {} of them to requests for JSON and {} with tool calls:\n\n| gate | alarms | right | false | cannot tell |\n|---|--:|--:|--:|--:|\n",
        exchanges.len(),
        count(&|request, _| request.format != Format::Text),
        count(&|_, answer| answer
            .choices
            .iter()
            .any(|choice| !Look::at(choice).calls.is_empty())),
    );
    let mut false_alarms = 0;
    for gate in DEFAULT.into_iter().chain(["unsure", "wrong_language"]) {
        let gates = good(&format!("[{gate}]"));
        let (mut right, mut wrong, mut unknown) = (0, 0, 0);
        for (recorded, (request, answer)) in &exchanges {
            let judgement = judged(&gates, request, answer);
            match judgement.decisions[0].outcome {
                Outcome::Fired if is_right(gate, recorded, request, answer) => right += 1,
                Outcome::Fired => {
                    println!("false alarm of {gate}: {} {answer:?}", recorded.path);
                    wrong += 1;
                }
                Outcome::Unknown => unknown += 1,
                Outcome::Passed => {
                    let is_told = told(recorded).contains(&gate);
                    assert!(!is_told, "{gate} missed {} {answer:?}", recorded.path);
                }
            }
        }
        false_alarms += wrong;
        let alarms = right + wrong;
        writeln!(
            table,
            "| `{gate}` | {alarms} | {right} | {wrong} | {unknown} |"
        )
        .expect("a string takes all");
    }
    assert!(exchanges.len() > 100, "{}", exchanges.len());
    let share = f64::from(false_alarms) / exchanges.len() as f64;
    assert!(share < FALSE_SHARE_MAX, "{table}");

    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (before, rest) = page.split_once(MARKS[0]).expect("the first mark");
    let (stands, after) = rest.split_once(MARKS[1]).expect("the second mark");
    if std::env::var_os("UPDATE").is_some() {
        let page = [before, MARKS[0], &table, MARKS[1], after].concat();
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    assert!(
        stands == table,
        "docs/gates.md is stale: run UPDATE=1 cargo test gates_alarms"
    );
}

/// Characters of 32 tokens.
const BEGINNING: usize = 128;

#[test]
fn the_beginning_of_a_recorded_answer_is_judged_as_all_of_it() {
    let gates = good("[refusal, empty, unsure]");
    assert_eq!(gates.hold(), Hold::First(32));
    for (request, answer) in recorded::all().iter().filter_map(exchange) {
        let Some(choice) = answer.choices.first() else {
            continue;
        };
        let text: String = Look::at(choice).text.chars().take(BEGINNING).collect();
        let is_text = |part: &Part| matches!(part.content, Content::Text { .. });
        if text.is_empty() || !choice.parts.iter().all(is_text) {
            continue;
        }
        let beginning = of_parts(vec![Part::text(text)]);
        let opinions = Opinions::default();
        let evidence = |answer, is_whole| Evidence {
            request: &request,
            answer,
            is_whole,
            opinions: &opinions,
            seed: 0,
            clock: &Instant::now,
        };
        let is_escalated = |answer, is_whole| {
            let judgement = gates.judge(&evidence(answer, is_whole));
            matches!(judgement.verdict, Verdict::Escalated(_))
        };
        assert_eq!(
            is_escalated(&beginning, false),
            is_escalated(&answer, true),
            "{answer:?}"
        );
    }
}
