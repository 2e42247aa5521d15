//! A caller's request, read.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::content::{self, Home};
use crate::dialect::anthropic::OWN;
use crate::dialect::anthropic::wire::{CacheControl, Fields, Object, TextOr};
use crate::dialect::common::{
    Effort, Format, Function, Json, Reasoning, Request, Role, ThinkingBudget, Tool, ToolChoice,
    Turn,
};
use crate::dialect::field::missing;
use crate::dialect::{Error, Kind};

/// Reads the body of a caller who speaks this dialect.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault.
pub fn read_request(body: &[u8]) -> Result<Request, Error> {
    let request = read(body)?;
    match request.max_tokens {
        None => Err(missing("max_tokens")),
        Some(_) => Ok(request),
    }
}

/// Reads the body of a caller who wants a prompt's tokens counted: that for an answer, less `max_tokens`.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault.
pub fn read_count_request(body: &[u8]) -> Result<Request, Error> {
    read(body)
}

fn read(body: &[u8]) -> Result<Request, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body is not valid UTF-8"))?;
    let mut body = Object::parse(text, "")?;
    let mut request = Request::new(OWN, body.require::<String>("model")?);
    request.stream = body.take("stream")?.unwrap_or(false);
    request.max_tokens = body.take("max_tokens")?;
    request.temperature = body.take("temperature")?;
    request.top_p = body.take("top_p")?;
    request.top_k = body.take("top_k")?;
    request.stop = body.take("stop_sequences")?.unwrap_or_default();
    request.service_tier = body
        .take::<String>("service_tier")?
        .map(|tier| match tier.as_str() {
            "standard_only" => "default".to_owned(),
            _ => tier,
        });
    if let Some(system) = body.take("system")? {
        request.turns.push(turn(Role::System, system, "system")?);
    }
    read_messages(&mut body, &mut request)?;
    read_tools(&mut body, &mut request)?;
    if let Some(choice) = object(&mut body, "tool_choice")? {
        read_tool_choice(choice, &mut request)?;
    }
    if let Some(thinking) = object(&mut body, "thinking")? {
        read_thinking(thinking, &mut request)?;
    }
    if let Some(config) = object(&mut body, "output_config")? {
        read_output_config(config, &mut request)?;
    }
    // Where the format stood while it was in beta.
    if let Some(format) = object(&mut body, "output_format")? {
        request.format = read_format(format)?;
    }
    if let Some(mut metadata) = object(&mut body, "metadata")? {
        request.user = metadata.take("user_id")?;
        keep("metadata", metadata, &mut request);
    }
    let rest = body.rest().map(|(name, json)| (name.into_owned(), json));
    request.extra.extend(rest);
    Ok(request)
}

fn object<'a>(body: &mut Object<'a>, name: &str) -> Result<Option<Object<'a>>, Error> {
    let json: Option<&'a RawValue> = body.take(name)?;
    let object = json.map(|json| Object::parse(json.get(), body.path_of(name)));
    object.transpose()
}

/// Keeps what is left of the object `name` under its path, as the writer looks for it.
fn keep(name: &str, object: Object<'_>, request: &mut Request) {
    let rest = object.rest();
    let rest = rest.map(|(field, json)| ([name, ".", &field].concat(), json));
    request.extra.extend(rest);
}

fn read_messages(body: &mut Object<'_>, request: &mut Request) -> Result<(), Error> {
    let messages: Vec<&RawValue> = body.require("messages")?;
    if messages.is_empty() {
        let message = "messages: at least one message is required";
        return Err(Error::invalid("messages", message));
    }
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let mut message = Object::parse(message.get(), path)?;
        let role = match message.require::<String>("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let path = message.path_of("role");
                let text = format!("{path}: must be `user`, `assistant` or `system`");
                return Err(Error::invalid(&path, text));
            }
        };
        let content = message.require("content")?;
        let mut turn = turn(role, content, &message.path_of("content"))?;
        turn.parts.extend(content::own_fields(message));
        request.turns.push(turn);
    }
    Ok(())
}

fn turn(role: Role, content: TextOr<'_>, path: &str) -> Result<Turn, Error> {
    let parts = content::read(content, path, Home::Message)?;
    Ok(Turn {
        role,
        parts,
        name: None,
    })
}

/// Fields of the tools' own, each with the values that tools have for it.
type ToolFields = IndexMap<String, Vec<(String, Json)>>;

/// The most names that such fields may have in one request.
const TOOL_FIELDS_MAX: usize = 64;

fn read_tools(body: &mut Object<'_>, request: &mut Request) -> Result<(), Error> {
    let tools: Vec<&RawValue> = body.take("tools")?.unwrap_or_default();
    let mut fields = ToolFields::new();
    for (index, tool) in tools.into_iter().enumerate() {
        let tool = read_tool(tool, format!("tools[{index}]"), &mut fields)?;
        request.tools.push(tool);
    }
    for (field, values) in fields {
        let by_name = values.iter().map(|(name, json)| (name.as_str(), json));
        let json = Json::of(&Fields(by_name.collect()));
        request.extra.push((["tools.", &field].concat(), json));
    }
    Ok(())
}

fn read_tool(json: &RawValue, path: String, fields: &mut ToolFields) -> Result<Tool, Error> {
    let mut tool = Object::parse(json.get(), path)?;
    let kind: Option<String> = tool.take("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        return Ok(Tool::Hosted {
            dialect: OWN,
            kind,
            json: Json::of(&json),
        });
    }
    let function = Function {
        name: tool.require("name")?,
        description: tool.take("description")?,
        parameters: tool.take("input_schema")?,
        strict: tool.take("strict")?,
        cache: tool.take::<CacheControl>("cache_control")?.map(Into::into),
    };
    for (field, json) in tool.rest() {
        let value = (function.name.clone(), json);
        fields.entry(field.into_owned()).or_default().push(value);
    }
    if fields.len() > TOOL_FIELDS_MAX {
        let message = format!("the tools have over {TOOL_FIELDS_MAX} fields that are not known");
        return Err(Error::invalid("tools", message));
    }
    Ok(Tool::Function(function))
}

fn read_tool_choice(mut choice: Object<'_>, request: &mut Request) -> Result<(), Error> {
    let kind: String = choice.require("type")?;
    request.tool_choice = Some(match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.require("name")?),
        _ => {
            let message = "tool_choice.type: must be `auto`, `any`, `tool` or `none`";
            return Err(Error::invalid("tool_choice.type", message));
        }
    });
    let is_single: Option<bool> = choice.take("disable_parallel_tool_use")?;
    request.parallel_tool_calls = is_single.map(|is_single| !is_single);
    keep("tool_choice", choice, request);
    Ok(())
}

fn read_thinking(mut thinking: Object<'_>, request: &mut Request) -> Result<(), Error> {
    let kind: String = thinking.require("type")?;
    let budget = match kind.as_str() {
        "enabled" => ThinkingBudget::Tokens(thinking.require("budget_tokens")?),
        "adaptive" => ThinkingBudget::Dynamic,
        "disabled" | "between_tools" => ThinkingBudget::Off,
        _ => {
            let message =
                "thinking.type: must be `adaptive`, `enabled`, `disabled` or `between_tools`";
            return Err(Error::invalid("thinking.type", message));
        }
    };
    let display: Option<Json> = thinking.take("display")?;
    let show = match display.as_ref().map(Json::as_str) {
        Some(r#""summarized""#) => Some(true),
        Some(r#""omitted""#) => Some(false),
        _ => None,
    };
    request.reasoning = Some(Reasoning {
        effort: None,
        budget: Some(budget),
        show,
    });
    keep("thinking", thinking, request);
    if let Some(display) = display.filter(|_| show.is_none()) {
        request.extra.push(("thinking.display".to_owned(), display));
    }
    Ok(())
}

fn read_output_config(mut config: Object<'_>, request: &mut Request) -> Result<(), Error> {
    if let Some(word) = config.take::<String>("effort")? {
        let Some(effort) = Effort::named(&word) else {
            let message = "output_config.effort: must be `low`, `medium`, `high`, `xhigh` or `max`";
            return Err(Error::invalid("output_config.effort", message));
        };
        let reasoning = request.reasoning.get_or_insert_with(Reasoning::default);
        reasoning.effort = Some(effort);
    }
    if let Some(format) = object(&mut config, "format")? {
        request.format = read_format(format)?;
    }
    keep("output_config", config, request);
    Ok(())
}

fn read_format(mut format: Object<'_>) -> Result<Format, Error> {
    let kind: String = format.require("type")?;
    if kind != "json_schema" {
        let path = format.path_of("type");
        return Err(Error::invalid(
            &path,
            format!("{path}: must be `json_schema`"),
        ));
    }
    Ok(Format::Schema {
        name: None,
        description: None,
        schema: format.require("schema")?,
        strict: None,
    })
}
