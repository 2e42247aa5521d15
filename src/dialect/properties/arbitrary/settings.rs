//! What the model may call, and how it shall answer.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::json;

use super::content::caches;
use super::{Palette, objects, texts};
use crate::dialect::Dialect;
use crate::dialect::common::{
    Effort, Feature, Format, Function, Json, Reasoning, Request, ThinkingBudget, ToolChoice,
};

/// How many tools there may be.
const TOOLS: usize = 3;

pub(super) fn tool_name(number: usize) -> String {
    format!("tool_{}", number % TOOLS)
}

pub(super) fn functions(palette: &Palette) -> BoxedStrategy<Vec<Function>> {
    if !palette.allows(Feature::Tools) {
        return Just(Vec::new()).boxed();
    }
    let schema = objects().prop_map(|json| {
        let members = json.as_str()[1..].trim_start();
        let comma = if members == "}" { "" } else { "," };
        let text = format!(r#"{{"type": "object"{comma}{members}"#);
        Json::parse(&text).expect("a schema")
    });
    let function = (
        option::of(texts()),
        option::of(schema),
        palette.when(Feature::ToolStrict, any::<bool>()),
        caches(palette),
    );
    // All or none of them, so that a call is of one.
    prop_oneof![3 => vec(function, TOOLS), 1 => Just(Vec::new())]
        .prop_map(|functions| {
            let functions = functions.into_iter().enumerate();
            functions
                .map(
                    |(number, (description, parameters, strict, cache))| Function {
                        name: tool_name(number),
                        description,
                        parameters,
                        strict,
                        cache,
                    },
                )
                .collect()
        })
        .boxed()
}

pub(super) fn choices(palette: &Palette) -> BoxedStrategy<Option<ToolChoice>> {
    use Feature as F;
    if !palette.allows(F::Tools) {
        return Just(None).boxed();
    }
    let mut kinds = vec![Just(None).boxed(), Just(Some(ToolChoice::Auto)).boxed()];
    for (feature, choice) in [
        (F::ToolChoiceNone, ToolChoice::None),
        (F::ToolChoiceRequired, ToolChoice::Required),
        (F::ToolChoiceNamed, ToolChoice::Named(tool_name(1))),
    ] {
        if palette.allows(feature) {
            kinds.push(Just(Some(choice)).boxed());
        }
    }
    if palette.allows(F::ToolChoiceAllowed) {
        let allowed = (1..=TOOLS, any::<bool>()).prop_map(|(count, required)| {
            let names = (0..count).map(tool_name).collect();
            Some(ToolChoice::Allowed { names, required })
        });
        kinds.push(allowed.boxed());
    }
    Union::new(kinds).boxed()
}

pub(super) fn formats(palette: &Palette) -> BoxedStrategy<Format> {
    let mut kinds = vec![Just(Format::Text).boxed()];
    if palette.allows(Feature::JsonObject) {
        kinds.push(Just(Format::Json).boxed());
    }
    if palette.allows(Feature::JsonSchema) {
        let schema = (
            option::of("[a-z_]{1,8}"),
            option::of(texts()),
            objects(),
            option::of(any::<bool>()),
        );
        let schema = schema.prop_map(|(name, description, schema, strict)| Format::Schema {
            name,
            description,
            schema,
            strict,
        });
        kinds.push(schema.boxed());
    }
    Union::new(kinds).boxed()
}

pub(super) fn reasonings(palette: &Palette) -> BoxedStrategy<Option<Reasoning>> {
    let effort = prop::sample::select(vec![
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::XHigh,
        Effort::Max,
    ]);
    let budget = prop_oneof![
        Just(ThinkingBudget::Off),
        Just(ThinkingBudget::Dynamic),
        (1_024_u64..40_000).prop_map(ThinkingBudget::Tokens),
    ];
    let how_much = prop_oneof![
        effort.prop_map(|effort| (Some(effort), None)),
        budget.prop_map(|budget| (None, Some(budget))),
    ];
    let how_much = palette.when(Feature::Reasoning, how_much);
    let show = palette.when(Feature::ShowThinking, any::<bool>());
    (how_much, show)
        .prop_map(|(how_much, show)| {
            let (effort, budget) = how_much.unwrap_or_default();
            let reasoning = Reasoning {
                effort,
                budget,
                show,
            };
            (reasoning != Reasoning::default()).then_some(reasoning)
        })
        .boxed()
}

/// A number that JSON's readers and writers agree on to the last bit.
fn numbers(range: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = f64> {
    range.prop_map(|sixty_fourths| f64::from(sixty_fourths) / 64.0)
}

/// Settings, each of which fills in its field.
pub(super) fn settings(palette: &Palette) -> BoxedStrategy<Request> {
    use Feature as F;
    let sampling = (
        palette.when(F::MaxTokens, 1_u64..100_000),
        palette.when(F::Temperature, numbers(0..=128)),
        palette.when(F::TopP, numbers(0..=64)),
        palette.when(F::TopK, 1_u64..2_000),
        palette.when(F::Seed, any::<i64>()),
        palette.when(F::N, 1_u64..5),
        palette.when(F::Logprobs, 0_u64..30),
        palette.when(F::PresencePenalty, numbers(-128..=128)),
        palette.when(F::FrequencyPenalty, numbers(-128..=128)),
    );
    let account = (
        palette.when(F::LogitBias, Just(Json::of(&json!({"50256": -100})))),
        palette.when(F::User, "[a-z]{1,8}"),
        palette.when(
            F::Metadata,
            Just(Json::of(&json!({"team": "a", "Über uns": "ja, 1"}))),
        ),
        palette.when(
            F::ServiceTier,
            prop::sample::select(&["auto", "default", "flex", "priority", "special"][..]),
        ),
        palette.when(F::Store, any::<bool>()),
        palette.when(
            F::Verbosity,
            prop::sample::select(&["low", "medium", "high"][..]),
        ),
        palette.when(F::Stop, prop_oneof![vec(texts(), 1..4), vec(texts(), 6)]),
        palette.when(F::ParallelToolCalls, any::<bool>()),
    );
    (sampling, account)
        .prop_map(|(sampling, account)| {
            let (logit_bias, user, metadata, tier, store, verbosity, stop, parallel) = account;
            let (max_tokens, temperature, top_p, top_k, seed, n, logprobs, presence, frequency) =
                sampling;
            Request {
                max_tokens,
                temperature,
                top_p,
                top_k,
                seed,
                n,
                logprobs,
                presence_penalty: presence,
                frequency_penalty: frequency,
                logit_bias,
                user,
                metadata,
                service_tier: tier.map(str::to_owned),
                store,
                verbosity: verbosity.map(str::to_owned),
                stop: stop.unwrap_or_default(),
                parallel_tool_calls: parallel,
                ..Request::new(Dialect::Chat, "m")
            }
        })
        .boxed()
}
