//! A request for Cohere, written.

use serde::Serialize;
use serde::ser::Serializer;

use super::turns::{self, WrittenMessage};
use crate::dialect::common::{
    Dropped, Feature, Format, Function, Json, Outgoing, Request, ThinkingBudget, Tool, ToolChoice,
};
use crate::dialect::{Dialect, Error, Kind};

/// The most sequences that end an answer.
const STOP_MAX: usize = 5;

/// The most tokens that a choice is made among.
const TOP_K_MAX: u64 = 500;

/// Writes the body for Cohere, and notes what it cannot carry.
///
/// # Errors
/// The tool choice names no function of the request's.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    let tools = written_tools(request)?;
    let (response_format, thinking) = (format(&request.format, dropped), thinking(request));
    let body = Body {
        model: to.model,
        strict_tools: strict_tools(&tools, dropped),
        tools,
        tool_choice: tool_choice(request.tool_choice.as_ref()),
        response_format,
        thinking,
        messages: turns::written(request, dropped),
        max_tokens: request.max_tokens,
        temperature: within(request.temperature, 0.0, 1.0, Feature::Temperature, dropped),
        p: within(request.top_p, 0.01, 0.99, Feature::TopP, dropped),
        k: top_k(request.top_k, dropped),
        stop_sequences: stop(&request.stop, dropped),
        seed: seed(request.seed, dropped),
        logprobs: logprobs(request.logprobs, dropped),
        presence_penalty: within(
            request.presence_penalty,
            0.0,
            1.0,
            Feature::PresencePenalty,
            dropped,
        ),
        frequency_penalty: within(
            request.frequency_penalty,
            0.0,
            1.0,
            Feature::FrequencyPenalty,
            dropped,
        ),
        stream: request.stream,
        extra: Extra(match request.source {
            Dialect::Cohere => &request.extra,
            _ => &[],
        }),
    };
    serde_json::to_vec(&body)
        .map_err(|_| Error::new(Kind::Internal, "the request could not be written"))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WrittenFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WrittenThinking>,
    messages: Vec<WrittenMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// The caller's further fields, as they came.
struct Extra<'a>(&'a [(String, Json)]);

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, json)| (name, json)))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: WrittenFunction<'a>,
    },
    Hosted(&'a Json),
}

#[derive(Serialize)]
struct WrittenFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Parameters<'a>,
    #[serde(skip)]
    strict: Option<bool>,
}

/// The schema of a function's arguments, which Cohere must be given.
#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Schema(&'a Json),
    None {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: NoProperties,
    },
}

#[derive(Serialize)]
struct NoProperties {}

impl<'a> From<&'a Function> for WrittenTool<'a> {
    fn from(function: &'a Function) -> Self {
        let parameters = match &function.parameters {
            Some(schema) => Parameters::Schema(schema),
            None => Parameters::None {
                kind: "object",
                properties: NoProperties {},
            },
        };
        Self::Function {
            kind: "function",
            function: WrittenFunction {
                name: &function.name,
                description: function.description.as_deref(),
                parameters,
                strict: function.strict,
            },
        }
    }
}

/// The tools that the model may call. Cohere cannot be told which of them, so it is shown no others.
fn written_tools(request: &Request) -> Result<Vec<WrittenTool<'_>>, Error> {
    let chosen = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, .. }) => Some(names.as_slice()),
        _ => None,
    };
    let is_chosen = |name: &str| chosen.is_none_or(|names| names.iter().any(|one| one == name));
    let tools: Vec<_> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Function(function) => is_chosen(&function.name).then(|| function.into()),
            Tool::Hosted { dialect, json, .. } => {
                let is_own = *dialect == Dialect::Cohere && chosen.is_none();
                is_own.then_some(WrittenTool::Hosted(json))
            }
        })
        .collect();
    match chosen.is_some() && tools.is_empty() {
        true => Err(Error::invalid(
            Feature::ToolChoiceNamed.field(request.source),
            "the tool choice names a function that is not among the tools",
        )),
        false => Ok(tools),
    }
}

/// One switch for all functions: set where they agree.
fn strict_tools(tools: &[WrittenTool<'_>], dropped: &mut Dropped) -> Option<bool> {
    let mut functions = tools.iter().filter_map(|tool| match tool {
        WrittenTool::Function { function, .. } => Some(function.strict),
        WrittenTool::Hosted(_) => None,
    });
    let first = functions.next()?;
    let mut others = functions.filter(|strict| *strict != first).peekable();
    if others.peek().is_none() {
        return first;
    }
    if first == Some(true) || others.any(|strict| strict == Some(true)) {
        dropped.note(Feature::ToolStrict);
    }
    None
}

const fn tool_choice(choice: Option<&ToolChoice>) -> Option<&'static str> {
    match choice {
        Some(ToolChoice::None) => Some("NONE"),
        Some(
            ToolChoice::Required
            | ToolChoice::Named(_)
            | ToolChoice::Allowed { required: true, .. },
        ) => Some("REQUIRED"),
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) | None => None,
    }
}

#[derive(Serialize)]
struct WrittenFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'a Json>,
}

fn format<'a>(format: &'a Format, dropped: &mut Dropped) -> Option<WrittenFormat<'a>> {
    let json_schema = match format {
        Format::Text => return None,
        Format::Json => None,
        Format::Schema {
            schema,
            description,
            ..
        } => {
            if description.is_some() {
                dropped.note(Feature::JsonSchema);
            }
            Some(schema)
        }
    };
    Some(WrittenFormat {
        kind: "json_object",
        json_schema,
    })
}

#[derive(Serialize)]
struct WrittenThinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<u64>,
}

fn thinking(request: &Request) -> Option<WrittenThinking> {
    let (kind, token_budget) = match request.reasoning.as_ref()?.as_budget()? {
        ThinkingBudget::Off => ("disabled", None),
        ThinkingBudget::Dynamic => ("enabled", None),
        ThinkingBudget::Tokens(tokens) => ("enabled", Some(tokens)),
    };
    Some(WrittenThinking { kind, token_budget })
}

/// A number that Cohere takes between two bounds; beyond them the nearest is written.
fn within(
    number: Option<f64>,
    least: f64,
    most: f64,
    feature: Feature,
    dropped: &mut Dropped,
) -> Option<f64> {
    let number = number?;
    let written = number.clamp(least, most);
    if written != number {
        dropped.note(feature);
    }
    Some(written)
}

fn top_k(top_k: Option<u64>, dropped: &mut Dropped) -> Option<u64> {
    let top_k = top_k?;
    if top_k > TOP_K_MAX {
        dropped.note(Feature::TopK);
    }
    Some(top_k.min(TOP_K_MAX))
}

fn stop<'a>(stop: &'a [String], dropped: &mut Dropped) -> &'a [String] {
    if stop.len() > STOP_MAX {
        dropped.note(Feature::Stop);
    }
    &stop[..stop.len().min(STOP_MAX)]
}

fn seed(seed: Option<i64>, dropped: &mut Dropped) -> Option<u64> {
    let written = u64::try_from(seed?).ok();
    if written.is_none() {
        dropped.note(Feature::Seed);
    }
    written
}

fn logprobs(alternatives: Option<u64>, dropped: &mut Dropped) -> Option<bool> {
    if alternatives? > 0 {
        dropped.note(Feature::Logprobs);
    }
    Some(true)
}
