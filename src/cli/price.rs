//! `tollgate price`: what providers' answers cost.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lines;
use crate::dialect::{Dialect, Tier, Usage, scan};
use crate::spend::prices::{Atto, BUILT_IN, Form, Place, Prices, Reporting, Seller};

/// What `price` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// When the answers were given, as RFC 3339, where a line does not say its own `time`; now by default
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// JSON lines {provider, api, model, body, time?}; standard input by default
    file: Option<PathBuf>,
}

/// One answer.
#[derive(Deserialize)]
struct Question {
    /// As the catalogue calls it.
    provider: String,
    /// Which of its APIs answered: how the usage is written.
    #[serde(default)]
    api: Option<String>,
    model: String,
    /// What the provider answered.
    body: Box<RawValue>,
    time: Option<DateTime<Utc>>,
}

/// What it used and cost, unrounded.
#[derive(Serialize)]
struct Answer {
    usage: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Answers every line.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let prices = Prices::default();
    let at = arguments.at.unwrap_or_else(Utc::now);
    lines::answer(arguments.file.as_deref(), |question| {
        answer(&question, &prices, at)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn answer(question: &Question, prices: &Prices, at: DateTime<Utc>) -> Result<Answer> {
    let Question {
        provider, model, ..
    } = question;
    let seller = BUILT_IN
        .seller_called(provider)
        .with_context(|| format!("the catalogue knows no provider `{provider}`"))?;
    let reporting = reporting(seller, question.api.as_deref())?;
    let body = question.body.get().as_bytes();
    let usage = read(reporting, body).context("the body carries no usage")?;
    let place = Place {
        provider: &seller.id,
        address: "",
        house: Some(&seller.id),
        is_own: false,
        model,
    };
    let object = scan::object(body).context("the body")?;
    let tier = Tier::of_answer(dialect(reporting.dialect), &object);
    let time = question.time.unwrap_or(at);
    let tariff = prices.of(&place);
    let priced = tariff.and_then(|tariff| tariff.price(&usage, tier, time));
    let cost = priced.as_ref().map(|priced| &priced.cost);
    let told = |amount: Atto| amount.to_string();
    Ok(Answer {
        usage: shown(&usage),
        input_usd: cost.map(|cost| told(cost.input)),
        output_usd: cost.map(|cost| told(cost.output)),
        usd: cost.map(|cost| told(cost.total())),
        error: cost
            .is_none()
            .then(|| format!("the catalogue has no price of `{model}` at `{}`", seller.id)),
    })
}

fn reporting<'a>(seller: &'a Seller, api: Option<&str>) -> Result<&'a Reporting> {
    let apis = &seller.apis;
    let named = match api {
        Some(api) => apis.get(api),
        None => apis.get("default").or_else(|| apis.get("chat")),
    };
    named.ok_or_else(|| {
        let known: Vec<&str> = apis.keys().map(String::as_str).collect();
        anyhow!(
            "`{}` has no API `{}` whose usage is known; it has: {}",
            seller.id,
            api.unwrap_or("default"),
            known.join(", ")
        )
    })
}

/// What the body says was used, as far as the API reports it.
fn read(reporting: &Reporting, body: &[u8]) -> Option<Usage> {
    let usage = dialect(reporting.dialect).usage(body)?;
    let mut parts = usage.parts();
    for (name, count) in Usage::NAMES.iter().zip(&mut parts) {
        if !reporting.parts.iter().any(|part| part == name) {
            *count = 0;
        }
    }
    Some(Usage::from_parts(parts))
}

const fn dialect(form: Form) -> Dialect {
    match form {
        Form::Chat | Form::Embeddings => Dialect::Chat,
        Form::Responses => Dialect::Responses,
        Form::Anthropic => Dialect::Anthropic,
        Form::Gemini => Dialect::Gemini,
        Form::Bedrock => Dialect::Bedrock,
        Form::Cohere => Dialect::Cohere,
    }
}

/// Zeros are left out.
fn shown(usage: &Usage) -> serde_json::Map<String, serde_json::Value> {
    let parts = Usage::NAMES.iter().zip(usage.parts());
    parts
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| ((*name).to_owned(), count.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(line: &str) -> serde_json::Value {
        let prices = Prices::default();
        let at = "2026-08-01T12:00:00Z".parse().unwrap();
        let question: Question = serde_json::from_str(line).unwrap();
        let answer = answer(&question, &prices, at).unwrap();
        serde_json::to_value(answer).unwrap()
    }

    #[test]
    fn an_answer_is_priced_to_the_last_digit() {
        let line = r#"{"provider":"anthropic","api":"default","model":"claude-sonnet-4-5","body":{"usage":
            {"input_tokens":7,"cache_read_input_tokens":1001,"output_tokens":3}}}"#;
        let expected = serde_json::json!({
            "usage": {"input_tokens": 1008, "cache_read_tokens": 1001, "output_tokens": 3},
            "input_usd": "0.0003213", "output_usd": "0.000045", "usd": "0.0003663",
        });
        assert_eq!(priced(line), expected);
    }

    #[test]
    fn the_time_of_a_line_goes_before_the_common_one() {
        let line = |time: &str| {
            let line = format!(
                r#"{{"provider":"deepseek","api":"chat","model":"deepseek-chat","time":"{time}",
                "body":{{"usage":{{"prompt_tokens":1000000,"completion_tokens":0}}}}}}"#
            );
            priced(&line)["usd"].clone()
        };
        assert_eq!(line("2026-08-01T12:00:00Z"), "0.27");
        assert_eq!(line("2026-08-01T20:00:00Z"), "0.135");
    }

    #[test]
    fn what_has_no_price_says_so() {
        let line = r#"{"provider":"openai","api":"chat","model":"nobody-s","body":{"usage":{"prompt_tokens":1}}}"#;
        let answer = priced(line);
        assert_eq!(answer["usage"]["input_tokens"], 1);
        assert!(
            answer["error"].as_str().unwrap().contains("nobody-s"),
            "{answer}"
        );
    }

    /// The usages of real answers and what they cost, priced by another project for 2026-08-01. docs/prices.md explains
    /// each that we do not agree on.
    #[test]
    fn recorded_usages_cost_what_they_did() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/prices/usages-dev.jsonl"
        );
        let Ok(lines) = std::fs::read_to_string(file) else {
            eprintln!("skipped: no recordings");
            return;
        };
        let digits = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let mut differing = Vec::new();
        for line in lines.lines() {
            let wanted: serde_json::Value = serde_json::from_str(line).unwrap();
            let found = priced(line);
            // One of them writes 8E-7, and 0.00.
            let same = |name: &str| {
                let wanted = digits(&wanted[name]).map(|text| plain(&text));
                wanted == digits(&found[name])
            };
            if wanted["usage"] != found["usage"] || !same("input_usd") || !same("output_usd") {
                differing.push(format!("{} {} {found}", wanted["provider"], wanted["body"]));
            }
        }
        // The one served by Google's flex tier, at half the price.
        assert!(differing.len() <= 1, "{differing:#?}");
    }

    /// A decimal in any notation, as we write it.
    fn plain(text: &str) -> String {
        let (digits, exponent) = text.split_once('E').unwrap_or((text, "0"));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let exponent: i32 = exponent.parse().unwrap();
        let places = 30 + exponent - i32::try_from(rest.len()).unwrap();
        let value: i128 = [whole, rest].concat().parse().unwrap();
        let value = value * 10_i128.pow(u32::try_from(places).unwrap());
        Atto(value / 10_i128.pow(12)).to_string()
    }
}
