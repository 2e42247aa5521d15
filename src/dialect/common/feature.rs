//! What a request may hold, by name: what a target cannot carry of it is told, never lost in silence.

use super::request::{Content, Format, Part, Request, Role, Source, Tool, ToolChoice};
use crate::dialect::Dialect;

/// Whether a dialect can hold a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// All of it.
    Whole,
    /// In another form, which says the same to a model; how, for the table in the docs.
    As(&'static str),
    /// Some of it; what is lost, for the table in the docs. The writer notes the loss when it happens.
    Partly(&'static str),
    /// Not at all.
    Never,
}

macro_rules! features {
    ($($(#[doc = $doc:literal])+ $name:ident: $title:literal,
        [$openai:literal, $responses:literal, $anthropic:literal, $gemini:literal, $bedrock:literal, $cohere:literal];)*) => {
        /// Something that a request may hold and a dialect may not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Feature {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Feature {
            /// Every one, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is called in the docs.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// The field that holds it in `dialect`: what a caller is told was dropped.
            pub const fn field(self, dialect: Dialect) -> &'static str {
                let names = match self {
                    $(Self::$name => [$openai, $responses, $anthropic, $gemini, $bedrock, $cohere],)*
                };
                match dialect {
                    Dialect::Chat | Dialect::Completions => names[0],
                    Dialect::Responses => names[1],
                    Dialect::Anthropic => names[2],
                    Dialect::Gemini => names[3],
                    Dialect::Bedrock => names[4],
                    Dialect::Cohere => names[5],
                }
            }
        }
    };
}

features! {
    /// Instructions of the application.
    System: "system turns", ["messages", "instructions", "system", "systemInstruction", "system", "messages"];
    /// OpenAI's `developer` role.
    Developer: "developer turns", ["messages", "input", "system", "systemInstruction", "system", "messages"];
    /// Who of several speaks.
    SpeakerName: "names of speakers", ["name", "name", "name", "name", "name", "name"];
    /// A picture at an `https:` URL.
    ImageUrl: "images by URL", ["image_url", "image_url", "image", "fileData", "image", "image_url"];
    /// A picture in the request.
    ImageData: "images in the request", ["image_url", "image_url", "image", "inlineData", "image", "image_url"];
    /// How closely to look at a picture.
    ImageDetail: "detail of images", ["detail", "detail", "detail", "mediaResolution", "detail", "detail"];
    /// A document at an `https:` URL.
    DocumentUrl: "documents by URL", ["file", "input_file", "document", "fileData", "document", "document"];
    /// A document in the request, such as a PDF.
    DocumentData: "documents in the request", ["file", "input_file", "document", "inlineData", "document", "document"];
    /// A document that is plain text.
    DocumentText: "documents of plain text", ["file", "input_file", "document", "inlineData", "document", "document"];
    /// The model shall cite a document.
    DocumentCitations: "citing documents", ["citations", "citations", "citations", "citations", "citations", "citation_options"];
    /// A recording in the request.
    Audio: "audio in the request", ["input_audio", "input_audio", "audio", "inlineData", "audio", "audio"];
    /// A film.
    Video: "video in the request", ["video_url", "video", "video", "inlineData", "video", "video"];
    /// Media that were uploaded to a provider.
    UploadedFile: "files uploaded before", ["file_id", "file_id", "file_id", "fileData", "s3Location", "file_id"];
    /// Functions that the model may call.
    Tools: "functions", ["tools", "tools", "tools", "tools", "toolConfig", "tools"];
    /// Arguments must fit the schema.
    ToolStrict: "strict arguments", ["strict", "strict", "strict", "strict", "strict", "strict_tools"];
    /// The model shall call none.
    ToolChoiceNone: "tool choice: none", ["tool_choice", "tool_choice", "tool_choice", "toolConfig", "toolChoice", "tool_choice"];
    /// The model shall call one.
    ToolChoiceRequired: "tool choice: any", ["tool_choice", "tool_choice", "tool_choice", "toolConfig", "toolChoice", "tool_choice"];
    /// The model shall call this one.
    ToolChoiceNamed: "tool choice: a certain one", ["tool_choice", "tool_choice", "tool_choice", "toolConfig", "toolChoice", "tool_choice"];
    /// The model shall call of these.
    ToolChoiceAllowed: "tool choice: of some", ["tool_choice", "tool_choice", "tool_choice", "toolConfig", "toolChoice", "tool_choice"];
    /// Whether several calls at once are allowed.
    ParallelToolCalls: "no parallel calls", ["parallel_tool_calls", "parallel_tool_calls", "disable_parallel_tool_use", "parallel_tool_calls", "parallel_tool_calls", "parallel_tool_calls"];
    /// Pictures and documents in a tool's result.
    ToolResultMedia: "media in tool results", ["messages", "function_call_output", "tool_result", "functionResponse", "toolResult", "messages"];
    /// A tool's result is an error.
    ToolResultError: "tool results that are errors", ["messages", "function_call_output", "is_error", "functionResponse", "status", "messages"];
    /// The answer is a JSON object.
    JsonObject: "any JSON object", ["response_format", "text.format", "output_config", "generationConfig.responseMimeType", "outputConfig", "response_format"];
    /// The answer is JSON that fits a schema.
    JsonSchema: "JSON of a schema", ["response_format", "text.format", "output_config.format", "generationConfig.responseSchema", "outputConfig", "response_format"];
    /// How much the model thinks.
    Reasoning: "reasoning effort or budget", ["reasoning_effort", "reasoning.effort", "thinking", "generationConfig.thinkingConfig", "additionalModelRequestFields", "thinking"];
    /// Whether thoughts are shown.
    ShowThinking: "showing thoughts", ["reasoning", "reasoning.summary", "thinking.display", "generationConfig.thinkingConfig.includeThoughts", "additionalModelRequestFields", "thinking"];
    /// Thoughts of earlier turns.
    Thinking: "earlier thoughts", ["reasoning_content", "reasoning", "thinking", "thought", "reasoningContent", "thinking"];
    /// Seals on thoughts of earlier turns, where the target made them.
    Signature: "seals on thoughts", ["reasoning_details", "encrypted_content", "signature", "thoughtSignature", "signature", "signature"];
    /// The most tokens of the answer.
    MaxTokens: "token limit", ["max_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens", "inferenceConfig.maxTokens", "max_tokens"];
    /// Randomness.
    Temperature: "temperature", ["temperature", "temperature", "temperature", "generationConfig.temperature", "inferenceConfig.temperature", "temperature"];
    /// Nucleus sampling.
    TopP: "top p", ["top_p", "top_p", "top_p", "generationConfig.topP", "inferenceConfig.topP", "p"];
    /// Sampling among the likeliest.
    TopK: "top k", ["top_k", "top_k", "top_k", "generationConfig.topK", "additionalModelRequestFields.top_k", "k"];
    /// Texts that end the answer.
    Stop: "stop sequences", ["stop", "stop", "stop_sequences", "generationConfig.stopSequences", "inferenceConfig.stopSequences", "stop_sequences"];
    /// For answers that repeat.
    Seed: "seed", ["seed", "seed", "seed", "generationConfig.seed", "seed", "seed"];
    /// More than one answer.
    N: "several answers", ["n", "n", "n", "generationConfig.candidateCount", "n", "n"];
    /// Log-probabilities of tokens.
    Logprobs: "log-probabilities", ["logprobs", "top_logprobs", "logprobs", "generationConfig.responseLogprobs", "logprobs", "logprobs"];
    /// Against tokens that have occurred.
    PresencePenalty: "presence penalty", ["presence_penalty", "presence_penalty", "presence_penalty", "generationConfig.presencePenalty", "presence_penalty", "presence_penalty"];
    /// Against tokens that have occurred often.
    FrequencyPenalty: "frequency penalty", ["frequency_penalty", "frequency_penalty", "frequency_penalty", "generationConfig.frequencyPenalty", "frequency_penalty", "frequency_penalty"];
    /// Bias by token.
    LogitBias: "bias by token", ["logit_bias", "logit_bias", "logit_bias", "logit_bias", "logit_bias", "logit_bias"];
    /// The caller's own user.
    User: "user", ["user", "user", "metadata.user_id", "user", "requestMetadata", "user"];
    /// The caller's own labels.
    Metadata: "metadata", ["metadata", "metadata", "metadata", "labels", "requestMetadata", "metadata"];
    /// The provider's tier of service.
    ServiceTier: "service tier", ["service_tier", "service_tier", "service_tier", "serviceTier", "serviceTier", "priority"];
    /// The provider shall keep the answer.
    Store: "storing the answer", ["store", "store", "store", "store", "store", "store"];
    /// How much the model says.
    Verbosity: "verbosity", ["verbosity", "text.verbosity", "verbosity", "verbosity", "verbosity", "verbosity"];
    /// Where the provider shall cache the prompt.
    CacheControl: "cache marks", ["cache_control", "cache_control", "cache_control", "cachedContent", "cachePoint", "cache_control"];
    /// Sources of earlier answers.
    Citations: "earlier citations", ["annotations", "annotations", "citations", "groundingMetadata", "citationsContent", "citations"];
    /// Refusals of earlier turns.
    Refusal: "earlier refusals", ["refusal", "refusal", "refusal", "refusal", "refusal", "refusal"];
}

impl Request {
    /// Tells every feature that the request uses; one may be told several times.
    pub fn each_feature(&self, tell: &mut impl FnMut(Feature)) {
        use Feature as F;
        for turn in &self.turns {
            match turn.role {
                Role::System => tell(F::System),
                Role::Developer => tell(F::Developer),
                Role::User | Role::Assistant => {}
            }
            if turn.name.is_some() {
                tell(F::SpeakerName);
            }
        }
        self.each_part(&mut |part| part.each_feature(tell));
        for tool in &self.tools {
            let Tool::Function(function) = tool else {
                continue;
            };
            tell(F::Tools);
            if function.strict == Some(true) {
                tell(F::ToolStrict);
            }
            if function.cache.is_some() {
                tell(F::CacheControl);
            }
        }
        match &self.tool_choice {
            None | Some(ToolChoice::Auto) => {}
            Some(ToolChoice::None) => tell(F::ToolChoiceNone),
            Some(ToolChoice::Required) => tell(F::ToolChoiceRequired),
            Some(ToolChoice::Named(_)) => tell(F::ToolChoiceNamed),
            Some(ToolChoice::Allowed { .. }) => tell(F::ToolChoiceAllowed),
        }
        match &self.format {
            Format::Text => {}
            Format::Json => tell(F::JsonObject),
            Format::Schema { .. } => tell(F::JsonSchema),
        }
        if let Some(reasoning) = &self.reasoning {
            if reasoning.effort.is_some() || reasoning.budget.is_some() {
                tell(F::Reasoning);
            }
            if reasoning.show == Some(true) {
                tell(F::ShowThinking);
            }
        }
        let used = [
            (
                self.parallel_tool_calls == Some(false),
                F::ParallelToolCalls,
            ),
            (self.max_tokens.is_some(), F::MaxTokens),
            (self.temperature.is_some(), F::Temperature),
            (self.top_p.is_some(), F::TopP),
            (self.top_k.is_some(), F::TopK),
            (!self.stop.is_empty(), F::Stop),
            (self.seed.is_some(), F::Seed),
            (self.n.is_some_and(|n| n != 1), F::N),
            (self.logprobs.is_some(), F::Logprobs),
            (
                self.presence_penalty.is_some_and(|penalty| penalty != 0.0),
                F::PresencePenalty,
            ),
            (
                self.frequency_penalty.is_some_and(|penalty| penalty != 0.0),
                F::FrequencyPenalty,
            ),
            (self.logit_bias.is_some(), F::LogitBias),
            (self.user.is_some(), F::User),
            (self.metadata.is_some(), F::Metadata),
            (
                self.service_tier
                    .as_deref()
                    .is_some_and(|tier| tier != "auto"),
                F::ServiceTier,
            ),
            (self.store == Some(true), F::Store),
            (self.verbosity.is_some(), F::Verbosity),
        ];
        used.into_iter()
            .filter(|(is_used, _)| *is_used)
            .for_each(|(_, feature)| tell(feature));
    }

    /// Shows every part, those in tools' results included.
    pub fn each_part<'a>(&'a self, show: &mut impl FnMut(&'a Part)) {
        for part in self.turns.iter().flat_map(|turn| &turn.parts) {
            show(part);
            if let Content::ToolResult { parts, .. } = &part.content {
                parts.iter().for_each(&mut *show);
            }
        }
    }
}

impl Part {
    fn each_feature(&self, tell: &mut impl FnMut(Feature)) {
        use Feature as F;
        if self.cache.is_some() {
            tell(F::CacheControl);
        }
        self.content.medium().into_iter().for_each(&mut *tell);
        match &self.content {
            Content::Text { citations, .. } if !citations.is_empty() => tell(F::Citations),
            Content::Text { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::ToolCall {
                signature: None, ..
            }
            | Content::Opaque { .. } => {}
            Content::ToolCall {
                signature: Some(_), ..
            } => tell(F::Signature),
            Content::Refusal(_) => tell(F::Refusal),
            Content::Image { detail, .. } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    tell(F::ImageDetail);
                }
            }
            Content::Document { cite, .. } => {
                if *cite {
                    tell(F::DocumentCitations);
                }
            }
            Content::ToolResult {
                parts, is_error, ..
            } => {
                if *is_error {
                    tell(F::ToolResultError);
                }
                if parts.iter().any(|part| part.content.medium().is_some()) {
                    tell(F::ToolResultMedia);
                }
            }
            Content::Thinking(thinking) => {
                if thinking.signature.is_some() {
                    tell(F::Signature);
                }
                if !thinking.text.is_empty() {
                    tell(F::Thinking);
                }
            }
        }
    }
}

impl Content {
    /// Which feature a picture, a document, a recording or a film is, by where it is; None for what is no medium.
    pub const fn medium(&self) -> Option<Feature> {
        use Feature as F;
        let source = match self {
            Self::Image { source, .. }
            | Self::Document { source, .. }
            | Self::Audio { source }
            | Self::Video { source } => source,
            _ => return None,
        };
        Some(match (self, source) {
            (_, Source::File { .. }) => F::UploadedFile,
            (Self::Image { .. }, Source::Url { .. }) => F::ImageUrl,
            (Self::Image { .. }, _) => F::ImageData,
            (Self::Document { .. }, Source::Url { .. }) => F::DocumentUrl,
            (Self::Document { .. }, Source::Text(_)) => F::DocumentText,
            (Self::Document { .. }, _) => F::DocumentData,
            (Self::Audio { .. }, _) => F::Audio,
            (_, _) => F::Video,
        })
    }
}
