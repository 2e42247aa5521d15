//! The bounds of requests, held against what recorded providers counted, and against what that costs. docs/bounds.md tells
//! by how much they are above it.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::prices::{Change, Place, Prices, Tariff};
use super::tokens::Tokens;
use super::{Family, NoBound, Why, Worst};
use crate::dialect::common::{Context, Delta};
use crate::dialect::recorded::{self, Recorded};
use crate::dialect::{
    Demand, Dialect, Incoming, Operation, PathFacts, Tier, Usage, embedding, scan,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bounds.md");

/// What stands around what is written here.
const MARKS: [&str; 2] = [
    "<!-- Written by a test: UPDATE=1 cargo test proved -->\n",
    "<!-- Until here -->\n",
];

#[test]
fn every_recorded_usage_is_within_its_bound_and_the_bounds_stand_in_the_page() {
    if recorded::all().is_empty() {
        return;
    }
    let prices = Prices::default();
    let time = "2026-08-01T12:00:00Z".parse().unwrap();
    let mut table = Table::default();
    for exchange in recorded::all().iter().filter_map(Exchange::of) {
        let place = Place {
            provider: exchange.provider,
            address: "",
            house: None,
            is_own: false,
            model: &exchange.model,
        };
        let tariff = prices.of(&place);
        exchange.check(tariff.as_deref(), time, &mut table);
    }
    let expected = ["\n", &table.written(), "\n"].concat();
    println!("{expected}");
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (before, rest) = page.split_once(MARKS[0]).expect("the first mark");
    let (written, after) = rest.split_once(MARKS[1]).expect("the second mark");
    if std::env::var_os("UPDATE").is_some() {
        let page = [before, MARKS[0], &expected, MARKS[1], after].concat();
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    let help = "docs/bounds.md is stale: run UPDATE=1 cargo test proved";
    assert!(written == expected, "{help}");
}

/// Callers ask for embeddings in OpenAI's form, whoever makes them.
#[test]
fn every_recorded_embedding_is_within_its_bound() {
    for one in recorded::all().iter().filter(|one| one.status == 200) {
        let dialect = match one.endpoint.rsplit(['/', ':']).next() {
            Some("embed") => Dialect::Cohere,
            Some("batchEmbedContents") => Dialect::Gemini,
            Some("invoke") => Dialect::Bedrock,
            _ => continue,
        };
        let request = &one.request;
        let text = &request["inputText"];
        let parts = request["requests"].as_array().into_iter().flatten();
        let parts = parts.map(|one| &one["content"]["parts"][0]["text"]);
        let texts = request["texts"].as_array().into_iter().flatten();
        let texts: Vec<_> = texts.chain(parts).chain([text]).collect();
        let texts: Vec<_> = texts.into_iter().filter(|text| text.is_string()).collect();
        let answer = embedding::read_answer(dialect, &one.body(), texts.len());
        let Ok((_, Some(usage))) = answer else {
            continue;
        };
        let body = serde_json::json!({"model": "m", "input": texts}).to_string();
        let operation = Operation::Embed(Dialect::Chat);
        let asked = Incoming::read(operation, body.into(), PathFacts::default()).unwrap();
        let worst = Worst::of(&asked.demand(), "m", &flat(), Utc::now(), None, &[]).unwrap();
        assert!(worst.input_max() >= usage.input_tokens, "{}", one.path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// As it is, and with every character escaped.
    #[test]
    fn no_text_has_more_tokens_than_its_bound(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}|[\u{FB00}-\u{FEFF}🙂-🧿]{0,50}") {
        let plain = serde_json::to_string(&text).unwrap();
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        let escaped = format!("\"{}\"", units.collect::<String>());
        let mut tokens = Tokens::default();
        tokens.add(&text);
        for said in [plain, escaped] {
            let body = format!(r#"{{"model":"m","input":{said}}}"#);
            let operation = Operation::Embed(Dialect::Chat);
            let asked = Incoming::read(operation, body.into(), PathFacts::default()).unwrap();
            prop_assert!(asked.demand().text_tokens >= tokens.total());
        }
    }
}

/// A price for what has none, so that at least its tokens are compared.
fn flat() -> Tariff {
    let listed = serde_json::from_str::<Vec<_>>(r#"[{"input":1,"output":1}]"#).unwrap();
    Tariff::new("flat", &listed, &Change::default())
}

/// A recorded request, and what was used for it.
struct Exchange<'a> {
    provider: &'a str,
    model: String,
    demand: Demand,
    usage: Usage,
    tier: Tier,
}

impl<'a> Exchange<'a> {
    fn of(one: &'a Recorded) -> Option<Self> {
        let ends = [
            ("/chat/completions", Dialect::Chat),
            ("/responses", Dialect::Responses),
            ("/messages", Dialect::Anthropic),
            ("enerateContent", Dialect::Gemini),
            ("/converse", Dialect::Bedrock),
            ("/converse-stream", Dialect::Bedrock),
            ("/v2/chat", Dialect::Cohere),
        ];
        let is_dialect = |(end, _): &(&str, Dialect)| one.endpoint.ends_with(end);
        let (_, dialect) = ends.into_iter().find(is_dialect)?;
        let model = one.request["model"].as_str().map(str::to_owned);
        let model = model.or_else(|| {
            let (_, name) = one
                .path
                .split_once("/models/")
                .or(one.path.split_once("/model/"))?;
            let end = name.find([':', '/']).unwrap_or(name.len());
            Some(name[..end].replace("%3A", ":"))
        })?;
        let path = PathFacts {
            model: Some(model.clone()),
            stream: Some(one.stream),
        };
        let body = Bytes::from(one.request.to_string());
        let asked = Incoming::read(Operation::Generate(dialect), body, path).ok()?;
        let answer = one.body();
        let tier = match scan::object(&answer) {
            Ok(object) if !one.stream => Tier::of_answer(dialect, &object),
            _ => Tier::Standard,
        };
        Some(Self {
            provider: &one.provider,
            model,
            demand: asked.demand(),
            usage: usage(one, dialect).filter(|_| one.status == 200)?,
            tier,
        })
    }

    fn check(&self, tariff: Option<&Tariff>, time: DateTime<Utc>, table: &mut Table) {
        let Self {
            model,
            demand,
            usage,
            ..
        } = self;
        let flat = flat();
        let known = tariff.unwrap_or(&flat);
        let worst = Worst::of(demand, model, known, time, None, &[]);
        let worst = match worst {
            Ok(worst) => worst,
            Err(NoBound { why, .. }) => {
                *table.refused.entry(why.to_string()).or_default() += 1;
                assert_ne!(why, Why::Price, "{model}");
                return;
            }
        };
        let name = format!("{} {model} {usage:?}", self.provider);
        assert!(worst.input_max() >= usage.input_tokens, "{name}");
        let output_max = worst.output_max() * demand.choices;
        assert!(output_max >= usage.output_tokens, "{name}");
        let cost = known.price(usage, self.tier, time).expect("a price");
        let cost = cost.cost.usd();
        assert!(worst.usd() >= cost, "{name}: {} < {cost}", worst.usd());
        let kind = match () {
            () if !demand.unbounded.is_empty() => "the whole window",
            () if demand.images + demand.audio_bytes > 0 => "pictures and sound",
            () if demand.tools + demand.known_tools > 0 => "text and functions",
            () => "text",
        };
        let row = table.rows.entry((family(model), kind)).or_default();
        row.tokens
            .push(ratio(worst.input_max(), usage.input_tokens));
        if tariff.is_some() && cost.pico() > 0 {
            row.costs.push(worst.usd().as_f64() / cost.as_f64());
        }
    }
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<(&'static str, &'static str), Row>,
    refused: BTreeMap<String, u64>,
}

/// Bounds over what was counted, and over what it cost.
#[derive(Default)]
struct Row {
    tokens: Vec<f64>,
    costs: Vec<f64>,
}

impl Table {
    fn written(self) -> String {
        let mut text = String::from(
            "| family | requests of | how many | tokens: least | median | priced | cost: least | median |\n\
             |---|---|--:|--:|--:|--:|--:|--:|\n",
        );
        let mut all = 0;
        for ((family, kind), row) in self.rows {
            let (count, priced) = (row.tokens.len(), row.costs.len());
            all += count;
            let [tokens, costs] = [row.tokens, row.costs].map(|mut ratios| {
                ratios.sort_by(f64::total_cmp);
                match ratios.get(ratios.len() / 2) {
                    Some(median) => format!("{:.1} | {median:.1}", ratios[0]),
                    None => "– | –".to_owned(),
                }
            });
            let _ = writeln!(
                text,
                "| {family} | {kind} | {count} | {tokens} | {priced} | {costs} |"
            );
        }
        let _ = writeln!(
            text,
            "\n{all} are within their bounds. The others have none:\n"
        );
        for (why, count) in self.refused {
            let _ = writeln!(text, "- {count}: {why}");
        }
        text
    }
}

fn ratio(bound: u64, counted: u64) -> f64 {
    bound as f64 / counted.max(1) as f64
}

fn family(model: &str) -> &'static str {
    match Family::of(model) {
        Family::OpenAi => "OpenAI",
        Family::Anthropic => "Anthropic",
        Family::Gemini => "Gemini",
        Family::Cohere => "Cohere",
        Family::Mistral => "Mistral",
        Family::Llama => "Llama",
        Family::Other => "others",
    }
}

/// What an answer says last of what it cost.
fn usage(one: &Recorded, dialect: Dialect) -> Option<Usage> {
    let body = one.body();
    if !one.stream {
        return dialect.usage(&body);
    }
    let mut reader = dialect.reader(&Context::default());
    let mut frames = dialect.frames();
    let mut whole = frames.push(Bytes::from(body)).ok()?;
    let mut deltas = Vec::new();
    while let Some(frame) = frames.next_of(&mut whole) {
        reader.read(&frame, &mut deltas).ok()?;
    }
    reader.end(&mut deltas);
    deltas.into_iter().rev().find_map(|delta| match delta {
        Delta::Usage(usage) => Some(usage),
        _ => None,
    })
}
