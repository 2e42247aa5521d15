//! A caller's request, read.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::{self, Home};
use super::{ADDITIONAL, additional, tools};
use crate::dialect::bedrock::OWN;
use crate::dialect::bedrock::wire::Object;
use crate::dialect::common::{Effort, Format, Json, Part, Reasoning, Request, Role, Turn};
use crate::dialect::field::parse;
use crate::dialect::{Error, Kind};

/// Reads the body of a caller who speaks this dialect, in which the path names the model and whether the answer is a
/// stream.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault.
pub fn read_request(body: &[u8], model: &str, stream: bool) -> Result<Request, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body is not valid UTF-8"))?;
    let mut request = read_prompt(text, model)?;
    request.stream = stream;
    Ok(request)
}

/// Reads a request that may be a part of a body.
pub(in crate::dialect::bedrock) fn read_prompt(json: &str, model: &str) -> Result<Request, Error> {
    let mut body = Object::parse(json, "")?;
    let mut request = Request::new(OWN, model);
    read_system(&mut body, &mut request)?;
    read_messages(&mut body, &mut request)?;
    if let Some(config) = body.take_object("toolConfig")? {
        tools::read(config, &mut request)?;
    }
    if let Some(config) = body.take_object("inferenceConfig")? {
        read_inference(config, &mut request)?;
    }
    // Of what type soever a model's own fields are, they are the model's affair.
    if let Some(fields) = body.take_fitting::<&RawValue>(ADDITIONAL) {
        match fields.get().starts_with('{') {
            true => {
                let fields = Object::parse(fields.get(), body.path_of(ADDITIONAL))?;
                additional::read(fields, &mut request);
            }
            false => request
                .extra
                .push((ADDITIONAL.to_owned(), Json::of(&fields))),
        }
    }
    if let Some(config) = body.take_object("outputConfig")? {
        read_output(config, &mut request)?;
    }
    request.metadata = read_metadata(&mut body)?;
    if let Some(tier) = body.take::<ServiceTier>("serviceTier")? {
        request.service_tier = Some(tier.r#type);
    }
    // Clients put it in the path; where it is here, too, the path wins.
    let _: Option<&RawValue> = body.take("modelId")?;
    body.keep_rest(&mut request);
    Ok(request)
}

#[derive(Deserialize)]
struct ServiceTier {
    r#type: String,
}

fn read_system(body: &mut Object<'_>, request: &mut Request) -> Result<(), Error> {
    let blocks: Vec<&RawValue> = body.take("system")?.unwrap_or_default();
    if blocks.is_empty() {
        return Ok(());
    }
    let parts = content::read(&blocks, &body.path_of("system"), Home::System)?;
    request.turns.push(turn(Role::System, parts));
    Ok(())
}

fn read_messages(body: &mut Object<'_>, request: &mut Request) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Message<'a> {
        role: String,
        #[serde(borrow)]
        content: Vec<&'a RawValue>,
    }
    let path = body.path_of("messages");
    let messages: Vec<&RawValue> = body.take("messages")?.unwrap_or_default();
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let message: Message<'_> = parse(message.get(), &path)?;
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let path = [&path, ".role"].concat();
                let text = format!("{path} must be `user`, `assistant` or `system`");
                return Err(Error::invalid(&path, text));
            }
        };
        let parts = content::read(
            &message.content,
            &[&path, ".content"].concat(),
            Home::Message,
        )?;
        request.turns.push(turn(role, parts));
    }
    Ok(())
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn read_inference(mut config: Object<'_>, request: &mut Request) -> Result<(), Error> {
    request.max_tokens = config.take("maxTokens")?;
    request.temperature = config.take("temperature")?;
    request.top_p = config.take("topP")?;
    request.stop = config.take("stopSequences")?.unwrap_or_default();
    config.keep_rest(request);
    Ok(())
}

fn read_output(mut config: Object<'_>, request: &mut Request) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct TextFormat {
        r#type: String,
        structure: Structure,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Structure {
        json_schema: JsonSchema,
    }
    #[derive(Deserialize)]
    struct JsonSchema {
        schema: String,
        name: Option<String>,
        description: Option<String>,
    }
    if let Some(effort) = config.take_fitting::<String>("effort") {
        match Effort::named(&effort) {
            Some(effort) => reasoning(request).effort = Some(effort),
            None => {
                let path = config.path_of("effort");
                return Err(Error::invalid(&path, format!("{path} is not an effort")));
            }
        }
    }
    let path = config.path_of("textFormat");
    if let Some(format) = config.take::<TextFormat>("textFormat")? {
        if format.r#type != "json_schema" {
            let path = [&path, ".type"].concat();
            return Err(Error::invalid(
                &path,
                format!("{path} must be `json_schema`"),
            ));
        }
        let JsonSchema {
            schema,
            name,
            description,
        } = format.structure.json_schema;
        let schema = Json::parse(&schema).map_err(|_| {
            let path = [&path, ".structure.jsonSchema.schema"].concat();
            Error::invalid(&path, format!("{path} must be JSON"))
        })?;
        request.format = Format::Schema {
            name,
            description,
            schema,
            strict: None,
        };
    }
    config.keep_rest(request);
    Ok(())
}

fn read_metadata(body: &mut Object<'_>) -> Result<Option<Json>, Error> {
    let Some(json) = body.take::<&RawValue>("requestMetadata")? else {
        return Ok(None);
    };
    // What it holds is checked, and its bytes are kept.
    parse::<HashMap<String, String>>(json.get(), &body.path_of("requestMetadata"))?;
    Ok(Some(Json::of(&json)))
}

/// The reasoning that a request asks for, to be added to.
pub(super) fn reasoning(request: &mut Request) -> &mut Reasoning {
    request.reasoning.get_or_insert_default()
}
