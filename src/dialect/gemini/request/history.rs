//! A caller's `contents`, read turn by turn.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::read::camel;
use crate::dialect::common::{Content, Json, Part, Role, Thinking, Turn, derived_call_id};
use crate::dialect::gemini::seal::Seal;
use crate::dialect::gemini::{media, wire};
use crate::dialect::{Dialect, Error};

/// What of the turns before the next ones need to know.
#[derive(Debug, Default)]
pub struct History {
    /// Fields of parts that have no place in the common form.
    pub unplaced: Vec<(String, Json)>,
    /// Calls of the last turn that no response has been seen for: id and name.
    open_calls: Vec<(String, String)>,
    /// How many ids have been made.
    made_ids: u32,
}

/// The most calls of a turn that wait for their results; of more, the latest do.
const OPEN_CALLS_MAX: usize = 1024;

impl History {
    /// Adds what `content` says to `turns`. What a model says in several contents in a row, as clients that keep a
    /// stream's pieces send it, is one turn.
    pub fn add(
        &mut self,
        content: Option<wire::Many<wire::Part<'_>>>,
        role: Role,
        path: &str,
        turns: &mut Vec<Turn>,
    ) -> Result<(), Error> {
        let parts = content.unwrap_or_default().0;
        let goes_on = role == Role::Assistant
            && turns
                .last()
                .is_some_and(|turn| turn.role == Role::Assistant);
        if !goes_on {
            turns.push(Turn {
                role,
                parts: Vec::new(),
                name: None,
            });
            if role == Role::Assistant {
                self.open_calls.clear();
            }
        }
        let is_only = parts.len() == 1;
        if let Some(turn) = turns.last_mut() {
            for (index, part) in parts.into_iter().enumerate() {
                let path = || format!("{path}.parts[{index}]");
                self.part(part, role, is_only, &path, &mut turn.parts)?;
            }
        }
        // Google refuses an empty one, but its SDKs keep those of blocked answers.
        if turns.last().is_some_and(|turn| turn.parts.is_empty()) {
            turns.pop();
        }
        Ok(())
    }

    fn part(
        &mut self,
        mut part: wire::Part<'_>,
        role: Role,
        is_only: bool,
        path: &dyn Fn() -> String,
        out: &mut Vec<Part>,
    ) -> Result<(), Error> {
        let seal = part.thought_signature.as_deref().and_then(Seal::read);
        let is_thought = part.thought == Some(true);
        if let Some(call) = part.function_call.take() {
            self.unplace("functionCall.", call.rest);
            self.unplace("", part.rest);
            let name = call.name.map(|name| name.owned()).unwrap_or_default();
            if name.is_empty() {
                let path = format!("{}.functionCall.name", path());
                return Err(Error::invalid(&path, format!("`{path}` is missing")));
            }
            let id = match call.id.filter(|id| !id.is_empty()) {
                Some(id) => id.owned(),
                None => self.made_id(),
            };
            if self.open_calls.len() == OPEN_CALLS_MAX {
                self.open_calls.remove(0);
            }
            self.open_calls.push((id.clone(), name.clone()));
            out.push(Part::from(Content::ToolCall {
                id,
                name,
                arguments: arguments(call.args.as_ref()),
                signature: seal.map(|seal| seal.signature),
            }));
            return Ok(());
        }
        if let Some(response) = part.function_response.take() {
            self.unplace("", part.rest);
            out.push(self.result(response, path)?.into());
            return Ok(());
        }
        if part.inline_data.is_some() || part.file_data.is_some() {
            out.push(self.medium(part, "").into());
            out.extend(seal.map(|seal| Content::Thinking(seal.on(String::new())).into()));
            return Ok(());
        }
        if let Some(text) = part.text.take() {
            self.unplace("", part.rest);
            match is_thought {
                true => push_thought(text.owned(), seal, out),
                false => push_text(text.owned(), seal, role, is_only, out),
            }
            return Ok(());
        }
        if let Some((name, _)) = part.rest.first() {
            out.push(Part::from(Content::Opaque {
                dialect: Dialect::Gemini,
                kind: camel(name),
                json: Json::of(&part),
            }));
            return Ok(());
        }
        match (seal, is_thought) {
            (Some(seal), _) => push_thought(String::new(), Some(seal), out),
            (None, true) => {}
            (None, false) if part.thought_signature.is_some() => {}
            (None, false) => {
                let path = path();
                let message = format!("`{path}` says nothing");
                return Err(Error::invalid(&path, message));
            }
        }
        Ok(())
    }

    /// What is said of a medium besides where it is has no place in the common form: such a part is carried whole.
    fn medium(&mut self, part: wire::Part<'_>, path: &str) -> Content {
        let is_image = [
            part.inline_data
                .as_ref()
                .and_then(|blob| blob.mime_type.as_deref()),
            part.file_data
                .as_ref()
                .and_then(|file| file.mime_type.as_deref()),
        ]
        .into_iter()
        .flatten()
        .any(|media_type| media_type.starts_with("image/"));
        let level = part.media_resolution.as_ref().map(|resolution| {
            let level = resolution.level.as_deref().unwrap_or_default();
            level.strip_prefix("MEDIA_RESOLUTION_").unwrap_or(level)
        });
        let is_known = part.rest.is_empty()
            && part.thought != Some(true)
            && (level.is_none() || is_image)
            && part
                .media_resolution
                .as_ref()
                .is_none_or(|it| it.rest.is_empty());
        if !is_known {
            let name = part.rest.first().map(|(name, _)| camel(name));
            return Content::Opaque {
                dialect: Dialect::Gemini,
                kind: name.unwrap_or_else(|| "inlineData".into()),
                json: Json::of(&part),
            };
        }
        let level = level.map(str::to_ascii_lowercase);
        let (name, mut content) = match (part.inline_data, part.file_data) {
            (Some(blob), _) => {
                self.unplace(&[path, "inlineData."].concat(), blob.rest.clone());
                (blob.display_name.clone(), media::inline(blob))
            }
            (None, file) => {
                let file = file.unwrap_or_default();
                self.unplace(&[path, "fileData."].concat(), file.rest.clone());
                (file.display_name.clone(), media::file(file))
            }
        };
        if let Some(name) = name
            && !matches!(content, Content::Document { .. })
        {
            let path = format!("contents.parts.{path}displayName");
            self.unplaced.push((path, Json::of(&name)));
        }
        if let Content::Image { detail, .. } = &mut content {
            *detail = level.filter(|level| !level.is_empty() && level != "unspecified");
        }
        content
    }

    fn result(
        &mut self,
        response: wire::FunctionResponse<'_>,
        path: &dyn Fn() -> String,
    ) -> Result<Content, Error> {
        self.unplace("functionResponse.", response.rest);
        let name = response
            .name
            .map(|name| name.owned())
            .filter(|name| !name.is_empty());
        let id = response.id.map(|id| id.owned()).filter(|id| !id.is_empty());
        let place = self
            .open_calls
            .iter()
            .position(|(open, called)| match (&id, &name) {
                (Some(id), _) => open == id,
                (None, Some(name)) => called == name,
                (None, None) => true,
            });
        let call = place.map(|place| self.open_calls.remove(place));
        let (call_id, called) = call.unzip();
        let id = match id.or(call_id) {
            Some(id) => id,
            None => self.made_id(),
        };

        let media: Vec<Part> = response
            .parts
            .unwrap_or_default()
            .0
            .into_iter()
            .map(|part| self.medium(part, "functionResponse.parts.").into())
            .collect();
        let mut parts = Vec::new();
        let mut is_error = false;
        if let Some(response) = &response.response {
            let Some((text, failed)) = said(response.as_str()) else {
                let path = format!("{}.functionResponse.response", path());
                return Err(Error::invalid(&path, format!("`{path}` must be an object")));
            };
            is_error = failed;
            if is_error || text != "{}" || media.is_empty() {
                parts.push(Part::text(text));
            }
        }
        parts.extend(media);
        Ok(Content::ToolResult {
            id,
            name: name.or(called),
            parts,
            is_error,
        })
    }

    fn made_id(&mut self) -> String {
        let id = derived_call_id("contents", self.made_ids);
        self.made_ids += 1;
        id
    }

    fn unplace(&mut self, path: &str, rest: Vec<(wire::Text<'_>, wire::Raw<'_>)>) {
        let named = rest
            .into_iter()
            .map(|(name, raw)| (format!("contents.parts.{path}{}", camel(&name)), raw.json()));
        self.unplaced.extend(named);
    }
}

/// A call's arguments as JSON text. A call without any has an empty object.
pub fn arguments(args: Option<&wire::Raw<'_>>) -> String {
    args.map_or("{}", wire::Raw::as_str).to_owned()
}

/// What a tool said, and whether it failed. Google takes the members `output` and `error` for it, or else the whole.
fn said(response: &str) -> Option<(String, bool)> {
    let members: BTreeMap<wire::Text<'_>, &RawValue> = serde_json::from_str(response).ok()?;
    let text = |raw: &RawValue| {
        serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
    };
    let mut only = members.iter().take(2);
    Some(match (only.next(), only.next()) {
        (Some((name, raw)), None) if &**name == "output" => (text(raw), false),
        (Some((name, raw)), None) if &**name == "error" => (text(raw), true),
        _ => (response.to_owned(), false),
    })
}

/// A thought goes on in the part behind it until its seal ends it.
fn push_thought(text: String, seal: Option<Seal>, out: &mut Vec<Part>) {
    let is_redacted = seal.as_ref().is_some_and(|seal| seal.is_redacted);
    if let Some(Part {
        content: Content::Thinking(last),
        ..
    }) = out.last_mut()
        && last.signature.is_none()
        && !is_redacted
    {
        last.text.push_str(&text);
        if let Some(seal) = seal {
            *last = seal.on(std::mem::take(&mut last.text));
        }
        return;
    }
    let thinking = match seal {
        Some(seal) => seal.on(text),
        None if text.is_empty() => return,
        None => Thinking {
            text,
            ..Thinking::default()
        },
    };
    out.push(Content::Thinking(thinking).into());
}

fn push_text(text: String, seal: Option<Seal>, role: Role, is_only: bool, out: &mut Vec<Part>) {
    let is_models = role == Role::Assistant;
    match out.last_mut().map(|part| &mut part.content) {
        Some(Content::Text { text: so_far, .. }) if is_models => so_far.push_str(&text),
        _ if text.is_empty() && (is_models || !is_only) => {}
        _ => out.push(Part::text(text)),
    }
    if let Some(seal) = seal {
        push_thought(String::new(), Some(seal), out);
    }
}
