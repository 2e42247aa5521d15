//! `invalid_tool_call`: an application could not carry the call out.

use serde_json::Value;

use super::look::Look;
use super::schema::{self, Fit};
use super::{Outcome, TEXT_MAX};
use crate::dialect::common::{Content, Finish, Function, Request, Tool, ToolChoice};

/// The most calls of an answer that are looked at, and of all their arguments, in bytes.
const CALLS_MAX: usize = 128;
const ARGUMENTS_MAX: usize = TEXT_MAX;

pub(super) fn judge(look: &Look<'_>, request: &Request) -> Outcome {
    if look.choice.finish == Some(Finish::MalformedCall) || misses(look, request) {
        return Outcome::Fired;
    }
    let mut is_unknown = look.calls.len() > CALLS_MAX;
    let mut bytes = 0;
    for (name, arguments) in look.calls.iter().take(CALLS_MAX) {
        let Some(function) = request.functions().find(|function| function.name == *name) else {
            if is_open(request) {
                is_unknown = true;
                continue;
            }
            return Outcome::Fired;
        };
        bytes += arguments.len();
        if bytes > ARGUMENTS_MAX {
            return Outcome::Unknown;
        }
        match fit(function, arguments) {
            Fit::Fits => {}
            Fit::Misfits => return Outcome::Fired,
            Fit::Unknown => is_unknown = true,
        }
    }
    match is_unknown {
        true => Outcome::Unknown,
        false => Outcome::Passed,
    }
}

/// Whether a tool must be called and none is. What only one dialect knows may be a hosted tool's call.
fn misses(look: &Look<'_>, request: &Request) -> bool {
    let has_opaque = |look: &Look<'_>| {
        let mut parts = look.choice.parts.iter();
        parts.any(|part| matches!(part.content, Content::Opaque { .. }))
    };
    let is_called = |name: &String| look.calls.iter().any(|(called, _)| called == name);
    match &request.tool_choice {
        Some(ToolChoice::Required) => look.calls.is_empty() && !has_opaque(look),
        Some(ToolChoice::Allowed {
            names,
            required: true,
        }) => !names.iter().any(is_called) && !has_opaque(look),
        Some(ToolChoice::Named(name)) => !is_called(name) && !has_opaque(look),
        _ => false,
    }
}

/// Whether tools may be called that the request does not list: hosted ones have calls of their own names, what only one
/// dialect knows of a conversation may offer some (Responses' `additional_tools`), and so may what a provider stores.
fn is_open(request: &Request) -> bool {
    let is_stored = |(name, _): &(String, _)| {
        ["prompt", "conversation", "previous_response_id"].contains(&name.as_str())
    };
    let is_hosted = |tool: &Tool| matches!(tool, Tool::Hosted { .. });
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    request.tools.iter().any(is_hosted)
        || request.extra.iter().any(is_stored)
        || parts.any(|part| matches!(part.content, Content::Opaque { .. }))
}

fn fit(function: &Function, arguments: &str) -> Fit {
    let arguments = match arguments.trim() {
        "" => "{}",
        arguments => arguments,
    };
    match (
        serde_json::from_str::<Value>(arguments),
        &function.parameters,
    ) {
        (Ok(value @ Value::Object(_)), Some(schema)) => schema::fit(schema, &value),
        (Ok(Value::Object(_)), None) => Fit::Fits,
        _ => Fit::Misfits,
    }
}
