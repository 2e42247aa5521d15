//! Reads a caller's request.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::turns::Turns;
use super::{INCLUDE_LOGPROBS, json_of, system_turn};
use crate::dialect::common::{
    Effort, Format, Function, Json, Part, Reasoning, Request, Role, Tool, ToolChoice,
};
use crate::dialect::responses::fields::{self, Object, Path, Text};
use crate::dialect::{Dialect, Error, Kind};

/// Reads a caller's request.
///
/// # Errors
/// A field is missing or not what it must be; the error names it.
pub fn read_request(body: &[u8]) -> Result<Request, Error> {
    let object: Object<'_> = serde_json::from_slice(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body must be a JSON object"))?;
    let mut request = Request::new(Dialect::Responses, "");
    let mut logprobs = Logprobs::default();
    for (name, raw) in &object.members {
        // `null` is how SDKs say that nothing is said.
        if raw.get() != "null" {
            read_field(&mut request, &mut logprobs, name, raw)?;
        }
    }
    request.logprobs = match (logprobs.is_included, logprobs.top) {
        (false, None | Some(0)) => None,
        (_, top) => Some(top.unwrap_or(0)),
    };
    // The turns are read last: `instructions` come before all of them, wherever they stand.
    let mut turns = Turns::default();
    if let Some(raw) = object.raw("instructions") {
        let text = fields::text(raw, &Path::Top("instructions"))?;
        turns.list.push(system_turn(text.into_owned()));
    }
    if let Some(raw) = object.raw("input") {
        read_input(raw, &mut turns)?;
    }
    request.turns = turns.list;
    request.extra.sort_by_key(|(name, _)| place(name));
    match request.model.is_empty() {
        true => Err(Path::Top("model").missing()),
        false => Ok(request),
    }
}

/// Where a field of this dialect's own stands when it is written, so that what is read again is the same.
fn place(name: &str) -> u8 {
    match name.split_once('.') {
        Some(("text", _)) => 0,
        None if name == "include" => 1,
        Some(("reasoning", _)) => 2,
        _ => 3,
    }
}

#[derive(Default)]
struct Logprobs {
    is_included: bool,
    top: Option<u64>,
}

fn read_field(
    request: &mut Request,
    logprobs: &mut Logprobs,
    name: &str,
    raw: &RawValue,
) -> Result<(), Error> {
    let path = &Path::Top(name);
    let number = |what| fields::value(raw, path, what);
    let text = || fields::text(raw, path).map(|text| Some(text.into_owned()));
    let boolean = || fields::value(raw, path, "true or false");
    match name {
        "instructions" | "input" => {}
        "model" => request.model = fields::text(raw, path)?.into_owned(),
        "stream" => request.stream = boolean()?,
        "tools" => request.tools = read_tools(raw, path)?,
        "tool_choice" => read_tool_choice(request, raw, path)?,
        "parallel_tool_calls" => request.parallel_tool_calls = Some(boolean()?),
        "text" => read_text(request, raw, path)?,
        "reasoning" => read_reasoning(request, raw, path)?,
        "max_output_tokens" => {
            request.max_tokens = Some(fields::value(raw, path, "a whole number")?);
        }
        "temperature" => request.temperature = Some(number("a number")?),
        "top_p" => request.top_p = Some(number("a number")?),
        "top_logprobs" => logprobs.top = Some(fields::value(raw, path, "a whole number")?),
        "include" => read_include(request, logprobs, raw, path)?,
        "user" => request.user = text()?,
        "metadata" => {
            Object::read(raw, path)?;
            request.metadata = Some(json_of(raw));
        }
        "service_tier" => request.service_tier = text()?,
        "store" => request.store = Some(boolean()?),
        _ => request.extra.push((name.to_owned(), json_of(raw))),
    }
    Ok(())
}

fn read_input(raw: &RawValue, turns: &mut Turns) -> Result<(), Error> {
    let path = &Path::Top("input");
    if !fields::is_list(raw) {
        let text: Text<'_> = fields::value(raw, path, "a string or an array")?;
        turns.begin(Role::User, vec![Part::text(text.0)]);
        return Ok(());
    }
    let items: Vec<&RawValue> = fields::value(raw, path, "an array")?;
    for (index, item) in items.into_iter().enumerate() {
        turns.read(item, &path.element(index))?;
    }
    Ok(())
}

fn read_tools(raw: &RawValue, path: &Path<'_>) -> Result<Vec<Tool>, Error> {
    let tools: Vec<&RawValue> = fields::value(raw, path, "an array")?;
    let tools = tools.into_iter().enumerate();
    let read = tools.map(|(index, raw)| read_tool(raw, &path.element(index)));
    read.collect()
}

fn read_tool(raw: &RawValue, path: &Path<'_>) -> Result<Tool, Error> {
    let object = Object::read(raw, path)?;
    let kind = object.needed_text("type", path)?;
    if kind != "function" {
        return Ok(Tool::Hosted {
            dialect: Dialect::Responses,
            kind: kind.into_owned(),
            json: json_of(raw),
        });
    }
    let parameters = object.raw("parameters");
    if let Some(raw) = parameters {
        Object::read(raw, &path.field("parameters"))?;
    }
    let description = object.text("description", path)?;
    let strict = object.raw("strict");
    let strict = strict.map(|raw| fields::value(raw, &path.field("strict"), "true or false"));
    Ok(Tool::Function(Function {
        name: object.needed_text("name", path)?.into_owned(),
        description: description.map(Cow::into_owned),
        parameters: parameters.map(json_of),
        strict: strict.transpose()?,
        cache: None,
    }))
}

fn read_tool_choice(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    if !raw.get().starts_with('{') {
        request.tool_choice = Some(match &*fields::text(raw, path)? {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(path.wrong("`auto`, `none`, `required` or an object")),
        });
        return Ok(());
    }
    let object = Object::read(raw, path)?;
    request.tool_choice = match &*object.needed_text("type", path)? {
        "function" => {
            let name = object.needed_text("name", path)?;
            Some(ToolChoice::Named(name.into_owned()))
        }
        "allowed_tools" => {
            let tools = object.list("tools", path)?;
            let names: Option<Vec<String>> = tools.into_iter().map(function_name).collect();
            let required = object.text("mode", path)?.as_deref() == Some("required");
            names.map(|names| ToolChoice::Allowed { names, required })
        }
        _ => None,
    };
    // A tool of OpenAI's own is chosen: nobody else has it.
    if request.tool_choice.is_none() {
        request.extra.push(("tool_choice".to_owned(), json_of(raw)));
    }
    Ok(())
}

/// The name, if the tool that is named is a function.
fn function_name(raw: &RawValue) -> Option<String> {
    let object: Object<'_> = serde_json::from_str(raw.get()).ok()?;
    let text = |name| -> Option<Text<'_>> { serde_json::from_str(object.raw(name)?.get()).ok() };
    let is_function = text("type")?.0 == "function";
    let name = text("name").filter(|_| is_function)?;
    Some(name.0.into_owned())
}

fn read_text(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    for (name, raw) in Object::read(raw, path)?.members {
        let path = &path.field(&name);
        match &*name {
            _ if raw.get() == "null" => {}
            "format" => request.format = read_format(raw, path)?,
            "verbosity" => request.verbosity = Some(fields::text(raw, path)?.into_owned()),
            _ => request.extra.push((path.to_string(), json_of(raw))),
        }
    }
    Ok(())
}

fn read_format(raw: &RawValue, path: &Path<'_>) -> Result<Format, Error> {
    let object = Object::read(raw, path)?;
    match &*object.needed_text("type", path)? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json),
        "json_schema" => {
            let at = &path.field("schema");
            let schema = object.raw("schema").ok_or_else(|| at.missing())?;
            Object::read(schema, at)?;
            let strict = object.raw("strict");
            let strict =
                strict.map(|raw| fields::value(raw, &path.field("strict"), "true or false"));
            Ok(Format::Schema {
                name: object.text("name", path)?.map(Cow::into_owned),
                description: object.text("description", path)?.map(Cow::into_owned),
                schema: json_of(schema),
                strict: strict.transpose()?,
            })
        }
        _ => Err(path
            .field("type")
            .wrong("`text`, `json_object` or `json_schema`")),
    }
}

fn read_reasoning(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    let mut reasoning = Reasoning::default();
    for (name, raw) in Object::read(raw, path)?.members {
        let path = &path.field(&name);
        match &*name {
            _ if raw.get() == "null" => {}
            "effort" => match Effort::named(&fields::text(raw, path)?) {
                Some(effort) => reasoning.effort = Some(effort),
                None => request.extra.push((path.to_string(), json_of(raw))),
            },
            "summary" | "generate_summary" => {
                let word = fields::text(raw, path)?;
                reasoning.show = Some(true);
                // Which kind of summary is for OpenAI only.
                if (&*name, &*word) != ("summary", "auto") {
                    request.extra.push((path.to_string(), json_of(raw)));
                }
            }
            _ => request.extra.push((path.to_string(), json_of(raw))),
        }
    }
    request.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    Ok(())
}

fn read_include(
    request: &mut Request,
    logprobs: &mut Logprobs,
    raw: &RawValue,
    path: &Path<'_>,
) -> Result<(), Error> {
    let entries: Vec<Text<'_>> = fields::value(raw, path, "an array of strings")?;
    let others: Vec<&str> = entries
        .iter()
        .map(|Text(entry)| &**entry)
        .filter(|entry| *entry != INCLUDE_LOGPROBS)
        .collect();
    logprobs.is_included = others.len() < entries.len();
    if !others.is_empty() {
        request
            .extra
            .push(("include".to_owned(), Json::of(&others)));
    }
    Ok(())
}
