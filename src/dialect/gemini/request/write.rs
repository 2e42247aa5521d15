//! From the common form to a provider's request.

use serde::Serialize;
use serde::ser::SerializeMap;

use super::UNPLACED;
use super::config::{self, extras};
use super::contents::{Spoken, contents};
use crate::dialect::common::{
    Dropped, Feature, Function, Json, Outgoing, Request, Tool, ToolChoice,
};
use crate::dialect::gemini::wire::{
    self, FunctionCallingConfig, FunctionDeclaration, GenerationConfig, Many, Raw, Text, ToolConfig,
};
use crate::dialect::{Dialect, Error, Kind};

/// Writes a provider's `GenerateContentRequest`.
///
/// # Errors
/// The conversation is empty.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    let body = body(request, to, dropped)?;
    Ok(wire::bytes(&body))
}

/// A request to a provider: what changes least stands first.
pub struct Body<'a> {
    /// For counting at Google AI: `models/…`.
    pub model: Option<String>,
    /// `systemInstruction`
    pub system: Option<Spoken<'a>>,
    /// `tools`
    pub tools: Vec<ToolPiece<'a>>,
    /// `toolConfig`
    pub tool_config: Option<ToolConfig<'a>>,
    /// `contents`
    pub contents: Vec<Spoken<'a>>,
    /// `generationConfig`
    pub config: Option<GenerationConfig<'a>>,
    /// `labels`
    pub labels: Option<Json>,
    /// `serviceTier`
    pub service_tier: Option<&'a str>,
    /// `store`
    pub store: Option<bool>,
    /// What only Google has.
    pub rest: Vec<(Text<'a>, Raw<'a>)>,
}

impl Serialize for Body<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        macro_rules! entries {
            ($($name:literal: $value:expr,)*) => {
                $(if let Some(value) = $value {
                    map.serialize_entry($name, &value)?;
                })*
            };
        }
        entries! {
            "model": &self.model,
            "systemInstruction": &self.system,
            "tools": (!self.tools.is_empty()).then_some(&self.tools),
            "toolConfig": &self.tool_config,
            "contents": Some(&self.contents),
            "generationConfig": &self.config,
            "labels": &self.labels,
            "serviceTier": self.service_tier,
            "store": self.store,
        }
        for (name, raw) in &self.rest {
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

/// One of `tools`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ToolPiece<'a> {
    /// Functions that stand together.
    Functions {
        /// The functions.
        #[serde(rename = "functionDeclarations")]
        declared: Vec<FunctionDeclaration<'a>>,
    },
    /// One of Google's own.
    Hosted(&'a Json),
}

/// The parts of the body for a provider.
pub fn body<'a>(
    request: &'a Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Body<'a>, Error> {
    let (system, contents) = contents(request, to, dropped);
    if contents.is_empty() {
        let message = "the conversation is empty";
        return Err(Error::new(Kind::InvalidRequest, message));
    }
    if request.source == Dialect::Gemini {
        for (name, _) in &request.extra {
            if UNPLACED.iter().any(|lead| name.starts_with(lead)) {
                dropped.note_name(name);
            }
        }
    }
    let mut rest = extras(request, "", &["generationConfig", "toolConfig"]);
    rest.retain(|(name, _)| !UNPLACED.iter().any(|lead| name.starts_with(lead)));
    Ok(Body {
        model: None,
        system,
        tools: tools(&request.tools),
        tool_config: tool_config(request),
        contents,
        config: Some(config::write(request, to, dropped)),
        labels: labels(request, to, dropped),
        service_tier: service_tier(request, dropped),
        store: store(request, to, dropped),
        rest,
    })
}

fn tools(tools: &[Tool]) -> Vec<ToolPiece<'_>> {
    let mut pieces = Vec::new();
    for tool in tools {
        match tool {
            Tool::Function(function) => {
                let function = declared(function);
                match pieces.last_mut() {
                    Some(ToolPiece::Functions { declared }) => declared.push(function),
                    _ => pieces.push(ToolPiece::Functions {
                        declared: vec![function],
                    }),
                }
            }
            Tool::Hosted { dialect, json, .. } if *dialect == Dialect::Gemini => {
                pieces.push(ToolPiece::Hosted(json));
            }
            // Already told: see `Dropped::from`.
            Tool::Hosted { .. } => {}
        }
    }
    pieces
}

fn declared(function: &Function) -> FunctionDeclaration<'_> {
    FunctionDeclaration {
        name: Some(function.name.as_str().into()),
        description: function.description.as_deref().map(Text::from),
        parameters: None,
        parameters_json_schema: function.parameters.as_ref().map(Raw::Carried),
        rest: Vec::new(),
    }
}

fn tool_config(request: &Request) -> Option<ToolConfig<'_>> {
    let is_strict = request.functions().any(|it| it.strict == Some(true));
    let (mode, names) = match &request.tool_choice {
        // Arguments that fit the schema are promised in this mode and in the forced ones.
        None | Some(ToolChoice::Auto) if is_strict => (Some("VALIDATED"), &[][..]),
        None => (None, &[][..]),
        Some(ToolChoice::Auto) => (Some("AUTO"), &[][..]),
        Some(ToolChoice::None) => (Some("NONE"), &[][..]),
        Some(ToolChoice::Required) => (Some("ANY"), &[][..]),
        Some(ToolChoice::Named(name)) => (Some("ANY"), std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, required }) => {
            let mode = match required {
                true => "ANY",
                false => "VALIDATED",
            };
            (Some(mode), names.as_slice())
        }
    };
    let mut calling = FunctionCallingConfig {
        mode: mode.map(Text::from),
        allowed_function_names: (!names.is_empty())
            .then(|| Many(names.iter().map(|name| name.as_str().into()).collect())),
        rest: extras(request, "toolConfig.functionCallingConfig.", &[]),
    };
    // A mode of Google's that the common form does not have.
    if calling.rest.iter().any(|(name, _)| &**name == "mode") {
        calling.mode = None;
    }
    let is_called = calling.mode.is_some() || !calling.rest.is_empty();
    let config = ToolConfig {
        function_calling_config: is_called.then_some(calling),
        rest: extras(request, "toolConfig.", &["functionCallingConfig"]),
    };
    let is_said = config.function_calling_config.is_some() || !config.rest.is_empty();
    is_said.then_some(config)
}

/// Labels are for bills, and of a narrow alphabet.
fn labels(request: &Request, to: &Outgoing<'_>, dropped: &mut Dropped) -> Option<Json> {
    let metadata = request.metadata.as_ref()?;
    if request.source == Dialect::Gemini {
        return Some(metadata.clone());
    }
    if !to.is_vertex {
        dropped.note(Feature::Metadata);
        return None;
    }
    let is_fit = |text: &str| {
        let is_of = |char: char| {
            (char.is_alphanumeric() && !char.is_uppercase()) || char == '_' || char == '-'
        };
        text.chars().count() <= 63 && text.chars().all(is_of)
    };
    let all: serde_json::Map<_, _> = serde_json::from_str(metadata.as_str()).unwrap_or_default();
    let told = all.len();
    let fit: serde_json::Map<_, _> = all
        .into_iter()
        .filter(|(name, value)| {
            name.starts_with(char::is_alphabetic)
                && is_fit(name)
                && value.as_str().is_some_and(is_fit)
        })
        .collect();
    if fit.len() < told {
        dropped.note(Feature::Metadata);
    }
    (!fit.is_empty()).then(|| Json::of(&fit))
}

fn service_tier<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<&'a str> {
    match request.service_tier.as_deref()? {
        "auto" => None,
        "default" => Some("standard"),
        tier if matches!(tier, "flex" | "priority" | "standard") => Some(tier),
        tier if request.source == Dialect::Gemini => Some(tier),
        _ => {
            dropped.note(Feature::ServiceTier);
            None
        }
    }
}

fn store(request: &Request, to: &Outgoing<'_>, dropped: &mut Dropped) -> Option<bool> {
    let store = request.store?;
    if !to.is_vertex {
        return Some(store);
    }
    if store {
        dropped.note(Feature::Store);
    }
    None
}
