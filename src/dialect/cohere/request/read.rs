//! A caller's request, read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::messages;
use crate::dialect::common::{
    Format, Function, Json, Reasoning, Request, ThinkingBudget, Tool, ToolChoice,
};
use crate::dialect::field::{missing, parse};
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
    let Members(members) = parse(text, "")?;
    let mut request = Request::new(Dialect::Cohere, "");
    let mut has_messages = false;
    let mut strict = None;
    for (name, raw) in members {
        let json = raw.get();
        match name.as_ref() {
            _ if json == "null" => {}
            "model" => request.model = parse(json, &name)?,
            "stream" => request.stream = parse(json, &name)?,
            "messages" => {
                request.turns = messages::read(json)?;
                has_messages = true;
            }
            "tools" => request.tools = read_tools(json)?,
            "strict_tools" => strict = Some((parse(json, &name)?, Json::parse(json))),
            "tool_choice" => request.tool_choice = Some(read_tool_choice(json)?),
            "response_format" => request.format = read_format(json)?,
            "thinking" => request.reasoning = Some(read_thinking(json)?),
            "max_tokens" => request.max_tokens = Some(parse(json, &name)?),
            "temperature" => request.temperature = Some(parse(json, &name)?),
            "p" => request.top_p = Some(parse(json, &name)?),
            // Zero means that there is no such bound, as without the field.
            "k" => request.top_k = Some(parse(json, &name)?).filter(|k| *k != 0),
            "stop_sequences" => request.stop = parse(json, &name)?,
            "seed" if json.parse::<i64>().is_ok() => request.seed = json.parse().ok(),
            "logprobs" => request.logprobs = parse::<bool>(json, &name)?.then_some(0),
            "presence_penalty" => request.presence_penalty = Some(parse(json, &name)?),
            "frequency_penalty" => request.frequency_penalty = Some(parse(json, &name)?),
            _ => request.extra.push((name.into_owned(), parse(json, "")?)),
        }
    }
    if !has_messages {
        return Err(missing("messages"));
    }
    if let Some((strict, json)) = strict {
        set_strict(strict, &mut request.tools);
        // Without functions it says nothing, and is kept for Cohere to judge.
        if let (0, Ok(json)) = (request.functions().count(), json) {
            request.extra.push(("strict_tools".to_owned(), json));
        }
    }
    Ok(request)
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

fn read_tools(json: &str) -> Result<Vec<Tool>, Error> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(borrow)]
        function: Option<&'a RawValue>,
    }

    #[derive(Deserialize)]
    struct FunctionFields {
        name: String,
        description: Option<String>,
        parameters: Option<Json>,
    }

    let raws: Vec<&RawValue> = parse(json, "tools")?;
    let mut tools = Vec::with_capacity(raws.len());
    for (index, raw) in raws.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let fields: Fields<'_> = parse(raw.get(), &path)?;
        if fields.kind != "function" {
            tools.push(Tool::Hosted {
                dialect: Dialect::Cohere,
                kind: fields.kind,
                json: parse(raw.get(), &path)?,
            });
            continue;
        }
        let path = format!("{path}.function");
        let function = fields.function.ok_or_else(|| missing(&path))?;
        let function: FunctionFields = parse(function.get(), &path)?;
        tools.push(Tool::Function(Function {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: None,
            cache: None,
        }));
    }
    Ok(tools)
}

fn set_strict(strict: bool, tools: &mut [Tool]) {
    for tool in tools {
        if let Tool::Function(function) = tool {
            function.strict = Some(strict);
        }
    }
}

fn read_tool_choice(json: &str) -> Result<ToolChoice, Error> {
    let path = "tool_choice";
    match parse::<Cow<'_, str>>(json, path)?.as_ref() {
        "REQUIRED" => Ok(ToolChoice::Required),
        "NONE" => Ok(ToolChoice::None),
        _ => Err(Error::invalid(
            path,
            "`tool_choice` must be REQUIRED or NONE",
        )),
    }
}

fn read_format(json: &str) -> Result<Format, Error> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(rename = "type")]
        kind: String,
        json_schema: Option<Json>,
        /// The older name of the same.
        schema: Option<Json>,
    }

    let fields: Fields = parse(json, "response_format")?;
    match fields.kind.as_str() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(match fields.json_schema.or(fields.schema) {
            None => Format::Json,
            Some(schema) => Format::Schema {
                name: None,
                description: None,
                schema,
                strict: None,
            },
        }),
        _ => {
            let path = "response_format.type";
            let message = format!("`{path}` must be text or json_object");
            Err(Error::invalid(path, message))
        }
    }
}

fn read_thinking(json: &str) -> Result<Reasoning, Error> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(rename = "type")]
        kind: String,
        token_budget: Option<u64>,
    }

    let fields: Fields = parse(json, "thinking")?;
    let budget = match (fields.kind.as_str(), fields.token_budget) {
        ("disabled", _) => ThinkingBudget::Off,
        ("enabled", None) => ThinkingBudget::Dynamic,
        ("enabled", Some(tokens)) => ThinkingBudget::Tokens(tokens),
        _ => {
            let path = "thinking.type";
            let message = format!("`{path}` must be enabled or disabled");
            return Err(Error::invalid(path, message));
        }
    };
    Ok(Reasoning {
        effort: None,
        budget: Some(budget),
        show: None,
    })
}
