//! The bounds of requests, held against what recorded providers counted and against what that costs.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::prices::{Place, Prices};
use super::{Family, NoBound, Why, Worst, output_bound};
use crate::dialect::common::{Context, Delta};
use crate::dialect::recorded::{self, Recorded};
use crate::dialect::{Dialect, Incoming, Operation, Paid, PathFacts, Tier, Usage};

#[test]
fn explore() {
    let prices = Prices::default();
    let time = "2026-08-01T12:00:00Z".parse().unwrap();
    for (line, one) in recorded::all().iter().enumerate() {
        let Some((incoming, usage, model)) = exchange(one) else {
            continue;
        };
        let demand = incoming.demand();
        let place = Place {
            provider: &one.provider,
            address: "",
            house: None,
            is_own: false,
            model: &model,
        };
        let excess = usage.input_tokens as i64 - demand.text_tokens as i64;
        let tariff = prices.of(&place);
        let worst = tariff
            .as_ref()
            .map(|tariff| Worst::of(&demand, &model, tariff, time, output_bound(&model), &[]));
        let cost = tariff
            .and_then(|t| t.price(&usage, Tier::Standard, time))
            .map(|p| p.cost.usd());
        println!(
            "ROW {line} {:?} {} {model} in={} text={} excess={excess} tools={}+{} img={} out={} max={:?} cost={cost:?} worst={:?}",
            Family::of(&model),
            one.provider,
            usage.input_tokens,
            demand.text_tokens,
            demand.tools,
            demand.known_tools,
            demand.images,
            usage.output_tokens,
            demand.output_max,
            worst.map(|w| w.map(|w| (w.input_max(), w.output_max(), w.usd())))
        );
    }
}

fn exchange(one: &Recorded) -> Option<(Incoming, Usage, String)> {
    if one.status != 200 {
        return None;
    }
    let path = one.endpoint.as_str();
    let ends = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
    let dialect = match () {
        () if ends(&["/chat/completions"]) => Dialect::Chat,
        () if ends(&["/responses"]) => Dialect::Responses,
        () if ends(&["/messages"]) => Dialect::Anthropic,
        () if ends(&["enerateContent"]) => Dialect::Gemini,
        () if ends(&["/converse", "/converse-stream"]) => Dialect::Bedrock,
        () if ends(&["/v2/chat"]) => Dialect::Cohere,
        () => return None,
    };
    let usage = usage(one, dialect)?;
    let model = one.request["model"].as_str().map_or_else(
        || {
            let at = one
                .path
                .find("/models/")
                .map(|at| at + 8)
                .or_else(|| one.path.find("/model/").map(|at| at + 7))
                .unwrap_or(0);
            let rest = &one.path[at..];
            let end = rest
                .find(":generate")
                .or_else(|| rest.find(":stream"))
                .or_else(|| rest.find("/converse"))
                .unwrap_or(rest.len());
            rest[..end].replace("%3A", ":")
        },
        str::to_owned,
    );
    let facts = PathFacts {
        model: Some(model.clone()),
        stream: Some(one.stream),
    };
    let body = Bytes::from(one.request.to_string());
    let incoming = Incoming::read(Operation::Generate(dialect), body, facts).ok()?;
    Some((incoming, usage, model))
}

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
