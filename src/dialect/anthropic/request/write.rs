//! A request for the provider.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::objects::{Body, Metadata, RawFields, System, ToolItem, kept};
use super::settings::Settings;
use super::turns::Turns;
use crate::dialect::anthropic::OWN;
use crate::dialect::anthropic::block::{Block, Item};
use crate::dialect::anthropic::models::Model;
use crate::dialect::anthropic::schema::enforceable;
use crate::dialect::anthropic::wire::CacheControl;
use crate::dialect::common::{
    Cache, Dropped, Feature, Format, Function, Json, Outgoing, Request, Tool, hashed_id,
};
use crate::dialect::{Error, scan};

/// The version that a body at Vertex names, in place of the header that Anthropic's own API takes.
const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// Writes the body for a provider.
///
/// # Errors
/// None that is known of; every request can be written.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    let model = Model::named(to.model);
    let mut body = prompt(request, &model, to, dropped);
    let settings = Settings::fit(request, &model, dropped);
    if to.is_vertex {
        body.model = None;
    }
    body.max_tokens = Some(settings.max_tokens);
    body.stream = request.stream;
    body.stop_sequences = settings.stop;
    body.temperature = settings.temperature;
    body.top_p = settings.top_p;
    body.top_k = settings.top_k;
    body.tool_choice = settings.tool_choice;
    body.thinking = settings.thinking;
    body.output_config = settings.output_config;
    body.service_tier = settings.service_tier;
    let metadata = Metadata {
        user_id: request.user.as_deref().map(|user| match request.source {
            OWN => Cow::Borrowed(user),
            _ => anonymous(user),
        }),
        rest: kept(request, "metadata."),
    };
    let has_metadata = metadata.user_id.is_some() || !metadata.rest.0.is_empty();
    body.metadata = has_metadata.then_some(metadata);
    Ok(written(&body))
}

/// The longest `metadata.user_id`.
const USER_MAX: usize = 256;

/// A user as Anthropic takes one: it refuses what looks like an address or a telephone number.
fn anonymous(user: &str) -> Cow<'_, str> {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b"+-() ".contains(&byte);
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits >= 7 && user.bytes().all(is_of_number);
    match user.contains('@') || user.len() > USER_MAX || is_number {
        true => Cow::Owned(hashed_id("user_", user)),
        false => Cow::Borrowed(user),
    }
}

/// Writes the body that asks how many tokens the prompt is. At Vertex, too, it names the model.
///
/// # Errors
/// None that is known of; every request can be written.
pub fn write_count_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    const COUNTED: [&str; 3] = ["cache_control", "context_management", "mcp_servers"];
    let model = Model::named(to.model);
    let mut body = prompt(request, &model, to, dropped);
    body.rest.0.retain(|(name, _)| COUNTED.contains(name));
    let settings = Settings::fit(request, &model, dropped);
    body.tool_choice = settings.tool_choice;
    body.thinking = settings.thinking;
    body.output_config = settings.output_config;
    Ok(written(&body))
}

fn written(body: &Body<'_>) -> Vec<u8> {
    // Names are strings, and nothing in a body fails to serialise.
    serde_json::to_vec(body).unwrap_or_default()
}

/// What the model reads: all but the settings.
fn prompt<'a>(
    request: &'a Request,
    model: &Model,
    to: &Outgoing<'a>,
    dropped: &mut Dropped,
) -> Body<'a> {
    let mut marks = Marks::of(request);
    let tools = tools(request, model, &mut marks, dropped);
    let (mut system, messages) = Turns::new(request, model, &mut marks, dropped).write();
    let is_held_to = matches!(request.format, Format::Schema { .. }) && model.has_schemas;
    if request.source != OWN && !is_held_to {
        let words = request.format.in_words();
        system.extend(words.map(|words| Block::text(words).into()));
    }
    let rest = kept(request, "");
    let says_version = rest.0.iter().any(|(name, _)| *name == "anthropic_version");
    let mut body = Body {
        anthropic_version: (to.is_vertex && !says_version).then_some(VERTEX_VERSION),
        model: Some(to.model),
        system: system_of(system),
        tools,
        tool_choice: None,
        messages,
        max_tokens: None,
        stream: false,
        stop_sequences: Vec::new(),
        temperature: None,
        top_p: None,
        top_k: None,
        thinking: None,
        output_config: None,
        metadata: None,
        service_tier: None,
        cache_control: None,
        rest,
    };
    let is_marked = marks.total > 0 || body.rest.0.iter().any(|(name, _)| *name == "cache_control");
    if to.auto_cache && !is_marked {
        body.mark(to.is_vertex);
    }
    body
}

fn system_of(mut items: Vec<Item<'_>>) -> Option<System<'_>> {
    match items.pop() {
        None => None,
        Some(Item::Block {
            block: Block::Text { text, .. },
            cache_control: None,
        }) if items.is_empty() => Some(System::Text(text)),
        Some(last) => {
            items.push(last);
            Some(System::Items(items))
        }
    }
}

impl Body<'_> {
    /// Has the provider cache the prompt. Anthropic's own API moves one mark along by itself, which leaves the messages
    /// as they are from turn to turn; at Vertex marks are set here.
    fn mark(&mut self, is_vertex: bool) {
        let mark = Some(CacheControl::from(Cache::Usual));
        if !is_vertex {
            self.cache_control = mark;
            return;
        }
        if let Some(System::Text(text)) = &mut self.system {
            let block = Block::text(std::mem::take(text));
            self.system = Some(System::Items(vec![block.into()]));
        }
        match (&mut self.system, self.tools.last_mut()) {
            (Some(System::Items(items)), _) => set_mark(items, mark),
            (_, Some(ToolItem::Function { cache_control, .. })) => *cache_control = mark,
            _ => {}
        }
        if let Some(message) = self.messages.last_mut() {
            set_mark(&mut message.content, mark);
        }
    }
}

/// Marks the last item that may be marked.
fn set_mark(items: &mut [Item<'_>], mark: Option<CacheControl>) {
    let markable = items.iter_mut().rev().find(|item| !item.is_thought());
    if let Some(Item::Block { cache_control, .. }) = markable {
        *cache_control = mark;
    }
}

fn tools<'a>(
    request: &'a Request,
    model: &Model,
    marks: &mut Marks,
    dropped: &mut Dropped,
) -> Vec<ToolItem<'a>> {
    let kept = kept(request, "tools.");
    let own_fields: Vec<(&str, HashMap<String, &RawValue>)> = kept
        .0
        .into_iter()
        .filter_map(|(field, json)| Some((field, serde_json::from_str(json.as_str()).ok()?)))
        .collect();
    let mut items = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        let function = match tool {
            Tool::Function(function) => function,
            Tool::Hosted { dialect, json, .. } => {
                items.extend((*dialect == OWN).then_some(ToolItem::Hosted(json)));
                continue;
            }
        };
        let rest = own_fields
            .iter()
            .filter_map(|(field, by_name)| Some((*field, *by_name.get(function.name.as_str())?)));
        let strict = strict(function, request, model, dropped);
        let mut input_schema = schema(function);
        if strict == Some(true) && request.source != OWN {
            let is_loss;
            (input_schema, is_loss) = enforceable(input_schema);
            if is_loss {
                dropped.note(Feature::ToolStrict);
            }
        }
        items.push(ToolItem::Function {
            name: &function.name,
            description: function.description.as_deref(),
            input_schema,
            strict,
            cache_control: marks.next(function.cache, dropped),
            rest: RawFields(rest.collect()),
        });
    }
    items
}

fn strict(
    function: &Function,
    request: &Request,
    model: &Model,
    dropped: &mut Dropped,
) -> Option<bool> {
    match function.strict {
        strict if request.source == OWN => strict,
        Some(true) if !model.has_schemas => {
            dropped.note(Feature::ToolStrict);
            None
        }
        strict => strict.filter(|strict| *strict),
    }
}

/// A schema must say that it is an object's.
fn schema(function: &Function) -> Cow<'_, Json> {
    let none = || r#"{"type":"object","properties":{}}"#;
    let Some(schema) = &function.parameters else {
        return parsed(none()).unwrap_or_else(|| Cow::Owned(Json::empty_object()));
    };
    let text = schema.as_str();
    if !schema.is_object() || scan::member(text.as_bytes(), "type").is_some() {
        return Cow::Borrowed(schema);
    }
    let members = text[1..].trim_ascii_start();
    let typed = match members {
        "}" => none().to_owned(),
        members => [r#"{"type":"object","#, members].concat(),
    };
    parsed(&typed).unwrap_or(Cow::Borrowed(schema))
}

fn parsed(text: &str) -> Option<Cow<'static, Json>> {
    Json::parse(text).ok().map(Cow::Owned)
}

/// The most marks that Anthropic takes.
const MARKS_MAX: usize = 4;

/// Which of a request's cache marks are sent: where there are too many, the first, which ends what never changes, and
/// the last ones, which the next turn goes on from.
pub(super) struct Marks {
    total: usize,
    seen: usize,
    is_own: bool,
}

impl Marks {
    fn of(request: &Request) -> Self {
        let mut total = request
            .functions()
            .filter(|function| function.cache.is_some())
            .count();
        request.each_part(&mut |part| total += usize::from(part.cache.is_some()));
        Self {
            total,
            seen: 0,
            is_own: request.source == OWN,
        }
    }

    /// The next one, in the order of the prompt.
    pub(super) fn next(
        &mut self,
        cache: Option<Cache>,
        dropped: &mut Dropped,
    ) -> Option<CacheControl> {
        let cache = cache?;
        let at = self.seen;
        self.seen += 1;
        let is_last = at + MARKS_MAX > self.total;
        if at == 0 || is_last || self.is_own {
            return Some(cache.into());
        }
        dropped.note(Feature::CacheControl);
        None
    }
}
