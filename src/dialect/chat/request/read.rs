//! A caller's request, read.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::messages::{self, Message};
use crate::dialect::chat::wire::{CacheControl, Members};
use crate::dialect::common::{
    Effort, Format, Function, Json, Reasoning, Request, ThinkingBudget, Tool, ToolChoice,
};
use crate::dialect::field::parse;
use crate::dialect::{Dialect, Error, Kind};

/// Reads the body of a caller who speaks this dialect.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault.
pub fn read_request(body: &[u8]) -> Result<Request, Error> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the body is not valid UTF-8 at byte {at}");
        Error::new(Kind::InvalidRequest, message)
    })?;
    parse::<Body<'_>>(text, "")?.read()
}

#[derive(Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
    functions: Option<Vec<FunctionFields>>,
    tool_choice: Option<Json>,
    function_call: Option<Json>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<Json>,
    reasoning_effort: Option<String>,
    reasoning: Option<Json>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    stop: Option<StopTexts>,
    seed: Option<i64>,
    n: Option<u64>,
    logprobs: Option<bool>,
    top_logprobs: Option<u64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    logit_bias: Option<Json>,
    user: Option<String>,
    metadata: Option<Json>,
    service_tier: Option<String>,
    store: Option<bool>,
    verbosity: Option<String>,
    #[serde(flatten)]
    rest: Members,
}

/// `stream_options`.
#[derive(Deserialize)]
pub(in crate::dialect) struct StreamOptions {
    include_usage: Option<bool>,
    #[serde(flatten)]
    rest: Members,
}

impl StreamOptions {
    /// Tells `request` of the usage, and keeps what else is said.
    pub(in crate::dialect) fn read_into(self, request: &mut Request) {
        request.include_usage = self.include_usage.unwrap_or(false);
        if !self.rest.0.is_empty() {
            let members = self.rest.0.into_iter();
            let members: serde_json::Map<_, _> =
                members.map(|(name, json)| (name, json.value())).collect();
            let name = "stream_options".to_owned();
            request.extra.push((name, Json::of(&members)));
        }
    }
}

impl Body<'_> {
    fn read(self) -> Result<Request, Error> {
        let mut request = Request::new(Dialect::Chat, self.model.unwrap_or_default());
        request.stream = self.stream.unwrap_or(false);
        request.turns = messages::read(self.messages)?;
        request.parallel_tool_calls = self.parallel_tool_calls;
        request.max_tokens = self.max_completion_tokens.or(self.max_tokens);
        request.temperature = self.temperature;
        request.top_p = self.top_p;
        // vLLM's -1 is no limit.
        request.top_k = self.top_k.and_then(|top_k| u64::try_from(top_k).ok());
        request.stop = self.stop.map(|stop| stop.0).unwrap_or_default();
        request.seed = self.seed;
        request.n = self.n;
        if self.logprobs == Some(true) {
            request.logprobs = Some(self.top_logprobs.unwrap_or(0));
        }
        request.presence_penalty = self.presence_penalty;
        request.frequency_penalty = self.frequency_penalty;
        request.logit_bias = self.logit_bias;
        request.user = self.user;
        request.metadata = self.metadata;
        request.service_tier = self.service_tier;
        request.store = self.store;
        request.verbosity = self.verbosity;
        request.extra = self.rest.0;
        request.extra.retain(|(_, value)| value.as_str() != "null");

        request.include_usage = false;
        if let Some(options) = self.stream_options {
            options.read_into(&mut request);
        }
        for (index, raw) in self.tools.into_iter().flatten().enumerate() {
            request.tools.push(read_tool(raw, index)?);
        }
        let functions = self.functions.into_iter().flatten();
        request
            .tools
            .extend(functions.map(|function| Tool::Function(function.read(None))));
        if let Some(choice) = self.tool_choice.or(self.function_call) {
            read_tool_choice(choice, &mut request)?;
        }
        if let Some(format) = self.response_format {
            read_format(format, &mut request)?;
        }
        read_reasoning(self.reasoning_effort, self.reasoning, &mut request)?;
        Ok(request)
    }
}

/// `stop`: one text or several.
#[derive(Debug)]
pub(in crate::dialect) struct StopTexts(pub Vec<String>);

impl<'de> Deserialize<'de> for StopTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = StopTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StopTexts, E> {
                Ok(StopTexts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StopTexts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(StopTexts(texts))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

#[derive(Deserialize)]
struct FunctionFields {
    name: String,
    description: Option<String>,
    parameters: Option<Json>,
    strict: Option<bool>,
}

impl FunctionFields {
    fn read(self, cache: Option<CacheControl>) -> Function {
        Function {
            name: self.name,
            description: self.description,
            parameters: self.parameters,
            strict: self.strict,
            cache: cache.map(Into::into),
        }
    }
}

fn read_tool(raw: &RawValue, index: usize) -> Result<Tool, Error> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    #[derive(Deserialize)]
    struct FunctionTool {
        function: FunctionFields,
        cache_control: Option<CacheControl>,
    }
    let path = format!("tools[{index}]");
    let Kind { kind } = parse(raw.get(), &path)?;
    // Mistral's own SDK leaves the type of functions out.
    match kind.as_deref() {
        None | Some("function") => {
            let tool: FunctionTool = parse(raw.get(), &path)?;
            Ok(Tool::Function(tool.function.read(tool.cache_control)))
        }
        Some(kind) => Ok(Tool::Hosted {
            dialect: Dialect::Chat,
            kind: kind.to_owned(),
            json: parse(raw.get(), &path)?,
        }),
    }
}

/// `tool_choice`, and `function_call`, which came before it. What only this dialect knows, such as the choice of a custom
/// tool, is carried as it came.
fn read_tool_choice(choice: Json, request: &mut Request) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Choice {
        #[serde(rename = "type")]
        kind: Option<String>,
        function: Option<Named>,
        name: Option<String>,
        allowed_tools: Option<Allowed>,
    }
    #[derive(Deserialize)]
    struct Allowed {
        mode: Option<String>,
        tools: Vec<AllowedTool>,
    }
    #[derive(Deserialize)]
    struct AllowedTool {
        function: Option<Named>,
    }
    const PATH: &str = "tool_choice";
    if !choice.is_object() {
        let word: String = parse(choice.as_str(), PATH)?;
        request.tool_choice = Some(match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            // `any`: Mistral's word.
            "required" | "any" => ToolChoice::Required,
            _ => {
                let message = "`tool_choice` must be auto, none, required or an object";
                return Err(Error::invalid("tool_choice", message));
            }
        });
        return Ok(());
    }
    let fields: Choice = parse(choice.as_str(), PATH)?;
    request.tool_choice = match (fields.kind.as_deref(), fields.allowed_tools) {
        (Some("function") | None, _) => {
            let name = fields.function.map(|function| function.name);
            let Some(name) = name.or(fields.name) else {
                let message = "the field `tool_choice.function.name` is missing";
                return Err(Error::invalid("tool_choice.function.name", message));
            };
            Some(ToolChoice::Named(name))
        }
        (Some("allowed_tools"), Some(allowed)) => {
            let required = allowed.mode.as_deref() == Some("required");
            let names = allowed.tools.into_iter().map(|tool| tool.function);
            let names: Option<Vec<_>> = names.map(|tool| tool.map(|tool| tool.name)).collect();
            names.map(|names| ToolChoice::Allowed { names, required })
        }
        _ => None,
    };
    if request.tool_choice.is_none() {
        request.extra.push(("tool_choice".into(), choice));
    }
    Ok(())
}

fn read_format(format: Json, request: &mut Request) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct FormatFields {
        #[serde(rename = "type")]
        kind: String,
        json_schema: Option<SchemaFields>,
    }
    #[derive(Deserialize)]
    struct SchemaFields {
        name: Option<String>,
        description: Option<String>,
        schema: Option<Json>,
        strict: Option<bool>,
    }
    let fields: FormatFields = parse(format.as_str(), "response_format")?;
    request.format = match (fields.kind.as_str(), fields.json_schema) {
        ("text", _) => Format::Text,
        ("json_object", _) => Format::Json,
        ("json_schema", Some(schema)) => Format::Schema {
            name: schema.name,
            description: schema.description,
            schema: schema.schema.unwrap_or_else(Json::empty_object),
            strict: schema.strict,
        },
        ("json_schema", None) => {
            let field = "response_format.json_schema";
            let message = format!("the field `{field}` is missing");
            return Err(Error::invalid(field, message));
        }
        // Grammars and the like.
        _ => {
            request.extra.push(("response_format".into(), format));
            Format::Text
        }
    };
    Ok(())
}

/// OpenAI's `reasoning_effort`, and OpenRouter's `reasoning`, which wins. What is no known effort is carried as it came.
fn read_reasoning(
    effort: Option<String>,
    reasoning: Option<Json>,
    request: &mut Request,
) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct ReasoningFields {
        effort: Option<String>,
        max_tokens: Option<u64>,
        exclude: Option<bool>,
        enabled: Option<bool>,
        #[serde(flatten)]
        rest: Members,
    }
    let mut read = Reasoning::default();
    if let Some(word) = effort {
        read.effort = Effort::named(&word);
        if read.effort.is_none() {
            let name = "reasoning_effort".to_owned();
            request.extra.push((name, Json::of(&word)));
        }
    }
    if let Some(json) = reasoning {
        let fields: ReasoningFields = parse(json.as_str(), "reasoning")?;
        let named = fields.effort.as_deref().map(Effort::named);
        read.effort = named.flatten().or(read.effort);
        read.show = fields.exclude.map(|is_excluded| !is_excluded);
        read.budget = match (fields.max_tokens, fields.enabled) {
            (Some(0), _) | (None, Some(false)) => Some(ThinkingBudget::Off),
            (Some(tokens), _) => Some(ThinkingBudget::Tokens(tokens)),
            (None, Some(true)) if read.effort.is_none() => Some(ThinkingBudget::Dynamic),
            (None, _) => None,
        };
        if !fields.rest.0.is_empty() || named == Some(None) {
            request.extra.push(("reasoning".into(), json));
        }
    }
    request.reasoning = (read != Reasoning::default()).then_some(read);
    Ok(())
}
