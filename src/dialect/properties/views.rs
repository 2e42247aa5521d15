//! What a request says of one feature, so that two requests can be compared in it alone.

use serde_json::Value;

use crate::dialect::common::{Content, Feature, Format, Part, Request, Role, Source, ToolChoice};

/// What `request` says of `feature`, in order.
pub fn view(request: &Request, feature: Feature) -> Vec<String> {
    use Feature as F;
    match feature {
        F::System | F::Developer => systems(request, feature),
        F::SpeakerName => said(request.turns.iter().filter_map(|turn| turn.name.as_ref())),
        F::ImageUrl
        | F::ImageData
        | F::ImageDetail
        | F::DocumentUrl
        | F::DocumentData
        | F::DocumentText
        | F::DocumentCitations
        | F::Audio
        | F::Video
        | F::UploadedFile
        | F::CacheControl
        | F::Thinking
        | F::Signature
        | F::Citations => {
            let mut seen = Vec::new();
            request.each_part(&mut |part| seen.extend(part_view(part, feature)));
            seen
        }
        F::Refusal => {
            let mut refusals = String::new();
            request.each_part(&mut |part| {
                if let Content::Refusal(text) = &part.content {
                    refusals.push_str(text);
                }
            });
            vec![refusals]
        }
        F::ToolResultMedia | F::ToolResultError => {
            let mut seen = Vec::new();
            request.each_part(&mut |part| seen.extend(result_view(part, feature)));
            seen
        }
        F::Tools | F::ToolStrict => request
            .functions()
            .filter_map(|function| {
                let schema = function.parameters.as_ref().map(|schema| schema.value());
                let none = serde_json::json!({"type": "object", "properties": {}});
                match feature {
                    F::ToolStrict => (function.strict == Some(true)).then(|| function.name.clone()),
                    _ => Some(format!(
                        "{} {:?} {}",
                        function.name,
                        function.description,
                        schema.unwrap_or(none)
                    )),
                }
            })
            .collect(),
        F::ToolChoiceNone | F::ToolChoiceRequired | F::ToolChoiceNamed | F::ToolChoiceAllowed => {
            choice_view(request, feature)
        }
        F::JsonObject | F::JsonSchema => match (&request.format, feature) {
            (Format::Json, F::JsonObject) => said(["json"]),
            (
                Format::Schema {
                    name,
                    description,
                    schema,
                    strict,
                },
                F::JsonSchema,
            ) => {
                // A name that is missing is made up where there must be one.
                let name = name.as_deref().unwrap_or("response");
                vec![format!(
                    "{name} {description:?} {} {}",
                    schema.value(),
                    strict == &Some(true)
                )]
            }
            _ => Vec::new(),
        },
        F::Reasoning => {
            let reasoning = request.reasoning.clone().unwrap_or_default();
            said(reasoning.as_effort())
        }
        F::ShowThinking => said(
            request
                .reasoning
                .as_ref()
                .and_then(|it| it.show)
                .filter(|show| *show),
        ),
        // Where none may be called, it says nothing.
        F::ParallelToolCalls if request.tool_choice == Some(ToolChoice::None) => Vec::new(),
        F::ParallelToolCalls => said(request.parallel_tool_calls.filter(|may| !may)),
        F::MaxTokens => said(request.max_tokens),
        // 1 is what every provider does unasked.
        F::Temperature => said(request.temperature.filter(|it| *it != 1.0)),
        F::TopP => said(request.top_p.filter(|it| *it != 1.0)),
        F::TopK => said(request.top_k),
        F::Stop => request.stop.clone(),
        F::Seed => said(request.seed),
        F::N => said(request.n.filter(|n| *n != 1)),
        F::Logprobs => said(request.logprobs),
        F::PresencePenalty => said(request.presence_penalty.filter(|it| *it != 0.0)),
        F::FrequencyPenalty => said(request.frequency_penalty.filter(|it| *it != 0.0)),
        F::LogitBias => said(request.logit_bias.as_ref().map(|json| json.value())),
        F::User => said(request.user.as_ref()),
        F::Metadata => said(request.metadata.as_ref().map(|json| json.value())),
        F::ServiceTier => said(
            request
                .service_tier
                .as_deref()
                .filter(|tier| *tier != "auto"),
        ),
        F::Store => said(request.store.filter(|store| *store)),
        F::Verbosity => said(request.verbosity.as_ref()),
    }
}

/// One entry for what is there, in the words of its `Debug`.
fn said<T: std::fmt::Debug>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values
        .into_iter()
        .map(|value| format!("{value:?}"))
        .collect()
}

fn systems(request: &Request, feature: Feature) -> Vec<String> {
    let role = match feature {
        Feature::Developer => Role::Developer,
        _ => Role::System,
    };
    let turns = request.turns.iter().filter(|turn| turn.role == role);
    let texts = turns
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
    vec![in_one(texts)]
}

/// Several texts as one: what some targets make of them, with a blank line between.
fn in_one<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<String>().replace(['\n', '\r'], "")
}

fn choice_view(request: &Request, feature: Feature) -> Vec<String> {
    use Feature as F;
    let Some(choice) = &request.tool_choice else {
        return Vec::new();
    };
    let is_it = match choice {
        ToolChoice::Auto => false,
        ToolChoice::None => feature == F::ToolChoiceNone,
        ToolChoice::Required => feature == F::ToolChoiceRequired,
        ToolChoice::Named(_) => feature == F::ToolChoiceNamed,
        ToolChoice::Allowed { names, required } => {
            // To be forced to call one of one is to be forced to call that one.
            match (&names[..], required) {
                ([_], true) => feature == F::ToolChoiceNamed,
                _ => feature == F::ToolChoiceAllowed,
            }
        }
    };
    let choice = match choice {
        ToolChoice::Allowed {
            names,
            required: true,
        } if names.len() == 1 => ToolChoice::Named(names[0].clone()),
        choice => choice.clone(),
    };
    if is_it { said([choice]) } else { Vec::new() }
}

fn source(source: &Source) -> String {
    match source {
        // Some guess the type, since they must say one.
        Source::Url { url, .. } => url.clone(),
        Source::File { id, .. } => id.clone(),
        source => format!("{source:?}"),
    }
}

fn part_view(part: &Part, feature: Feature) -> Option<String> {
    use Feature as F;
    let is_at = |medium: &Source, url, data, text| match medium {
        Source::Url { .. } => feature == url,
        Source::Base64 { .. } => feature == data,
        Source::Text(_) => feature == text,
        Source::File { .. } => feature == F::UploadedFile,
    };
    match (&part.content, feature) {
        (_, F::CacheControl) => part.cache.map(|cache| format!("{cache:?}")),
        (Content::Image { detail, .. }, F::ImageDetail) => {
            detail.clone().filter(|detail| detail != "auto")
        }
        (Content::Image { source: medium, .. }, _) => {
            is_at(medium, F::ImageUrl, F::ImageData, F::ImageData).then(|| source(medium))
        }
        (Content::Document { cite, .. }, F::DocumentCitations) => cite.then(|| "cite".to_owned()),
        (Content::Document { source: medium, .. }, _) => {
            is_at(medium, F::DocumentUrl, F::DocumentData, F::DocumentText).then(|| source(medium))
        }
        (Content::Audio { source: medium }, _) => {
            is_at(medium, F::Audio, F::Audio, F::Audio).then(|| source(medium))
        }
        (Content::Video { source: medium }, _) => {
            is_at(medium, F::Video, F::Video, F::Video).then(|| source(medium))
        }
        (Content::Text { citations, .. }, F::Citations) if !citations.is_empty() => {
            Some(format!("{citations:?}"))
        }
        (Content::Thinking(thinking), F::Thinking) => {
            (!thinking.text.is_empty()).then(|| thinking.text.clone())
        }
        (Content::Thinking(thinking), F::Signature) => {
            thinking.signature.as_ref().map(|seal| seal.value.clone())
        }
        (Content::ToolCall { signature, .. }, F::Signature) => {
            signature.as_ref().map(|seal| seal.value.clone())
        }
        _ => None,
    }
}

fn result_view(part: &Part, feature: Feature) -> Option<String> {
    let Content::ToolResult {
        id,
        parts,
        is_error,
        ..
    } = &part.content
    else {
        return None;
    };
    if feature == Feature::ToolResultError {
        return is_error.then(|| id.clone());
    }
    let media = parts
        .iter()
        .filter(|part| part.content.medium().is_some())
        .count();
    (media > 0).then(|| format!("{id} {media}"))
}

/// What is said, called and answered, by whom and in which order: what every dialect holds. Turns of one speaker are
/// one, texts that follow each other are one, and a user's turn begins with the answers of tools: every dialect may
/// change that.
pub fn conversation(request: &Request) -> Vec<(Role, Vec<String>)> {
    let mut runs: Vec<(Role, Vec<&Content>)> = Vec::new();
    for turn in &request.turns {
        let said = turn.parts.iter().map(|part| &part.content);
        let said = said.filter(|content| {
            matches!(
                content,
                Content::Text { .. } | Content::ToolCall { .. } | Content::ToolResult { .. }
            )
        });
        match runs.last_mut() {
            Some((role, so_far)) if *role == turn.role => so_far.extend(said),
            _ => runs.push((turn.role, said.collect())),
        }
    }
    runs.retain(|(_, said)| !said.is_empty());
    let mut ids = Vec::new();
    let runs = runs.into_iter().map(|(role, mut said)| {
        said.sort_by_key(|content| !matches!(content, Content::ToolResult { .. }));
        let is_text = |content: &Content| matches!(content, Content::Text { .. });
        let same = |one: &&Content, next: &&Content| is_text(one) && is_text(next);
        let views = said.chunk_by(same).map(|said| said_view(said, &mut ids));
        let mut views: Vec<_> = views.collect();
        // Space at the end of what the model said is nothing that all may keep.
        if let (Role::Assistant, Some(last)) = (role, views.last_mut()) {
            last.truncate(last.trim_end().len());
        }
        (role, views)
    });
    runs.collect()
}

/// A call, a result, or texts that follow each other. Ids are written anew for some targets, so that only what they tie
/// together counts.
fn said_view<'a>(contents: &[&'a Content], ids: &mut Vec<&'a str>) -> String {
    let mut number = |id: &'a str| {
        let known = ids.iter().position(|known| *known == id);
        known.unwrap_or_else(|| {
            ids.push(id);
            ids.len() - 1
        })
    };
    match contents {
        [
            Content::ToolCall {
                id,
                name,
                arguments,
                ..
            },
        ] => {
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            format!("call {} {name} {arguments}", number(id))
        }
        [Content::ToolResult { id, parts, .. }] => {
            let texts = parts.iter().filter_map(|part| match &part.content {
                Content::Text { text, .. } => Some(text.as_str()),
                _ => None,
            });
            format!("result {} {}", number(id), in_one(texts))
        }
        contents => in_one(contents.iter().filter_map(|content| match content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })),
    }
}
