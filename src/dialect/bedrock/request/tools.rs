//! `toolConfig`: what the model may call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::content::CachePoint;
use super::marks::Marks;
use crate::dialect::anthropic::schema::enforceable;
use crate::dialect::bedrock::OWN;
use crate::dialect::bedrock::family::{Caches, Family};
use crate::dialect::bedrock::wire::{Fields, Object, Union};
use crate::dialect::common::{Dropped, Feature, Function, Json, Request, Tool, ToolChoice};
use crate::dialect::{Error, scan};

pub(super) fn read(mut config: Object<'_>, request: &mut Request) -> Result<(), Error> {
    let path = config.path_of("tools");
    let tools: Vec<&RawValue> = config.take("tools")?.unwrap_or_default();
    for (index, tool) in tools.into_iter().enumerate() {
        let union = Union::parse(tool.get(), &format!("{path}[{index}]"))?;
        match union.name.as_ref() {
            "toolSpec" => read_spec(&union, request)?,
            "cachePoint" => {
                let mark = union.read::<CachePoint<'_>>()?.read();
                match (mark, request.tools.last_mut()) {
                    (Some(mark), Some(Tool::Function(function))) if function.cache.is_none() => {
                        function.cache = Some(mark);
                    }
                    _ => request.tools.push(hosted("cachePoint", tool)),
                }
            }
            "systemTool" => {
                let name: Option<String> =
                    Object::parse(union.json.get(), union.path)?.take("name")?;
                request
                    .tools
                    .push(hosted(name.as_deref().unwrap_or("systemTool"), tool));
            }
            name => request.tools.push(hosted(name, tool)),
        }
    }
    if let Some(choice) = config.take::<&RawValue>("toolChoice")? {
        request.tool_choice = read_choice(choice, &config.path_of("toolChoice"))?;
        if request.tool_choice.is_none() {
            let kept = (config.path_of("toolChoice"), Json::of(&choice));
            request.extra.push(kept);
        }
    }
    config.keep_rest(request);
    Ok(())
}

fn hosted(kind: &str, tool: &RawValue) -> Tool {
    Tool::Hosted {
        dialect: OWN,
        kind: kind.to_owned(),
        json: Json::of(&tool),
    }
}

fn read_spec(union: &Union<'_>, request: &mut Request) -> Result<(), Error> {
    let mut spec = Object::parse(union.json.get(), spec_path(request.tools.len()))?;
    // Faults are told where the tool stands, though marks between the tools are none of them.
    let mut told = Object::parse(union.json.get(), union.path.clone())?;
    let name = told.take("name")?;
    let description = told.take("description")?;
    let strict = told.take("strict")?;
    let schema = told.take_object("inputSchema")?;
    let parameters = match schema {
        Some(mut schema) => schema.take("json")?,
        None => None,
    };
    let Some(name) = name else {
        let path = told.path_of("name");
        return Err(Error::invalid(&path, format!("{path} is missing")));
    };
    for known in ["name", "description", "strict", "inputSchema"] {
        let _: Option<&RawValue> = spec.take_fitting(known);
    }
    spec.keep_rest(request);
    request.tools.push(Tool::Function(Function {
        name,
        description,
        parameters,
        strict,
        cache: None,
    }));
    Ok(())
}

/// Under this path what else the `index`-th tool says is kept.
fn spec_path(index: usize) -> String {
    format!("toolConfig.tools[{index}]")
}

fn read_choice(choice: &RawValue, path: &str) -> Result<Option<ToolChoice>, Error> {
    let union = Union::parse(choice.get(), path)?;
    Ok(match union.name.as_ref() {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "tool" => {
            let mut tool = Object::parse(union.json.get(), union.path)?;
            let path = tool.path_of("name");
            let name = tool.take("name")?;
            Some(ToolChoice::Named(name.ok_or_else(|| {
                Error::invalid(&path, format!("{path} is missing"))
            })?))
        }
        _ => None,
    })
}

/// `toolConfig` as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    pub tools: Vec<ToolItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ChoiceItem<'a>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToolItem<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint<'static>),
    #[serde(untagged)]
    Hosted(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolSpec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: InputSchema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    rest: Fields<'a>,
}

#[derive(Debug, Serialize)]
struct InputSchema<'a> {
    json: Cow<'a, Json>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ChoiceItem<'a> {
    Auto {},
    Any {},
    Tool { name: &'a str },
}

pub(super) fn write<'a>(
    request: &'a Request,
    family: &Family,
    marks: &mut Marks,
    dropped: &mut Dropped,
) -> Vec<ToolItem<'a>> {
    let is_own = request.source == OWN;
    let mut items = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let function = match tool {
            Tool::Function(function) => function,
            Tool::Hosted { dialect, json, .. } => {
                items.extend((*dialect == OWN).then_some(ToolItem::Hosted(json)));
                continue;
            }
        };
        let description = function.description.as_deref();
        let strict = match function.strict {
            strict if is_own => strict,
            Some(true) if !family.has_schemas => {
                dropped.note(Feature::ToolStrict);
                None
            }
            strict => strict.filter(|strict| *strict),
        };
        let mut json = schema(function, is_own);
        if strict == Some(true) && family.is_of_anthropic() && !is_own {
            let is_loss;
            (json, is_loss) = enforceable(json);
            if is_loss {
                dropped.note(Feature::ToolStrict);
            }
        }
        items.push(ToolItem::ToolSpec(ToolSpec {
            name: &function.name,
            description: description.filter(|text| is_own || !text.trim_ascii().is_empty()),
            input_schema: InputSchema { json },
            strict,
            rest: Fields::kept(request, &[&spec_path(index), "."].concat()),
        }));
        let has_marks = matches!(family.caches, Caches::Tools | Caches::Hour);
        let mark = marks.next(function.cache, has_marks, dropped);
        items.extend(mark.map(|cache| ToolItem::CachePoint(cache.into())));
    }
    items
}

/// A schema must say that it is an object's.
fn schema(function: &Function, is_own: bool) -> Cow<'_, Json> {
    const NONE: &str = r#"{"type":"object","properties":{}}"#;
    let parsed = |text: &str| Json::parse(text).ok().map(Cow::Owned);
    let Some(schema) = &function.parameters else {
        return parsed(NONE).unwrap_or_else(|| Cow::Owned(Json::empty_object()));
    };
    let text = schema.as_str();
    let is_typed = || scan::member(text.as_bytes(), "type").is_some();
    if is_own || !schema.is_object() || is_typed() {
        return Cow::Borrowed(schema);
    }
    let typed = match text[1..].trim_ascii_start() {
        "}" => parsed(NONE),
        members => parsed(&[r#"{"type":"object","#, members].concat()),
    };
    typed.unwrap_or(Cow::Borrowed(schema))
}
