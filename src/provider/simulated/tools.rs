//! Calls of the tools that a request offers.

use std::collections::HashSet;

use serde_json::Value;

use super::hints::{Hints, is_starter};
use super::refuse::Refusal;
use super::request::{ChatRequest, Function};
use super::schema;
use super::seed::Seed;
use super::text::words;

/// Most calls in one answer.
const CALLS_MAX: usize = 8;
/// Most tools that a request may offer (OpenAI's own limit).
const TOOLS_MAX: usize = 128;
/// Longest schema, in bytes of JSON. OpenAI's own limit is about half of it.
const SCHEMA_MAX: usize = 256 * 1024;

/// A call that the answer makes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON.
    pub(super) arguments: String,
}

/// The tools of a request, and what it wants to be done with them.
#[derive(Debug)]
pub(super) struct Toolbox<'a> {
    functions: Vec<&'a Function<'a>>,
    wish: Wish,
    parallel: bool,
    /// Asked for by `functions` rather than `tools`.
    pub(super) legacy: bool,
}

#[derive(Debug)]
enum Wish {
    Never,
    Auto,
    Always,
    /// The function at this place.
    Named(usize),
}

impl<'a> Toolbox<'a> {
    /// Reads and checks the tools.
    pub(super) fn of(request: &'a ChatRequest<'a>) -> Result<Self, Refusal> {
        let tools = request.tools.iter().flatten();
        let mut functions: Vec<_> = tools.filter_map(|tool| tool.function.as_ref()).collect();
        let legacy = functions.is_empty() && request.functions.is_some();
        if legacy {
            functions.extend(request.functions.iter().flatten());
        }
        let field = if legacy { "functions" } else { "tools" };
        if functions.len() > TOOLS_MAX {
            let message = format!(
                "Invalid '{field}': array too long. Expected an array with maximum length {TOOLS_MAX}, but got an array with length {} instead.",
                functions.len()
            );
            return Err(Refusal::new(field, "array_above_max_length", message));
        }
        for function in &functions {
            check_schema(field, function.parameters.map(|schema| schema.get()))?;
        }
        let (choice, param) = if legacy {
            (&request.function_call, "function_call")
        } else {
            (&request.tool_choice, "tool_choice")
        };
        let wish = wish(choice.as_ref(), param, &functions)?;
        Ok(Self {
            functions,
            wish,
            parallel: !legacy && request.parallel_tool_calls != Some(false),
            legacy,
        })
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = &'a Function<'a>> {
        self.functions.iter().copied()
    }

    /// Whether the answer is to call tools, given that the last message is the user's or not.
    pub(super) fn is_wanted(&self, user_spoke_last: bool) -> bool {
        match self.wish {
            Wish::Never => false,
            Wish::Auto => user_spoke_last && !self.functions.is_empty(),
            Wish::Always => !self.functions.is_empty(),
            Wish::Named(_) => true,
        }
    }

    /// The calls of one answer, at least one where the toolbox is not empty. `done` names the tools that were called
    /// since the user spoke: where there are others, they come next.
    pub(super) fn calls(
        &self,
        hints: &Hints<'_>,
        done: &HashSet<&str>,
        seed: &mut Seed,
    ) -> Vec<Call> {
        let chosen = match self.wish {
            Wish::Named(index) => vec![self.functions[index]],
            _ => self.choose(hints, done),
        };
        let mut calls = Vec::new();
        if let [only] = chosen[..] {
            if self.parallel && hints.listed.len() > 1 && takes_text(only) {
                for name in hints.listed.iter().take(CALLS_MAX) {
                    calls.push(call(only, &hints.about(name), seed));
                }
            } else {
                calls.push(call(only, hints, seed));
            }
            return calls;
        }
        calls.extend(
            chosen
                .into_iter()
                .map(|function| call(function, hints, seed)),
        );
        calls
    }

    /// The tool whose name and description have most in common with the prompt, and others whose names answer to
    /// further words of it.
    fn choose(&self, hints: &Hints<'_>, done: &HashSet<&str>) -> Vec<&'a Function<'a>> {
        let prompt: HashSet<String> = words(hints.prompt).map(str::to_lowercase).collect();
        let mut left: Vec<_> = self
            .functions()
            .filter(|function| !done.contains(&*function.name))
            .collect();
        if left.is_empty() {
            left = self.functions.clone();
        }
        let score = |function: &Function<'_>| {
            let described = function.description.as_deref().unwrap_or_default();
            let in_description = significant(described)
                .into_iter()
                .filter(|word| prompt.contains(word))
                .count();
            let in_name = named_in(function, &prompt);
            // The name itself, as it stands, is the clearest wish.
            let by_name = usize::from(hints.prompt.contains(&*function.name));
            100 * by_name + 10 * in_name.len() + in_description.min(9)
        };
        let mut ranked: Vec<_> = left
            .into_iter()
            .map(|function| (score(function), function))
            .collect();
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let most = if self.parallel { CALLS_MAX } else { 1 };
        let mut chosen = Vec::new();
        let mut covered = HashSet::new();
        for (_, function) in ranked {
            let named = named_in(function, &prompt);
            if chosen.is_empty()
                || chosen.len() < most && named.iter().any(|word| !covered.contains(word))
            {
                chosen.push(function);
                covered.extend(named);
            }
        }
        chosen
    }
}

/// Refuses a schema that is too long.
pub(super) fn check_schema(param: &str, schema: Option<&str>) -> Result<(), Refusal> {
    if schema.is_none_or(|schema| schema.len() <= SCHEMA_MAX) {
        return Ok(());
    }
    let message = format!("Invalid schema in '{param}': it is longer than {SCHEMA_MAX} bytes.");
    Err(Refusal::new(param, "string_above_max_length", message))
}

fn wish(choice: Option<&Value>, param: &str, functions: &[&Function<'_>]) -> Result<Wish, Refusal> {
    let name = match choice {
        None | Some(Value::Null) => return Ok(Wish::Auto),
        Some(Value::String(word)) if matches!(word.as_str(), "none" | "auto" | "required") => {
            if word == "required" && functions.is_empty() {
                let message = format!(
                    "Invalid value for '{param}': '{param}' is only allowed when 'tools' are specified."
                );
                return Err(Refusal::new(param, "invalid_value", message));
            }
            return Ok(match word.as_str() {
                "none" => Wish::Never,
                "auto" => Wish::Auto,
                _ => Wish::Always,
            });
        }
        Some(Value::String(word)) => {
            return Err(super::refuse::unknown_value(
                param,
                word,
                "'none', 'auto', and 'required'",
            ));
        }
        Some(choice) if choice.get("type").and_then(Value::as_str) == Some("allowed_tools") => {
            let mode = choice
                .pointer("/allowed_tools/mode")
                .or_else(|| choice.get("mode"));
            let always = mode.and_then(Value::as_str) == Some("required");
            return Ok(if always { Wish::Always } else { Wish::Auto });
        }
        Some(choice) => choice
            .pointer("/function/name")
            .or_else(|| choice.get("name")),
    };
    let Some(name) = name.and_then(Value::as_str) else {
        return Err(super::refuse::missing(&format!("{param}.function.name")));
    };
    match functions
        .iter()
        .position(|function| &*function.name == name)
    {
        Some(index) => Ok(Wish::Named(index)),
        None => {
            let name: String = name.chars().take(64).collect();
            let message = format!(
                "Invalid value for '{param}': the function '{name}' is not among the tools."
            );
            Err(Refusal::new(param, "invalid_value", message))
        }
    }
}

fn call(function: &Function<'_>, hints: &Hints<'_>, seed: &mut Seed) -> Call {
    let id = seed.id("call_", 24);
    let schema = function
        .parameters
        .and_then(|schema| serde_json::from_str::<Value>(schema.get()).ok());
    let arguments = match schema {
        Some(schema @ Value::Object(_)) => schema::satisfy(&schema, hints, seed.with(1)),
        _ => Value::Object(serde_json::Map::new()),
    };
    Call {
        id,
        name: function.name.to_string(),
        arguments: arguments.to_string(),
    }
}

/// Whether a function takes a text, such as a place, so that one may be called for each of several.
fn takes_text(function: &Function<'_>) -> bool {
    function
        .parameters
        .is_some_and(|schema| schema.get().contains("\"string\""))
}

/// The words of a function's name that the prompt has.
fn named_in(function: &Function<'_>, prompt: &HashSet<String>) -> Vec<String> {
    let mut named = significant(&function.name);
    named.retain(|word| prompt.contains(word));
    named
}

/// The words of a name or a description that mean something, in lower case: `getWeather` has "weather".
fn significant(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut after_lower = false;
    for character in text.chars().take(1024) {
        if character.is_uppercase() && after_lower {
            spaced.push(' ');
        }
        after_lower = character.is_lowercase();
        spaced.extend(character.to_lowercase());
    }
    words(&spaced)
        .filter(|word| word.len() > 2 && !is_starter(word))
        .map(str::to_owned)
        .collect()
}
