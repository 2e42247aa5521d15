//! The settings of a request, fitted to the family of the model that it is for.
//!
//! A caller who speaks this dialect is taken at their word. Another's settings are fitted: what the model would refuse
//! is left out and noted, so that the request succeeds.

use std::borrow::Cow;

use serde_json::Value;

use super::additional::{Additional, ClaudeChoice, ThinkingKind};
use super::objects::{Inference, OutputConfig, ServiceTier, Structure, TextFormat};
use super::tools::ChoiceItem;
use super::{ADDITIONAL, thinking};
use crate::dialect::anthropic::models::Sampling;
use crate::dialect::anthropic::schema::enforceable;
use crate::dialect::bedrock::OWN;
use crate::dialect::bedrock::family::{Choices, Family, TopK};
use crate::dialect::bedrock::wire::Fields;
use crate::dialect::common::{Dropped, Feature, Format, Json, Request, ToolChoice};

/// From this `topP` on, one may stand beside a Claude's thinking.
const TOP_P_THINKING_MIN: f64 = 0.95;

/// The settings of a body.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub inference: Inference<'a>,
    pub output: OutputConfig<'a>,
    pub additional: Additional<'a>,
    pub tool_choice: Option<ChoiceItem<'a>>,
    pub metadata: Option<Cow<'a, Json>>,
    pub service_tier: Option<ServiceTier<'a>>,
}

impl<'a> Settings<'a> {
    /// `has_tools` is whether any are sent.
    pub fn fit(
        request: &'a Request,
        family: &Family,
        has_tools: bool,
        dropped: &mut Dropped,
    ) -> Self {
        let mut fitting = Fitting {
            request,
            family,
            is_own: request.source == OWN,
            dropped,
            additional: Additional::default(),
        };
        let tool_choice = fitting.tool_choice(has_tools);
        let choice = request.tool_choice.as_ref();
        let is_forced = choice.is_some_and(ToolChoice::is_forced);
        thinking::write(
            request,
            family,
            is_forced && has_tools,
            &mut fitting.additional,
            fitting.dropped,
        );
        let inference = fitting.inference();
        fitting.keep();
        Self {
            inference,
            output: OutputConfig {
                text_format: fitting.format(),
                rest: Fields::kept(request, "outputConfig."),
            },
            tool_choice,
            metadata: fitting.metadata(),
            service_tier: fitting.service_tier(),
            additional: fitting.additional,
        }
    }
}

struct Fitting<'a, 'w> {
    request: &'a Request,
    family: &'w Family,
    is_own: bool,
    dropped: &'w mut Dropped,
    additional: Additional<'a>,
}

impl<'a> Fitting<'a, '_> {
    /// What `toolConfig` cannot say a Claude understands in Anthropic's words.
    fn tool_choice(&mut self, has_tools: bool) -> Option<ChoiceItem<'a>> {
        let knows_claude_words = self.is_own || self.family.is_of_anthropic();
        let parallel = self.request.parallel_tool_calls;
        let parallel = parallel.filter(|parallel| self.is_own || !parallel);
        let (kind, feature) = match &self.request.tool_choice {
            None => (None, None),
            Some(ToolChoice::Auto) => (self.is_own.then_some(ChoiceItem::Auto {}), None),
            Some(ToolChoice::None) => {
                // To others the tools are not shown at all.
                if has_tools && knows_claude_words {
                    self.additional.tool_choice = Some(claude_choice(None, parallel));
                }
                return None;
            }
            Some(ToolChoice::Required) => {
                (Some(ChoiceItem::Any {}), Some(Feature::ToolChoiceRequired))
            }
            Some(ToolChoice::Named(name)) => (
                Some(ChoiceItem::Tool { name }),
                Some(Feature::ToolChoiceNamed),
            ),
            Some(ToolChoice::Allowed { names, required }) => {
                let kind = match (names.as_slice(), required) {
                    ([name], true) => Some(ChoiceItem::Tool { name }),
                    (_, required) => {
                        self.dropped.note(Feature::ToolChoiceAllowed);
                        required.then_some(ChoiceItem::Any {})
                    }
                };
                (kind, Some(Feature::ToolChoiceAllowed))
            }
        };
        let fits = self.fitting_choice(kind, has_tools);
        if let (Some(feature), Some(kind)) = (feature, kind)
            && fits
                .is_none_or(|fits| std::mem::discriminant(&fits) != std::mem::discriminant(&kind))
        {
            self.dropped.note(feature);
        }
        if parallel.is_none() || !has_tools {
            return fits;
        }
        if !knows_claude_words {
            self.dropped.note(Feature::ParallelToolCalls);
            return fits;
        }
        let kind = fits.unwrap_or(ChoiceItem::Auto {});
        self.additional.tool_choice = Some(claude_choice(Some(kind), parallel));
        None
    }

    /// What the model takes in place of `kind`; a choice needs tools.
    fn fitting_choice(
        &self,
        kind: Option<ChoiceItem<'a>>,
        has_tools: bool,
    ) -> Option<ChoiceItem<'a>> {
        let kind = kind.filter(|_| has_tools)?;
        if self.is_own {
            return Some(kind);
        }
        let is_forceable = self.family.claude.is_none_or(|claude| claude.is_forceable);
        match (kind, self.family.choices) {
            (ChoiceItem::Auto {}, _) => Some(kind),
            _ if !is_forceable => None,
            (_, Choices::Every) | (ChoiceItem::Any {}, Choices::Any) => Some(kind),
            // One of one is that one.
            (ChoiceItem::Tool { .. }, Choices::Any) => Some(ChoiceItem::Any {}),
            (_, Choices::Auto) => None,
        }
    }

    fn inference(&mut self) -> Inference<'a> {
        let (temperature, top_p) = self.sampling();
        let stops = self.request.stop.iter().map(String::as_str);
        let stop_sequences: Vec<_> = stops
            .filter(|text| self.is_own || !text.trim_ascii().is_empty())
            .collect();
        if stop_sequences.len() < self.request.stop.len() {
            self.dropped.note(Feature::Stop);
        }
        Inference {
            max_tokens: self.max_tokens(),
            temperature,
            top_p,
            stop_sequences,
            rest: Fields::kept(self.request, "inferenceConfig."),
        }
    }

    /// Where a Claude is told no limit, Converse sets it one of 4,096 tokens, thoughts included.
    fn max_tokens(&mut self) -> Option<u64> {
        let asked = self.request.max_tokens;
        let Some(claude) = self.family.claude.filter(|_| !self.is_own) else {
            return asked;
        };
        if claude.is_claude && asked.is_some_and(|asked| asked > claude.output_max) {
            self.dropped.note(Feature::MaxTokens);
            return Some(claude.output_max);
        }
        asked.or(Some(claude.output_max))
    }

    /// `temperature` and `topP`; `top_k` stands among the model's own fields.
    fn sampling(&mut self) -> (Option<f64>, Option<f64>) {
        let Request {
            temperature,
            top_p,
            top_k,
            ..
        } = *self.request;
        let claude = self.family.claude.filter(|_| !self.is_own);
        let thinks = self.additional.thinking.as_ref().is_some_and(|thinking| {
            let kind = thinking.kind;
            matches!(
                kind,
                Some(ThinkingKind::Enabled { .. } | ThinkingKind::Adaptive)
            )
        });
        let strains =
            !self.is_own && self.additional.nova_reasoning.max_reasoning_effort == Some("high");
        let thinks = (thinks && claude.is_some()) || strains;
        let sampling = claude.map_or(Sampling::Free, |claude| claude.sampling);
        let is_never = sampling == Sampling::Never || strains;
        let is_refused = is_never || thinks;
        self.top_k(top_k, is_refused);
        if self.is_own {
            return (temperature, top_p);
        }
        let temperature = match temperature {
            // The value that every model has unasked is no loss.
            Some(1.0) if is_refused => None,
            Some(_) if is_refused => {
                self.dropped.note(Feature::Temperature);
                None
            }
            Some(asked) if asked > 1.0 => {
                self.dropped.note(Feature::Temperature);
                Some(1.0)
            }
            temperature => temperature,
        };
        let is_second = sampling == Sampling::OneOfTwo && temperature.is_some();
        let is_lost = |asked: f64| is_never || is_second || (thinks && asked < TOP_P_THINKING_MIN);
        let top_p = match top_p {
            Some(asked) if is_lost(asked) => {
                if asked < 1.0 {
                    self.dropped.note(Feature::TopP);
                }
                None
            }
            top_p => top_p,
        };
        (temperature, top_p)
    }

    fn top_k(&mut self, asked: Option<u64>, is_refused: bool) {
        if asked.is_none() {
            return;
        }
        match self.family.top_k {
            TopK::Flat if !is_refused => self.additional.top_k = asked,
            TopK::Nova if !is_refused => self.additional.nova_inference.top_k = asked,
            _ if self.is_own => self.additional.top_k = asked,
            _ => self.dropped.note(Feature::TopK),
        }
    }

    /// What a caller of this dialect said to the model beside that.
    fn keep(&mut self) {
        let at = |name: &str| Fields::kept(self.request, &[ADDITIONAL, ".", name].concat());
        let fields = &mut self.additional;
        fields.rest = at("");
        fields.output_config.rest = at("output_config.");
        fields.reasoning.rest = at("reasoning.");
        fields.nova_reasoning.rest = at("reasoningConfig.");
        fields.nova_inference.rest = at("inferenceConfig.");
        let rest = at("thinking.");
        match &mut fields.thinking {
            Some(thinking) => thinking.rest = rest,
            None if rest.is_empty() => {}
            None => {
                fields.thinking = Some(super::additional::Thinking {
                    kind: None,
                    display: None,
                    rest,
                });
            }
        }
    }

    fn format(&mut self) -> Option<TextFormat<'a>> {
        match &self.request.format {
            Format::Text => None,
            // It is asked for in words.
            Format::Json => {
                self.dropped.note(Feature::JsonObject);
                None
            }
            Format::Schema { .. } if !self.family.has_schemas && !self.is_own => {
                self.dropped.note(Feature::JsonSchema);
                None
            }
            Format::Schema {
                name,
                description,
                schema,
                ..
            } => {
                let schema = Cow::Borrowed(schema);
                let (schema, is_loss) = match self.is_own || !self.family.is_of_anthropic() {
                    true => (schema, false),
                    false => enforceable(schema),
                };
                let schema = match schema {
                    Cow::Borrowed(schema) => Cow::Borrowed(schema.as_str()),
                    Cow::Owned(schema) => Cow::Owned(schema.as_str().to_owned()),
                };
                if is_loss {
                    self.dropped.note(Feature::JsonSchema);
                }
                Some(TextFormat {
                    r#type: "json_schema",
                    structure: Structure::JsonSchema {
                        schema,
                        name: name.as_deref(),
                        description: description.as_deref(),
                    },
                })
            }
        }
    }

    /// Labels of other dialects are sent as far as Bedrock takes such.
    fn metadata(&mut self) -> Option<Cow<'a, Json>> {
        const LABELS_MAX: usize = 16;
        const LABEL_MAX: usize = 256;
        let metadata = self.request.metadata.as_ref()?;
        if self.is_own {
            return Some(Cow::Borrowed(metadata));
        }
        let labels: serde_json::Map<String, Value> =
            serde_json::from_str(metadata.as_str()).unwrap_or_default();
        let is_plain = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || byte.is_ascii_whitespace()
                || b":_@$#=/+,-.".contains(&byte)
        };
        let is_fit = |text: &str| text.len() <= LABEL_MAX && text.bytes().all(is_plain);
        let count = labels.len();
        let fits = labels.into_iter().filter(|(name, value)| {
            !name.is_empty() && is_fit(name) && value.as_str().is_some_and(is_fit)
        });
        let fit: serde_json::Map<_, _> = fits.take(LABELS_MAX).collect();
        if fit.len() < count || !metadata.is_object() {
            self.dropped.note(Feature::Metadata);
        }
        (!fit.is_empty()).then(|| Cow::Owned(Json::of(&fit)))
    }

    fn service_tier(&mut self) -> Option<ServiceTier<'a>> {
        let tier = self.request.service_tier.as_deref()?;
        match tier {
            "priority" | "default" | "flex" | "reserved" => Some(ServiceTier { r#type: tier }),
            tier if self.is_own => Some(ServiceTier { r#type: tier }),
            "auto" => None,
            _ => {
                self.dropped.note(Feature::ServiceTier);
                None
            }
        }
    }
}

/// `kind` in Anthropic's words; None is that no tool shall be called.
fn claude_choice<'a>(kind: Option<ChoiceItem<'a>>, parallel: Option<bool>) -> ClaudeChoice<'a> {
    let (word, name) = match kind {
        None => ("none", None),
        Some(ChoiceItem::Auto {}) => ("auto", None),
        Some(ChoiceItem::Any {}) => ("any", None),
        Some(ChoiceItem::Tool { name }) => ("tool", Some(name)),
    };
    ClaudeChoice {
        r#type: word,
        name,
        disable_parallel_tool_use: parallel
            .filter(|_| kind.is_some())
            .map(|parallel| !parallel),
    }
}
