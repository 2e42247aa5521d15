//! Google's JSON, as it is read and written: the same shapes in requests and answers.
//!
//! Field names are read in camel case and in snake case, since Google's JSON mapping takes both, and written in camel
//! case. `null` is the same as nothing. A single object may stand where a list is expected.

mod value;

pub use value::{Many, Raw, Text, Whole, bytes, write};

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An object of optional fields that keeps those it does not know, in their order.
macro_rules! object {
    ($($(#[doc = $doc:literal])+ $name:ident {
        $($field:ident: $type:ty = $camel:literal $(| $other:literal)*,)*
    })*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default)]
        pub struct $name<'a> {
            $(pub $field: Option<$type>,)*
            pub rest: Vec<(Text<'a>, Raw<'a>)>,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<'a>(PhantomData<&'a ()>);

                impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<Text<'a>>()? {
                            match &*key {
                                $($camel $(| $other)* => object.$field = map.next_value()?,)*
                                _ => {
                                    if let Some(raw) = map.next_value::<Option<Raw<'a>>>()? {
                                        object.rest.push((key, raw));
                                    }
                                }
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_map(Fields(PhantomData))
            }
        }

        impl Serialize for $name<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(if let Some(value) = &self.$field {
                    map.serialize_entry($camel, value)?;
                })*
                for (name, raw) in &self.rest {
                    map.serialize_entry(name, raw)?;
                }
                map.end()
            }
        }
    )*};
}

object! {
    /// `GenerateContentRequest`
    Request {
        model: Text<'a> = "model",
        system_instruction: Content<'a> = "systemInstruction" | "system_instruction",
        tools: Many<Tool<'a>> = "tools",
        tool_config: ToolConfig<'a> = "toolConfig" | "tool_config",
        contents: Many<Content<'a>> = "contents",
        generation_config: GenerationConfig<'a> = "generationConfig" | "generation_config",
        labels: Raw<'a> = "labels",
        service_tier: Text<'a> = "serviceTier" | "service_tier",
        store: bool = "store",
    }

    /// `CountTokensRequest`: at Google AI contents or a whole request, at Vertex the parts of one.
    CountRequest {
        generate_content_request: Request<'a> = "generateContentRequest" | "generate_content_request",
        system_instruction: Content<'a> = "systemInstruction" | "system_instruction",
        tools: Many<Tool<'a>> = "tools",
        contents: Many<Content<'a>> = "contents",
        generation_config: GenerationConfig<'a> = "generationConfig" | "generation_config",
    }

    /// `Content`
    Content {
        role: Text<'a> = "role",
        parts: Many<Part<'a>> = "parts",
    }

    /// `Part`
    Part {
        text: Text<'a> = "text",
        inline_data: Blob<'a> = "inlineData" | "inline_data",
        file_data: FileData<'a> = "fileData" | "file_data",
        function_call: FunctionCall<'a> = "functionCall" | "function_call",
        function_response: FunctionResponse<'a> = "functionResponse" | "function_response",
        media_resolution: MediaResolution<'a> = "mediaResolution" | "media_resolution",
        thought: bool = "thought",
        thought_signature: Text<'a> = "thoughtSignature" | "thought_signature",
    }

    /// `Blob`
    Blob {
        mime_type: Text<'a> = "mimeType" | "mime_type",
        display_name: Text<'a> = "displayName" | "display_name",
        data: Text<'a> = "data",
    }

    /// `FileData`
    FileData {
        mime_type: Text<'a> = "mimeType" | "mime_type",
        display_name: Text<'a> = "displayName" | "display_name",
        file_uri: Text<'a> = "fileUri" | "file_uri",
    }

    /// `PartMediaResolution`
    MediaResolution {
        level: Text<'a> = "level",
    }

    /// `FunctionCall`
    FunctionCall {
        id: Text<'a> = "id",
        name: Text<'a> = "name",
        args: Raw<'a> = "args",
        partial_args: Many<PartialArg<'a>> = "partialArgs" | "partial_args",
        will_continue: bool = "willContinue" | "will_continue",
    }

    /// `PartialArg`: a piece of one argument, where Vertex streams them.
    PartialArg {
        json_path: Text<'a> = "jsonPath" | "json_path",
        string_value: Text<'a> = "stringValue" | "string_value",
        number_value: Raw<'a> = "numberValue" | "number_value",
        bool_value: bool = "boolValue" | "bool_value",
        will_continue: bool = "willContinue" | "will_continue",
    }

    /// `FunctionResponse`
    FunctionResponse {
        id: Text<'a> = "id",
        name: Text<'a> = "name",
        response: Raw<'a> = "response",
        parts: Many<Part<'a>> = "parts",
    }

    /// `Tool`: functions, and tools of Google's by name.
    Tool {
        function_declarations: Many<FunctionDeclaration<'a>> = "functionDeclarations" | "function_declarations",
    }

    /// `FunctionDeclaration`
    FunctionDeclaration {
        name: Text<'a> = "name",
        description: Text<'a> = "description",
        parameters: Raw<'a> = "parameters",
        parameters_json_schema: Raw<'a> = "parametersJsonSchema" | "parameters_json_schema",
    }

    /// `ToolConfig`
    ToolConfig {
        function_calling_config: FunctionCallingConfig<'a> = "functionCallingConfig" | "function_calling_config",
    }

    /// `FunctionCallingConfig`
    FunctionCallingConfig {
        mode: Text<'a> = "mode",
        allowed_function_names: Many<Text<'a>> = "allowedFunctionNames" | "allowed_function_names",
    }

    /// `GenerationConfig`
    GenerationConfig {
        temperature: f64 = "temperature",
        top_p: f64 = "topP" | "top_p",
        top_k: Whole<u64> = "topK" | "top_k",
        candidate_count: Whole<u64> = "candidateCount" | "candidate_count",
        max_output_tokens: Whole<u64> = "maxOutputTokens" | "max_output_tokens",
        stop_sequences: Many<Text<'a>> = "stopSequences" | "stop_sequences",
        seed: Whole<i64> = "seed",
        presence_penalty: f64 = "presencePenalty" | "presence_penalty",
        frequency_penalty: f64 = "frequencyPenalty" | "frequency_penalty",
        response_logprobs: bool = "responseLogprobs" | "response_logprobs",
        logprobs: Whole<u64> = "logprobs",
        response_mime_type: Text<'a> = "responseMimeType" | "response_mime_type",
        response_schema: Raw<'a> = "responseSchema" | "response_schema",
        response_json_schema: Raw<'a> = "responseJsonSchema" | "response_json_schema",
        thinking_config: ThinkingConfig<'a> = "thinkingConfig" | "thinking_config",
    }

    /// `ThinkingConfig`
    ThinkingConfig {
        include_thoughts: bool = "includeThoughts" | "include_thoughts",
        thinking_budget: Whole<i64> = "thinkingBudget" | "thinking_budget",
        thinking_level: Text<'a> = "thinkingLevel" | "thinking_level",
    }

    /// `GenerateContentResponse`, whole or a piece of a stream.
    Answer {
        candidates: Vec<Candidate<'a>> = "candidates",
        prompt_feedback: PromptFeedback<'a> = "promptFeedback" | "prompt_feedback",
        usage_metadata: Usage<'a> = "usageMetadata" | "usage_metadata",
        model_version: Text<'a> = "modelVersion" | "model_version",
        create_time: Text<'a> = "createTime" | "create_time",
        response_id: Text<'a> = "responseId" | "response_id",
        error: Raw<'a> = "error",
    }

    /// `Candidate`
    Candidate {
        content: Content<'a> = "content",
        finish_reason: Text<'a> = "finishReason" | "finish_reason",
        finish_message: Text<'a> = "finishMessage" | "finish_message",
        index: Whole<u32> = "index",
        grounding_metadata: Raw<'a> = "groundingMetadata" | "grounding_metadata",
        citation_metadata: Raw<'a> = "citationMetadata" | "citation_metadata",
        url_context_metadata: Raw<'a> = "urlContextMetadata" | "url_context_metadata",
        logprobs_result: LogprobsResult<'a> = "logprobsResult" | "logprobs_result",
    }

    /// `PromptFeedback`
    PromptFeedback {
        block_reason: Text<'a> = "blockReason" | "block_reason",
    }

    /// `LogprobsResult`
    LogprobsResult {
        chosen_candidates: Vec<TokenCandidate<'a>> = "chosenCandidates" | "chosen_candidates",
        top_candidates: Vec<TopCandidates<'a>> = "topCandidates" | "top_candidates",
    }

    /// The likeliest tokens of one step.
    TopCandidates {
        candidates: Vec<TokenCandidate<'a>> = "candidates",
    }

    /// A token and its log-probability.
    TokenCandidate {
        token: Text<'a> = "token",
        log_probability: f64 = "logProbability" | "log_probability",
    }

    /// `UsageMetadata`
    Usage {
        prompt_token_count: Whole<u64> = "promptTokenCount" | "prompt_token_count",
        cached_content_token_count: Whole<u64> = "cachedContentTokenCount" | "cached_content_token_count",
        candidates_token_count: Whole<u64> = "candidatesTokenCount" | "candidates_token_count",
        thoughts_token_count: Whole<u64> = "thoughtsTokenCount" | "thoughts_token_count",
        tool_use_prompt_token_count: Whole<u64> = "toolUsePromptTokenCount" | "tool_use_prompt_token_count",
        total_token_count: Whole<u64> = "totalTokenCount" | "total_token_count",
        prompt_tokens_details: Vec<ModalityTokens<'a>>
            // The last name is that of answers with embeddings.
            = "promptTokensDetails" | "prompt_tokens_details" | "promptTokenDetails",
        cache_tokens_details: Vec<ModalityTokens<'a>> = "cacheTokensDetails" | "cache_tokens_details",
        candidates_tokens_details: Vec<ModalityTokens<'a>> = "candidatesTokensDetails" | "candidates_tokens_details",
        tool_use_prompt_tokens_details: Vec<ModalityTokens<'a>>
            = "toolUsePromptTokensDetails" | "tool_use_prompt_tokens_details",
        service_tier: Text<'a> = "serviceTier" | "service_tier",
        traffic_type: Text<'a> = "trafficType" | "traffic_type",
    }

    /// `ModalityTokenCount`
    ModalityTokens {
        modality: Text<'a> = "modality",
        token_count: Whole<u64> = "tokenCount" | "token_count",
    }
}
