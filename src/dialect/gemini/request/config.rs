//! `generationConfig`, both ways.

use super::read::camel;
use crate::dialect::common::{
    Dropped, Effort, Feature, Format, Json, Outgoing, Reasoning, Request, ThinkingBudget,
};
use crate::dialect::gemini::wire::{GenerationConfig, Many, Raw, Text, ThinkingConfig, Whole};
use crate::dialect::gemini::{schema, thinking};
use crate::dialect::{Dialect, Error};

const PATH: &str = "generationConfig.";
const THINKING_PATH: &str = "generationConfig.thinkingConfig.";

/// Reads a caller's.
pub fn read(config: GenerationConfig<'_>, request: &mut Request) -> Result<(), Error> {
    request.temperature = config.temperature;
    request.top_p = config.top_p;
    request.presence_penalty = config.presence_penalty;
    request.frequency_penalty = config.frequency_penalty;
    request.top_k = config.top_k.map(|count| count.0);
    request.n = config.candidate_count.map(|count| count.0);
    request.max_tokens = config.max_output_tokens.map(|count| count.0);
    request.seed = config.seed.map(|seed| seed.0);
    let stops = config.stop_sequences.unwrap_or_default().0;
    request.stop = stops.iter().map(Text::owned).collect();
    match (config.response_logprobs, config.logprobs) {
        (Some(true), count) => request.logprobs = Some(count.map_or(0, |count| count.0)),
        (said, count) => {
            let said = said.map(|said| ("responseLogprobs", Json::of(&said)));
            let count = count.map(|count| ("logprobs", Json::of(&count)));
            let kept = said.into_iter().chain(count);
            request
                .extra
                .extend(kept.map(|(name, json)| ([PATH, name].concat(), json)));
        }
    }
    read_format(
        config.response_mime_type,
        config.response_json_schema,
        config.response_schema,
        request,
    );
    if let Some(thinking) = config.thinking_config {
        read_thinking(thinking, request)?;
    }
    for (name, raw) in config.rest {
        request
            .extra
            .push(([PATH, &camel(&name)].concat(), raw.json()));
    }
    Ok(())
}

fn read_format(
    mime_type: Option<Text<'_>>,
    json_schema: Option<Raw<'_>>,
    googles_schema: Option<Raw<'_>>,
    request: &mut Request,
) {
    match mime_type.as_deref() {
        None | Some("" | "text/plain" | "application/json") => {}
        // Such as `text/x.enum`, whose schema is no JSON's.
        Some(other) => {
            let kept = [
                ("responseMimeType", Some(Json::of(&other))),
                ("responseJsonSchema", json_schema.map(|raw| raw.json())),
                ("responseSchema", googles_schema.map(|raw| raw.json())),
            ];
            for (name, json) in kept {
                let json = json.map(|json| ([PATH, name].concat(), json));
                request.extra.extend(json);
            }
            return;
        }
    }
    let schema = match (json_schema, googles_schema) {
        (Some(schema), _) => Some(schema.json()),
        (None, Some(schema)) => {
            Some(schema::json_schema(schema.as_str()).unwrap_or_else(|| schema.json()))
        }
        (None, None) => None,
    };
    request.format = match schema {
        Some(schema) => Format::Schema {
            name: None,
            description: None,
            schema,
            strict: None,
        },
        None if mime_type.as_deref() == Some("application/json") => Format::Json,
        None => Format::Text,
    };
}

fn read_thinking(config: ThinkingConfig<'_>, request: &mut Request) -> Result<(), Error> {
    let effort = match config.thinking_level.as_deref() {
        None | Some("" | "THINKING_LEVEL_UNSPECIFIED") => None,
        Some(level) => match Effort::named(level) {
            Some(effort) => Some(effort),
            None => {
                let path = [THINKING_PATH, "thinkingLevel"].concat();
                let message = format!("`{path}` must be MINIMAL, LOW, MEDIUM or HIGH");
                return Err(Error::invalid(&path, message));
            }
        },
    };
    let budget = match config.thinking_budget.map(|budget| budget.0) {
        None => None,
        Some(0) => Some(ThinkingBudget::Off),
        Some(-1) => Some(ThinkingBudget::Dynamic),
        Some(tokens) => match u64::try_from(tokens) {
            Ok(tokens) => Some(ThinkingBudget::Tokens(tokens)),
            Err(_) => {
                let path = [THINKING_PATH, "thinkingBudget"].concat();
                let message = format!("`{path}` must be -1 or more");
                return Err(Error::invalid(&path, message));
            }
        },
    };
    if effort.is_some() || budget.is_some() || config.include_thoughts.is_some() {
        request.reasoning = Some(Reasoning {
            effort,
            budget,
            show: config.include_thoughts,
        });
    }
    for (name, raw) in config.rest {
        let path = [THINKING_PATH, &camel(&name)].concat();
        request.extra.push((path, raw.json()));
    }
    Ok(())
}

/// The most stop sequences that Google takes.
const STOPS_MAX: usize = 5;

/// Writes a provider's.
pub fn write<'a>(
    request: &'a Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> GenerationConfig<'a> {
    let (mime_type, schema) = match &request.format {
        Format::Text => (None, None),
        Format::Json => (Some("application/json"), None),
        Format::Schema {
            schema,
            description,
            ..
        } => {
            if description.is_some() {
                dropped.note(Feature::JsonSchema);
            }
            (Some("application/json"), Some(Raw::Carried(schema)))
        }
    };
    if request.stop.len() > STOPS_MAX {
        dropped.note(Feature::Stop);
    }
    let stops = request.stop.iter().take(STOPS_MAX);
    let stops: Vec<Text<'_>> = stops.map(|stop| stop.as_str().into()).collect();
    GenerationConfig {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k.map(Whole),
        candidate_count: request.n.map(Whole),
        max_output_tokens: request.max_tokens.map(Whole),
        stop_sequences: (!stops.is_empty()).then_some(Many(stops)),
        seed: request.seed.map(|seed| Whole(folded(seed))),
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.filter(|count| *count > 0).map(Whole),
        response_mime_type: mime_type.map(Text::from),
        response_schema: None,
        response_json_schema: schema,
        thinking_config: thinking_config(request, to, dropped),
        rest: extras(request, PATH, &["thinkingConfig"]),
    }
}

/// Google's seed has 32 bits. The same seed becomes the same, which is all that a seed is for.
fn folded(seed: i64) -> i64 {
    match i32::try_from(seed) {
        Ok(seed) => seed.into(),
        Err(_) => ((seed >> 32) ^ (seed & 0x7fff_ffff)) & 0x7fff_ffff,
    }
}

fn thinking_config<'a>(
    request: &'a Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Option<ThinkingConfig<'a>> {
    let mut config = match &request.reasoning {
        None => None,
        // In Google's own words, which are left as they are.
        Some(reasoning) if request.source == Dialect::Gemini => Some(ThinkingConfig {
            include_thoughts: reasoning.show,
            thinking_budget: reasoning.budget.map(|budget| {
                Whole(match budget {
                    ThinkingBudget::Off => 0,
                    ThinkingBudget::Dynamic => -1,
                    ThinkingBudget::Tokens(tokens) => i64::try_from(tokens).unwrap_or(i64::MAX),
                })
            }),
            thinking_level: reasoning
                .effort
                .map(|effort| Text::from(effort.name().to_ascii_uppercase())),
            rest: Vec::new(),
        }),
        Some(reasoning) => {
            let (config, is_whole) =
                thinking::config(reasoning, request.shows_thoughts(), to.model);
            if !is_whole {
                dropped.note(Feature::Reasoning);
            }
            if reasoning.show == Some(true) && config.is_none() {
                dropped.note(Feature::ShowThinking);
            }
            config
        }
    };
    let rest = extras(request, THINKING_PATH, &[]);
    if !rest.is_empty() {
        config.get_or_insert_default().rest = rest;
    }
    config
}

/// The extra fields whose path begins with `path`, less those of the objects `within` it, by the rest of their path.
pub fn extras<'a>(request: &'a Request, path: &str, within: &[&str]) -> Vec<(Text<'a>, Raw<'a>)> {
    if request.source != Dialect::Gemini {
        return Vec::new();
    }
    let rest = request.extra.iter().filter_map(|(name, json)| {
        let name = name.strip_prefix(path)?;
        let is_here = match name.split_once('.') {
            Some((object, _)) => !within.contains(&object),
            None => true,
        };
        is_here.then(|| (Text::from(name), Raw::Carried(json)))
    });
    rest.collect()
}
