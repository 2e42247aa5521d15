//! A request, written for a provider.

use std::borrow::Cow;

use super::body::{
    AllowedTools, NamedTool, WireChoice, WireFormat, WireFunction, WireReasoning, WireRequest,
    WireSchema, WireThinking, WireTool,
};
use super::turns::{self, WireMessage};
use crate::dialect::accent::{EffortField, MaxTokens, Prefill};
use crate::dialect::chat::carries_with;
use crate::dialect::chat::wire::{CacheControl, Fields};
use crate::dialect::common::{
    Carry, Dropped, Effort, Feature, Format, Function, Json, Outgoing, Reasoning, Request,
    ThinkingBudget, Tool, ToolChoice, fitted_id,
};
use crate::dialect::openai::USER_MAX;
use crate::dialect::openai::models::Fitted;
use crate::dialect::{Accent, Dialect, Error, Kind};

/// Writes `request` for the server that `to` tells of.
///
/// # Errors
/// None that is known of; every request can be written.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    let target = Target {
        accent: to.accent,
        is_own: request.source == Dialect::Chat,
    };
    let mut written = WireRequest {
        model: to.model,
        messages: turns::write(request, &target, dropped),
        ..WireRequest::default()
    };
    written.add_tools(request, &target);
    written.add_format(request, &target, dropped);
    let fitted = Fitted::new(request, to.model, target.is_own, dropped);
    written.add_reasoning(request, &target, fitted.effort, dropped);
    written.add_limits(request, &target, fitted.takes_stop, dropped);
    if fitted.takes_sampling {
        written.add_sampling(request, &target, dropped);
    }
    written.seed = target.take(Feature::Seed, request.seed);
    written.add_account(request, &target, dropped);
    written.add_stream(request, &target, dropped);
    if request.is_begun {
        written.add_prefill(&target);
    }
    if target.is_own {
        let extra = request.extra.iter();
        let extra = extra.filter(|(name, _)| name != STREAM_OPTIONS);
        written.extra = Fields(extra.map(|(name, json)| (name.as_str(), json)).collect());
    }
    serde_json::to_vec(&written)
        .map_err(|_| Error::new(Kind::Internal, "the request could not be written"))
}

/// What writers of parts of a request ask of its target.
pub(super) struct Target<'a> {
    pub accent: &'a Accent,
    /// The caller speaks this dialect, too: what is beyond OpenAI's bounds is the caller's own matter.
    pub is_own: bool,
}

impl Target<'_> {
    /// Whether it takes anything of a feature. What it does not has been noted before.
    pub fn takes(&self, feature: Feature) -> bool {
        carries_with(self.accent, feature) != Carry::Never
    }

    /// Whether it takes a feature in OpenAI's own form.
    pub fn takes_as_openai(&self, feature: Feature) -> bool {
        !self.accent.lacks.contains(&feature)
    }

    /// Whether it takes a feature beyond what OpenAI does.
    pub fn has(&self, feature: Feature) -> bool {
        self.accent.has.contains(&feature)
    }

    /// Whether a message may be a list of several texts. Who knows all of OpenAI's roles knows this, too; DeepSeek,
    /// Cerebras and others refuse it.
    pub fn takes_text_lists(&self) -> bool {
        self.accent.has_developer
    }

    /// `value`, if the target takes the feature.
    fn take<T>(&self, feature: Feature, value: Option<T>) -> Option<T> {
        value.filter(|_| self.takes(feature))
    }
}

const STREAM_OPTIONS: &str = "stream_options";

/// The most `stop` texts that OpenAI takes.
const STOP_MAX: usize = 4;

/// The most alternatives of a token that OpenAI tells.
const ALTERNATIVES_MAX: u64 = 20;

/// The tiers that servers of this dialect know.
const TIERS: &[&str] = &["auto", "default", "flex", "priority", "scale"];

impl<'a> WireRequest<'a> {
    fn add_tools(&mut self, request: &'a Request, target: &Target<'_>) {
        let required = match target.takes(Feature::ToolChoiceRequired) {
            true => Some(WireChoice::Word("required")),
            false => None,
        };
        // Where a server knows no choice of certain tools, only those are sent.
        let mut only: Option<&[String]> = None;
        self.tool_choice = match &request.tool_choice {
            None => None,
            Some(ToolChoice::Auto) => Some(WireChoice::Word("auto")),
            Some(ToolChoice::None) => target
                .takes(Feature::ToolChoiceNone)
                .then_some(WireChoice::Word("none")),
            Some(ToolChoice::Required) => required,
            Some(ToolChoice::Named(name)) => {
                if target.takes_as_openai(Feature::ToolChoiceNamed) {
                    Some(WireChoice::Named(NamedTool::of(name)))
                } else {
                    only = required.is_some().then_some(std::slice::from_ref(name));
                    required
                }
            }
            Some(ToolChoice::Allowed {
                names,
                required: is_required,
            }) => {
                let mode = if *is_required { "required" } else { "auto" };
                if target.takes_as_openai(Feature::ToolChoiceAllowed) {
                    let tools = names.iter().map(|name| NamedTool::of(name)).collect();
                    Some(WireChoice::Allowed {
                        kind: "allowed_tools",
                        allowed_tools: AllowedTools { mode, tools },
                    })
                } else {
                    only = Some(names);
                    required.filter(|_| *is_required)
                }
            }
        };
        if target.takes(Feature::Tools) {
            let is_sent = |tool: &&Tool| match (tool, only) {
                (Tool::Function(function), Some(names)) => names.contains(&function.name),
                (Tool::Hosted { dialect, .. }, only) => *dialect == Dialect::Chat && only.is_none(),
                (Tool::Function(_), None) => true,
            };
            let sent = request.tools.iter().filter(is_sent);
            self.tools = sent.map(|tool| WireTool::of(tool, target)).collect();
        }
        self.parallel_tool_calls =
            target.take(Feature::ParallelToolCalls, request.parallel_tool_calls);
        // Refused where there are no tools.
        if self.tools.is_empty() && !target.is_own {
            self.tool_choice = None;
            self.parallel_tool_calls = None;
        }
    }

    fn add_format(&mut self, request: &'a Request, target: &Target<'_>, dropped: &mut Dropped) {
        let any = target
            .takes(Feature::JsonObject)
            .then_some(WireFormat::JsonObject);
        self.response_format = match &request.format {
            Format::Text => None,
            Format::Json => any,
            Format::Schema { .. } if !target.takes(Feature::JsonSchema) => None,
            Format::Schema {
                name,
                description,
                schema,
                strict,
            } if target.accent.has_json_schema => Some(WireFormat::JsonSchema {
                json_schema: WireSchema {
                    name: schema_name(name.as_deref()),
                    description: description.as_deref(),
                    schema,
                    strict: *strict,
                },
            }),
            format @ Format::Schema { .. } => {
                dropped.note(Feature::JsonSchema);
                self.messages.insert(0, WireMessage::of_format(format));
                any
            }
        };
    }

    fn add_reasoning(
        &mut self,
        request: &Request,
        target: &Target<'_>,
        fitted: Option<Effort>,
        dropped: &mut Dropped,
    ) {
        let Some(reasoning) = &request.reasoning else {
            return;
        };
        // As the caller wrote it, among the extra fields.
        let is_extra = |name: &str| request.extra.iter().any(|(extra, _)| extra == name);
        match target.accent.effort {
            EffortField::ReasoningEffort => {
                let is_said = is_extra("reasoning_effort") || is_extra("reasoning");
                if !(target.is_own && is_said) && target.takes(Feature::Reasoning) {
                    self.reasoning_effort = fitted.map(Effort::name);
                }
            }
            EffortField::Reasoning => {
                if !(target.is_own && is_extra("reasoning")) {
                    self.reasoning = Some(WireReasoning::of(reasoning));
                }
            }
            EffortField::Thinking => {
                if target.is_own && is_extra("thinking") {
                    return;
                }
                let Some(effort) = reasoning.as_effort() else {
                    return;
                };
                let is_off = effort == Effort::None;
                let kind = if is_off { "disabled" } else { "enabled" };
                self.thinking = Some(WireThinking { kind });
                let is_dynamic =
                    reasoning.effort.is_none() && reasoning.budget == Some(ThinkingBudget::Dynamic);
                if !is_off && !is_dynamic {
                    dropped.note(Feature::Reasoning);
                }
            }
            EffortField::Nowhere => {}
        }
    }

    fn add_limits(
        &mut self,
        request: &'a Request,
        target: &Target<'_>,
        takes_stop: bool,
        dropped: &mut Dropped,
    ) {
        let max_tokens = target.take(Feature::MaxTokens, request.max_tokens);
        match target.accent.max_tokens {
            MaxTokens::Completion => self.max_completion_tokens = max_tokens,
            MaxTokens::Plain => self.max_tokens = max_tokens,
        }
        if takes_stop && target.takes(Feature::Stop) {
            self.stop = &request.stop;
        }
        if self.stop.len() > STOP_MAX && !target.is_own && !target.has(Feature::Stop) {
            self.stop = &self.stop[..STOP_MAX];
            dropped.note(Feature::Stop);
        }
        self.n = target.take(Feature::N, request.n);
    }

    fn add_sampling(&mut self, request: &'a Request, target: &Target<'_>, dropped: &mut Dropped) {
        self.temperature = target.take(Feature::Temperature, request.temperature);
        self.top_p = target.take(Feature::TopP, request.top_p);
        self.top_k = target.take(Feature::TopK, request.top_k);
        self.presence_penalty = target.take(Feature::PresencePenalty, request.presence_penalty);
        self.frequency_penalty = target.take(Feature::FrequencyPenalty, request.frequency_penalty);
        self.logit_bias = target.take(Feature::LogitBias, request.logit_bias.as_ref());
        if let Some(top) = target.take(Feature::Logprobs, request.logprobs) {
            self.logprobs = Some(true);
            self.top_logprobs = (top > 0).then_some(top);
            if top > ALTERNATIVES_MAX && !target.is_own {
                self.top_logprobs = Some(ALTERNATIVES_MAX);
                dropped.note(Feature::Logprobs);
            }
        }
    }

    fn add_account(&mut self, request: &'a Request, target: &Target<'_>, dropped: &mut Dropped) {
        let user = target.take(Feature::User, request.user.as_deref());
        self.user = user.map(|user| match target.is_own {
            true => Cow::Borrowed(user),
            false => fitted_id(user, USER_MAX),
        });
        self.store = target.take(Feature::Store, request.store);
        self.verbosity = target.take(Feature::Verbosity, request.verbosity.as_deref());
        self.metadata = target.take(Feature::Metadata, request.metadata.as_ref());
        let is_kept = self.store == Some(true) || target.has(Feature::Metadata);
        if self.metadata.is_some() && !is_kept && !target.is_own {
            // OpenAI refuses metadata for what it is not to store.
            self.metadata = None;
            dropped.note(Feature::Metadata);
        }
        let tier = request.service_tier.as_deref();
        self.service_tier = target.take(Feature::ServiceTier, tier);
        if let Some(tier) = self.service_tier
            && !TIERS.contains(&tier)
            && !target.is_own
        {
            self.service_tier = None;
            dropped.note(Feature::ServiceTier);
        }
    }

    /// The last message is the beginning of the answer. Who knows no word for that is told in vLLM's, which many took up.
    fn add_prefill(&mut self, target: &Target<'_>) {
        let last = self.messages.last_mut();
        match target.accent.prefill.unwrap_or(Prefill::FinalMessage) {
            Prefill::Untold => {}
            Prefill::Prefix | Prefill::BetaPrefix => {
                last.into_iter().for_each(|last| last.prefix = Some(true));
            }
            Prefill::Partial => last.into_iter().for_each(|last| last.partial = Some(true)),
            Prefill::FinalMessage => {
                self.continue_final_message = Some(true);
                self.add_generation_prompt = Some(false);
            }
        }
    }

    fn add_stream(&mut self, request: &Request, target: &Target<'_>, dropped: &mut Dropped) {
        let mut extra = request.extra.iter();
        let options = extra.find(|(name, _)| target.is_own && name == STREAM_OPTIONS);
        let options = options.map(|(_, options)| options.value());
        if !request.stream {
            return;
        }
        self.stream = Some(true);
        if !target.accent.has_stream_options {
            if options.is_some() {
                dropped.note_name(STREAM_OPTIONS);
            }
            return;
        }
        let mut members = match options {
            Some(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        members.insert("include_usage".into(), true.into());
        self.stream_options = Some(Json::of(&members));
    }
}

impl<'a> WireTool<'a> {
    fn of(tool: &'a Tool, target: &Target<'_>) -> Self {
        let function = match tool {
            Tool::Function(function) => function,
            Tool::Hosted { json, .. } => return Self::Hosted(json),
        };
        let cache = function.cache.filter(|_| target.has(Feature::CacheControl));
        Self::Function {
            kind: "function",
            function: WireFunction::of(function, target),
            cache_control: cache.map(CacheControl::from),
        }
    }
}

impl<'a> WireFunction<'a> {
    fn of(function: &'a Function, target: &Target<'_>) -> Self {
        let parameters = function.parameters.as_ref().map(Cow::Borrowed);
        // OpenAI needs no schema where there are no arguments; others do.
        let none = || {
            Cow::Owned(Json::of(
                &serde_json::json!({"type": "object", "properties": {}}),
            ))
        };
        Self {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: parameters.or_else(|| (!target.is_own).then(none)),
            strict: target.take(Feature::ToolStrict, function.strict),
        }
    }
}

impl WireReasoning {
    /// OpenRouter takes an effort or a number of tokens, not both.
    fn of(reasoning: &Reasoning) -> Self {
        let mut written = Self {
            exclude: reasoning.show.map(|is_shown| !is_shown),
            ..Self::default()
        };
        match (reasoning.budget, reasoning.effort) {
            (Some(ThinkingBudget::Tokens(tokens)), _) => written.max_tokens = Some(tokens),
            (Some(ThinkingBudget::Off), None) => written.enabled = Some(false),
            (_, Some(effort)) => written.effort = Some(effort.name()),
            (Some(ThinkingBudget::Dynamic), None) => written.enabled = Some(true),
            (None, None) => {}
        }
        written
    }
}

/// A schema's name: OpenAI wants one, of `[A-Za-z0-9_-]` and at most 64 characters.
fn schema_name(name: Option<&str>) -> Cow<'_, str> {
    const NAME_MAX: usize = 64;
    let is_fit = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    match name {
        None | Some("") => Cow::Borrowed("response"),
        Some(name) if name.len() <= NAME_MAX && name.chars().all(is_fit) => Cow::Borrowed(name),
        Some(name) => name
            .chars()
            .take(NAME_MAX)
            .map(|char| if is_fit(char) { char } else { '_' })
            .collect(),
    }
}
