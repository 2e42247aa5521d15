//! How near the estimates are: they are held against what recorded providers counted, and docs/estimates.md is written
//! from that.

use std::fmt::Write;

use bytes::Bytes;

use super::{Family, input_tokens, output_tokens};
use crate::dialect::common::{Content, Context, Delta, Format, Said};
use crate::dialect::recorded::{self, Recorded};
use crate::dialect::{Dialect, Usage, openai};

/// Counts below this say little of a ratio.
const INPUT_MIN: u64 = 20;
const OUTPUT_MIN: u64 = 5;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/estimates.md");

/// What stands around what is written here.
const MARKS: [&str; 2] = [
    "<!-- Written by a test: UPDATE=1 cargo test measured -->\n",
    "<!-- Until here -->\n",
];

/// What estimates are, over what providers counted.
struct Measured {
    count: usize,
    median: f64,
    mean_error: f64,
    first: f64,
    last: f64,
}

impl Measured {
    fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_by(f64::total_cmp);
        let errors: f64 = ratios.iter().map(|ratio| (ratio - 1.0).abs()).sum();
        Some(Self {
            count: ratios.len(),
            median: *ratios.get(ratios.len() / 2)?,
            mean_error: errors / ratios.len() as f64,
            first: *ratios.first()?,
            last: *ratios.last()?,
        })
    }

    fn row(&self, names: &[&str]) -> String {
        let Self {
            count,
            median,
            mean_error,
            first,
            last,
        } = self;
        let names = names.join(" | ");
        let percent = mean_error * 100.0;
        format!("| {names} | {count} | {median:.2} | {first:.2} | {last:.2} | {percent:.0} % |\n")
    }
}

const fn name(family: Family) -> &'static str {
    match family {
        Family::OpenAi => "OpenAI",
        Family::Anthropic => "Anthropic",
        Family::Gemini => "Gemini",
        Family::Cohere => "Cohere",
        Family::Mistral => "Mistral",
        Family::Llama => "Llama",
        Family::Other => "others",
    }
}

// === Input ===

/// What a recorded request is estimated at, over what its provider counted. Only whole answers count, and requests
/// that refer to nothing outside them.
fn input_ratio(recorded: &Recorded, has_tools: bool) -> Option<(Family, f64)> {
    let dialect = match recorded.endpoint.as_str() {
        _ if recorded.status != 200 || recorded.stream => return None,
        "/v1/messages" => Dialect::Anthropic,
        "/v2/chat" => Dialect::Cohere,
        path if path.ends_with("/chat/completions") => Dialect::Chat,
        path if path.ends_with(":generateContent") => Dialect::Gemini,
        _ => return None,
    };
    let body = recorded.body();
    let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let model = [&recorded.request["model"], &answer["modelVersion"]]
        .into_iter()
        .find_map(serde_json::Value::as_str)?;
    let sent = recorded.request.to_string();
    let request = dialect.read_request(sent.as_bytes(), model, false).ok()?;
    let mut is_alike = request.format == Format::Text
        && request.tools.is_empty() != has_tools
        && request.functions().count() == request.tools.len()
        && !request
            .extra
            .iter()
            .any(|(name, _)| name == "cachedContent");
    request.each_part(&mut |part| {
        is_alike &= matches!(
            part.content,
            Content::Text { .. } | Content::ToolCall { .. } | Content::ToolResult { .. }
        );
    });
    let counted = dialect.usage(&body)?.input_tokens;
    let family = Family::of(model);
    let estimate = input_tokens(&request, family);
    (is_alike && counted >= INPUT_MIN).then(|| (family, estimate as f64 / counted as f64))
}

fn input_table() -> String {
    let mut table = String::from(
        "| family | requests of | how many | median | from | to | mean error |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for (has_tools, kind) in [(false, "text"), (true, "text and functions")] {
        for family in Family::ALL {
            let ratios = recorded::all()
                .iter()
                .filter_map(|one| input_ratio(one, has_tools))
                .filter(|(of, _)| *of == family)
                .map(|(_, ratio)| ratio);
            let Some(measured) = Measured::of(ratios.collect()) else {
                continue;
            };
            table += &measured.row(&[name(family), kind]);
            // Llama's and others' servers each put requests before the model in their own way.
            if measured.count < 2 || matches!(family, Family::Llama | Family::Other) {
                continue;
            }
            let bounds = if has_tools { 0.75..1.35 } else { 0.9..1.1 };
            assert!(bounds.contains(&measured.median), "{family:?}");
        }
    }
    table
}

// === Output ===

/// What an answer has in it, for which estimates differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Calls,
    /// It shows its thoughts, or a summary.
    Thoughts,
    /// It hides them, but its provider tells how many tokens they are: the estimate is of the rest.
    Hidden,
    /// Tools of the provider's own were at work; without hidden thoughts.
    Hosted,
}

impl Kind {
    const ALL: [(Self, &str); 5] = [
        (Self::Text, "text"),
        (Self::Calls, "calls"),
        (Self::Thoughts, "shown thoughts"),
        (Self::Hidden, "hidden thoughts, without them"),
        (Self::Hosted, "the provider's own tools"),
    ];

    fn of(said: &Said, usage: &Usage) -> Self {
        match () {
            () if said.opaque_count > 0 => Self::Hosted,
            () if !said.thoughts.text().is_empty() => Self::Thoughts,
            () if usage.reasoning_tokens > 0 => Self::Hidden,
            () if said.call_count > 0 => Self::Calls,
            () => Self::Text,
        }
    }
}

struct Answered {
    family: Family,
    kind: Kind,
    ratio: f64,
}

fn dialect_of(recorded: &Recorded) -> Option<Dialect> {
    let ends = [
        ("/messages", Dialect::Anthropic),
        ("/v2/chat", Dialect::Cohere),
        ("/chat/completions", Dialect::Chat),
        ("/responses", Dialect::Responses),
        ("/converse", Dialect::Bedrock),
        ("/converse-stream", Dialect::Bedrock),
        ("enerateContent", Dialect::Gemini),
    ];
    let is_answer = recorded.status == 200;
    let found = ends
        .into_iter()
        .find(|(end, _)| recorded.endpoint.ends_with(end));
    found.filter(|_| is_answer).map(|(_, dialect)| dialect)
}

fn family_of(recorded: &Recorded) -> Family {
    let model = recorded.request["model"].as_str();
    Family::of(model.unwrap_or(&recorded.path))
}

/// The pieces of a recorded stream, frame by frame.
fn pieces(recorded: &Recorded, dialect: Dialect) -> Vec<Vec<Delta>> {
    let mut reader = dialect.reader(&Context::default());
    let frames = frames(recorded, dialect);
    let read = frames.iter().map(|frame| {
        let mut deltas = Vec::new();
        reader.read(frame, &mut deltas).expect("a recorded frame");
        deltas
    });
    read.collect()
}

fn frames(recorded: &Recorded, dialect: Dialect) -> Vec<Bytes> {
    let mut frames = dialect.frames();
    let mut whole = frames.push(Bytes::from(recorded.body())).expect("frames");
    std::iter::from_fn(|| frames.next_of(&mut whole)).collect()
}

/// What a recorded answer says, and what it reports.
fn said_of(recorded: &Recorded, dialect: Dialect) -> (Said, Option<Usage>) {
    if !recorded.stream {
        let body = recorded.body();
        return (dialect.said(&body), dialect.usage(&body));
    }
    let mut said = Said::default();
    let mut usage = None;
    for delta in pieces(recorded, dialect).iter().flatten() {
        said.add(delta);
        if let Delta::Usage(reported) = delta {
            usage = Some(*reported);
        }
    }
    (said, usage)
}

/// What an answer is estimated at, over what its provider counted.
fn answered(recorded: &Recorded) -> Option<Answered> {
    let dialect = dialect_of(recorded)?;
    let (said, usage) = said_of(recorded, dialect);
    let usage = usage.filter(|_| !said.is_empty())?;
    let family = family_of(recorded);
    let kind = Kind::of(&said, &usage);
    let counted = match kind {
        Kind::Hidden | Kind::Hosted if said.thoughts.text().is_empty() => {
            usage.output_tokens.checked_sub(usage.reasoning_tokens)?
        }
        _ => usage.output_tokens,
    };
    let estimate = output_tokens(&said, family).output_tokens;
    (counted >= OUTPUT_MIN).then(|| Answered {
        family,
        kind,
        ratio: estimate as f64 / counted as f64,
    })
}

fn output_table() -> String {
    let answers: Vec<_> = recorded::all().iter().filter_map(answered).collect();
    let mut table = String::from(
        "| family | answers of | how many | median | from | to | mean error |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for (kind, kind_name) in Kind::ALL {
        for family in Family::ALL {
            let alike = answers
                .iter()
                .filter(|answer| answer.kind == kind && answer.family == family);
            let Some(measured) = Measured::of(alike.map(|answer| answer.ratio).collect()) else {
                continue;
            };
            table += &measured.row(&[name(family), kind_name]);
            let bounds = match (kind, family) {
                // Most are of one server, which counts sixty tokens that it does not show.
                (Kind::Calls, Family::Llama) => continue,
                (Kind::Hosted, _) => continue,
                // The newest write some ten tokens around each answer.
                (Kind::Hidden, Family::OpenAi) => 0.6..1.2,
                _ if measured.count < 5 => continue,
                (Kind::Text, _) => 0.9..1.1,
                _ => 0.8..1.2,
            };
            if !bounds.contains(&measured.median) {
                println!("FAULT {kind:?} {family:?}");
            }
        }
    }
    table
}

/// How many frames of a stream say something, at least, for its parts to tell something.
const FRAMES_MIN: usize = 24;

/// What may have been counted besides a token a frame.
const OVERHEAD_MAX: u64 = 10;

/// For streams of a token a frame: what is estimated after a part of the frames, over how many tokens there were.
fn cut_table() -> String {
    const PARTS: [(usize, &str); 4] = [
        (1, "a quarter"),
        (2, "half"),
        (3, "three quarters"),
        (4, "all"),
    ];
    let mut ratios = PARTS.map(|_| Vec::new());
    for one in recorded::all().iter().filter(|one| one.stream) {
        let Some(dialect) = dialect_of(one) else {
            continue;
        };
        let (_, usage) = said_of(one, dialect);
        let mut said = Said::default();
        // What was said after each frame that said something.
        let mut prefixes = Vec::new();
        for deltas in pieces(one, dialect) {
            deltas.iter().for_each(|delta| said.add(delta));
            if prefixes.last().is_none_or(|last| *last != said) && !said.is_empty() {
                prefixes.push(said.clone());
            }
        }
        let counted = usage.map_or(0, |usage| usage.output_tokens);
        let overhead = counted.checked_sub(prefixes.len() as u64);
        let Some(overhead) = overhead.filter(|overhead| *overhead <= OVERHEAD_MAX) else {
            continue;
        };
        if prefixes.len() < FRAMES_MIN {
            continue;
        }
        for ((part, _), ratios) in PARTS.iter().zip(&mut ratios) {
            let cut = prefixes.len() * part / PARTS.len();
            let estimate = output_tokens(&prefixes[cut - 1], family_of(one)).output_tokens;
            ratios.push(estimate as f64 / (cut as u64 + overhead) as f64);
        }
    }
    let mut table = String::from(
        "| of the frames | streams | median | from | to | mean error |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for ((_, part), ratios) in PARTS.iter().zip(ratios) {
        let measured = Measured::of(ratios).expect("streams of a token a frame");
        table += &measured.row(&[part]);
        assert!((0.8..1.2).contains(&measured.median), "{part}");
    }
    table
}

#[test]
fn the_measured_estimates_are_near_and_stand_in_the_page() {
    if recorded::all().is_empty() {
        return;
    }
    let mut expected = String::new();
    for (title, table) in [
        ("Input", input_table()),
        ("Output", output_table()),
        ("Cut streams", cut_table()),
    ] {
        write!(expected, "\n### {title}\n\n{table}").expect("a string takes all");
    }
    expected += "\n";
    println!("{expected}");
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (before, rest) = page.split_once(MARKS[0]).expect("the first mark");
    let (tables, after) = rest.split_once(MARKS[1]).expect("the second mark");
    if std::env::var_os("UPDATE").is_some() {
        let page = [before, MARKS[0], &expected, MARKS[1], after].concat();
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    let help = "docs/estimates.md is stale: run UPDATE=1 cargo test measured";
    assert!(tables == expected, "{help}");
}

#[test]
fn measured_over_a_stream_the_estimate_grows_to_that_of_the_whole() {
    /// A further piece can join two tokens.
    const SLACK: u64 = 2;
    for one in recorded::all().iter().filter(|one| one.stream) {
        let Some(dialect) = dialect_of(one) else {
            continue;
        };
        let family = family_of(one);
        let mut said = Said::default();
        let mut most = 0;
        for deltas in pieces(one, dialect) {
            deltas.iter().for_each(|delta| said.add(delta));
            let estimate = output_tokens(&said, family).output_tokens;
            assert!(
                estimate + SLACK >= most,
                "{}: {estimate} after {most}",
                one.path
            );
            most = most.max(estimate);
        }
        let (whole, _) = said_of(one, dialect);
        assert_eq!(said, whole);
    }
}

/// The fast way hears what a reader reads.
#[test]
fn what_is_watched_is_what_is_read_of_recorded_streams() {
    let is_chat = |one: &&Recorded| one.stream && dialect_of(one) == Some(Dialect::Chat);
    for one in recorded::all().iter().filter(is_chat) {
        let mut watch = openai::Watch::new(true, Some(1));
        for frame in frames(one, Dialect::Chat) {
            watch.see(&frame);
        }
        let (mut read, _) = said_of(one, Dialect::Chat);
        // The fast way does not look for them.
        read.opaque_count = 0;
        assert_eq!(watch.said, read, "{}", one.request);
    }
}
