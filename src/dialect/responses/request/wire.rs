//! The JSON of a request, as far as answers repeat it, too.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::dialect::Dialect;
use crate::dialect::common::{
    Effort, Format, Function, Json, Reasoning, Request, Tool, ToolChoice,
};

/// A tool.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ToolOut<'a> {
    /// A function.
    Function(FunctionOut<'a>),
    /// A tool that OpenAI runs, as it came.
    Hosted(&'a Json),
}

/// A function.
#[derive(Serialize)]
pub struct FunctionOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Parameters<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Schema(&'a Json),
    Null,
    None {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: Empty,
    },
}

#[derive(Serialize)]
struct Empty {}

impl<'a> ToolOut<'a> {
    /// The request's tools. Functions that say nothing of it are `strict` as given here: the API's default is to make a
    /// schema strict, which other dialects do not mean.
    pub fn all(request: &'a Request, strict: Option<bool>) -> Vec<Self> {
        let tools = request.tools.iter();
        let known = tools.filter_map(|tool| match tool {
            Tool::Function(function) => Some(Self::Function(FunctionOut::new(function, strict))),
            Tool::Hosted { dialect, json, .. } => {
                (*dialect == Dialect::Responses).then_some(Self::Hosted(json))
            }
        });
        known.collect()
    }
}

impl<'a> FunctionOut<'a> {
    fn new(function: &'a Function, strict: Option<bool>) -> Self {
        Self {
            kind: "function",
            name: &function.name,
            description: function.description.as_deref(),
            parameters: match (&function.parameters, strict) {
                (Some(schema), _) => Parameters::Schema(schema),
                (None, None) => Parameters::Null,
                (None, Some(_)) => Parameters::None {
                    kind: "object",
                    properties: Empty {},
                },
            },
            strict: function.strict.or(strict),
        }
    }
}

/// Which tools the model shall call.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ToolChoiceOut<'a> {
    /// `auto`, `none`, `required`.
    Word(&'static str),
    /// This function.
    Function(NamedTool<'a>),
    /// Of these functions.
    Allowed {
        /// `allowed_tools`
        #[serde(rename = "type")]
        kind: &'static str,
        /// `auto` or `required`
        mode: &'static str,
        /// The functions.
        tools: Vec<NamedTool<'a>>,
    },
}

/// A function by its name.
#[derive(Serialize)]
pub struct NamedTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
}

impl<'a> From<&'a ToolChoice> for ToolChoiceOut<'a> {
    fn from(choice: &'a ToolChoice) -> Self {
        let named = |name: &'a String| NamedTool {
            kind: "function",
            name,
        };
        match choice {
            ToolChoice::Auto => Self::Word("auto"),
            ToolChoice::None => Self::Word("none"),
            ToolChoice::Required => Self::Word("required"),
            ToolChoice::Named(name) => Self::Function(named(name)),
            ToolChoice::Allowed { names, required } => Self::Allowed {
                kind: "allowed_tools",
                mode: match required {
                    true => "required",
                    false => "auto",
                },
                tools: names.iter().map(named).collect(),
            },
        }
    }
}

/// `text`: the answer's form and length.
#[derive(Serialize)]
pub struct TextOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

impl<'a> TextOut<'a> {
    /// What the request says; None if nothing.
    pub fn new(request: &'a Request, extra: Extra<'a>) -> Option<Self> {
        let format = FormatOut::new(&request.format);
        let verbosity = request.verbosity.as_deref();
        let is_empty = format.is_none() && verbosity.is_none() && extra.0.is_empty();
        (!is_empty).then_some(Self {
            format,
            verbosity,
            extra,
        })
    }

    /// What an answer repeats.
    pub fn echo(request: &'a Request) -> Self {
        let format = FormatOut::new(&request.format);
        Self {
            format: Some(format.unwrap_or(FormatOut::Text)),
            verbosity: Some(request.verbosity.as_deref().unwrap_or("medium")),
            extra: Extra::default(),
        }
    }
}

/// The answer's form.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FormatOut<'a> {
    /// Any.
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Its name, which must be there.
        name: &'a str,
        /// What it is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        /// The schema.
        schema: &'a Json,
        /// Whether it must be enforced.
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

impl<'a> FormatOut<'a> {
    fn new(format: &'a Format) -> Option<Self> {
        match format {
            Format::Text => None,
            Format::Json => Some(Self::JsonObject),
            Format::Schema {
                name,
                description,
                schema,
                strict,
            } => Some(Self::JsonSchema {
                name: name.as_deref().unwrap_or("response"),
                description: description.as_deref(),
                schema,
                strict: *strict,
            }),
        }
    }
}

/// `reasoning`, as an answer repeats it.
#[derive(Serialize)]
pub struct ReasoningEcho {
    effort: Option<&'static str>,
    summary: Option<&'static str>,
}

/// `reasoning`.
#[derive(Serialize)]
pub struct ReasoningOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

impl<'a> ReasoningOut<'a> {
    /// What the request says; None if nothing.
    pub fn new(request: &Request, effort: Option<Effort>, extra: Extra<'a>) -> Option<Self> {
        let effort = effort.map(Effort::name);
        let is_shown = request.shows_thoughts() == Some(true);
        // The caller's own word on the kind of summary is more than ours.
        let has_word = extra.has("summary") || extra.has("generate_summary");
        let summary = (is_shown && !has_word).then_some("auto");
        let is_empty = effort.is_none() && summary.is_none() && extra.0.is_empty();
        (!is_empty).then_some(Self {
            effort,
            summary,
            extra,
        })
    }

    /// What an answer repeats.
    pub fn echo(reasoning: Option<&Reasoning>) -> ReasoningEcho {
        let is_shown = reasoning.and_then(|reasoning| reasoning.show) == Some(true);
        ReasoningEcho {
            effort: reasoning.and_then(Reasoning::as_effort).map(Effort::name),
            summary: is_shown.then_some("auto"),
        }
    }
}

/// Fields that only this dialect knows, in their order.
#[derive(Default)]
pub struct Extra<'a>(Vec<(&'a str, &'a Json)>);

impl<'a> Extra<'a> {
    /// The request's that stand in the object `within`, or at the top.
    pub fn new(request: &'a Request, within: Option<&str>) -> Self {
        if request.source != Dialect::Responses {
            return Self::default();
        }
        let inner = |name: &'a str| {
            let (object, field) = name.split_once('.')?;
            matches!(object, "text" | "reasoning").then_some((object, field))
        };
        let fields = request.extra.iter();
        let of_object = fields.filter_map(|(name, json)| match (inner(name), within) {
            (Some((object, field)), Some(within)) if object == within => Some((field, json)),
            (None, None) if name != "include" => Some((name.as_str(), json)),
            _ => None,
        });
        Self(of_object.collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in &self.0 {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}
