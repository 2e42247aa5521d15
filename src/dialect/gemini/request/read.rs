//! From a caller's request to the common form.

use serde::Deserialize;

use super::config;
use super::history::History;
use crate::dialect::common::{Function, Json, Request, Role, Tool, ToolChoice};
use crate::dialect::gemini::{schema, wire};
use crate::dialect::{Dialect, Error, Kind, field};

/// Reads a caller's `GenerateContentRequest`. The model and whether to stream stand in the path.
///
/// # Errors
/// [`Kind::InvalidRequest`], with the path of the field at fault.
pub fn read_request(body: &[u8], model: &str, stream: bool) -> Result<Request, Error> {
    let wire: wire::Request<'_> = parsed(body)?;
    conversation(wire, model, stream)
}

/// Parses a caller's body.
pub fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body is not UTF-8"))?;
    field::parse(text, "")
}

/// The common form of a parsed request.
pub fn conversation(wire: wire::Request<'_>, model: &str, stream: bool) -> Result<Request, Error> {
    let mut request = Request::new(Dialect::Gemini, model);
    request.stream = stream;
    let mut history = History::default();
    if let Some(system) = wire.system_instruction {
        history.add(
            system.parts,
            Role::System,
            "systemInstruction",
            &mut request.turns,
        )?;
    }
    let contents = wire.contents.unwrap_or_default().0;
    if contents.is_empty() {
        return Err(Error::invalid("contents", "`contents` is empty"));
    }
    for (index, content) in contents.into_iter().enumerate() {
        let path = format!("contents[{index}]");
        let role = role(content.role.as_deref(), &path)?;
        history.add(content.parts, role, &path, &mut request.turns)?;
    }
    for (index, tool) in wire.tools.unwrap_or_default().0.into_iter().enumerate() {
        read_tool(tool, index, &mut request)?;
    }
    if let Some(config) = wire.tool_config {
        read_tool_config(config, &mut request)?;
    }
    if let Some(config) = wire.generation_config {
        config::read(config, &mut request)?;
    }
    request.metadata = wire.labels.map(|labels| labels.json());
    request.store = wire.store;
    request.service_tier = wire.service_tier.map(|tier| tier_read(&tier));
    for (name, raw) in wire.rest {
        request.extra.push((camel(&name), raw.json()));
    }
    request.extra.extend(history.unplaced);
    Ok(request)
}

fn role(role: Option<&str>, path: &str) -> Result<Role, Error> {
    let Some(role) = role else {
        return Ok(Role::User);
    };
    let is = |word: &str| role.eq_ignore_ascii_case(word);
    if is("model") {
        Ok(Role::Assistant)
    } else if is("user") || is("function") || is("tool") || role.is_empty() {
        Ok(Role::User)
    } else {
        let path = format!("{path}.role");
        let message = format!("`{path}` must be `user` or `model`");
        Err(Error::invalid(&path, message))
    }
}

fn read_tool(tool: wire::Tool<'_>, index: usize, request: &mut Request) -> Result<(), Error> {
    let functions = tool.function_declarations.unwrap_or_default().0;
    for (number, declared) in functions.into_iter().enumerate() {
        let path = || format!("tools[{index}].functionDeclarations[{number}]");
        let Some(name) = declared.name.filter(|name| !name.is_empty()) else {
            let path = format!("{}.name", path());
            return Err(Error::invalid(&path, format!("`{path}` is missing")));
        };
        let parameters = match (declared.parameters_json_schema, declared.parameters) {
            (Some(schema), _) => Some(schema.json()),
            (None, Some(schema)) => {
                let converted = schema::json_schema(schema.as_str());
                Some(converted.unwrap_or_else(|| schema.json()))
            }
            (None, None) => None,
        };
        if let Some(parameters) = &parameters
            && !parameters.is_object()
        {
            let path = format!("{}.parameters", path());
            return Err(Error::invalid(&path, format!("`{path}` must be an object")));
        }
        request.tools.push(Tool::Function(Function {
            name: name.owned(),
            description: declared.description.map(|text| text.owned()),
            parameters,
            strict: None,
            cache: None,
        }));
        for (name, raw) in declared.rest {
            let path = format!("tools.functionDeclarations.{}", camel(&name));
            request.extra.push((path, raw.json()));
        }
    }
    for (name, raw) in tool.rest {
        let kind = camel(&name);
        let json = Json::of(&std::collections::BTreeMap::from([(&*name, raw)]));
        request.tools.push(Tool::Hosted {
            dialect: Dialect::Gemini,
            kind,
            json,
        });
    }
    Ok(())
}

fn read_tool_config(config: wire::ToolConfig<'_>, request: &mut Request) -> Result<(), Error> {
    const PATH: &str = "toolConfig.functionCallingConfig";
    for (name, raw) in config.rest {
        let path = format!("toolConfig.{}", camel(&name));
        request.extra.push((path, raw.json()));
    }
    let Some(calling) = config.function_calling_config else {
        return Ok(());
    };
    let names: Vec<String> = calling
        .allowed_function_names
        .unwrap_or_default()
        .0
        .iter()
        .map(wire::Text::owned)
        .collect();
    let mode = calling.mode.as_deref().unwrap_or_default();
    request.tool_choice = match (mode.to_ascii_uppercase().as_str(), names.len()) {
        ("" | "MODE_UNSPECIFIED", 0) => None,
        ("AUTO", 0) => Some(ToolChoice::Auto),
        ("VALIDATED", 0) => {
            // Elsewhere this is the functions' `strict`, whose schemas must be of a narrower kind.
            let path = format!("{PATH}.mode");
            request.extra.push((path, Json::of(&"VALIDATED")));
            Some(ToolChoice::Auto)
        }
        ("ANY", 0) => Some(ToolChoice::Required),
        ("ANY", 1) => names.into_iter().next().map(ToolChoice::Named),
        ("NONE", _) => Some(ToolChoice::None),
        ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED" | "ANY", _) => Some(ToolChoice::Allowed {
            names,
            required: mode.eq_ignore_ascii_case("ANY"),
        }),
        _ => {
            let path = format!("{PATH}.mode");
            let message = format!("`{path}` must be AUTO, ANY, NONE or VALIDATED");
            return Err(Error::invalid(&path, message));
        }
    };
    for (name, raw) in calling.rest {
        request
            .extra
            .push((format!("{PATH}.{}", camel(&name)), raw.json()));
    }
    Ok(())
}

/// Google's word for a tier in the common form: `standard` is `default` there.
fn tier_read(tier: &str) -> String {
    let tier = tier.to_ascii_lowercase();
    match tier.strip_prefix("service_tier_").unwrap_or(&tier) {
        "unspecified" | "" => "auto".into(),
        "standard" => "default".into(),
        other => other.to_owned(),
    }
}

/// A name in camel case, which may have come in snake case.
pub fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_next_upper = false;
    for char in name.chars() {
        match char {
            '_' if !out.is_empty() => is_next_upper = true,
            char if is_next_upper => {
                out.push(char.to_ascii_uppercase());
                is_next_upper = false;
            }
            char => out.push(char),
        }
    }
    out
}
