//! What requests need that not every model can, or not every dialect can say.

use std::ops::{BitAnd, BitOr};

use memchr::memmem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{Carry, Feature, Outgoing, Request, ToolChoice};
use super::{Dialect, Incoming, Operation, anthropic, bedrock};

/// Something that not every model can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// To call functions.
    Tools,
    /// To see pictures.
    Images,
    /// To read documents, such as PDFs. Those that are plain text are read by every model.
    Documents,
    /// To hear recordings.
    Audio,
    /// To answer with JSON of a given schema.
    JsonSchema,
}

/// What of a request needs one.
const PARTS: [(Feature, Capability); 7] = [
    (Feature::Tools, Capability::Tools),
    (Feature::ImageUrl, Capability::Images),
    (Feature::ImageData, Capability::Images),
    (Feature::DocumentUrl, Capability::Documents),
    (Feature::DocumentData, Capability::Documents),
    (Feature::Audio, Capability::Audio),
    (Feature::JsonSchema, Capability::JsonSchema),
];

/// Some of what requests need: what one does, or what a target lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Incoming {
    /// What of `these` the request needs. Most requests are read only where their bytes look as if they did.
    #[must_use]
    pub fn needs(&self, these: Needs) -> Needs {
        let Operation::Generate(dialect) = self.operation else {
            return Needs::default();
        };
        let body = self.body();
        if !these.may_stand_in(body) {
            return Needs::default();
        }
        let request = dialect.read_request(body, &self.model, self.stream);
        request.map_or(Needs::default(), |request| Needs::of(&request) & these)
    }
}

impl Needs {
    /// Those of a request.
    fn of(request: &Request) -> Self {
        let may_call = request.tool_choice != Some(ToolChoice::None);
        let mut needs = Self::default();
        request.each_feature(&mut |feature| {
            if may_call || feature != Feature::Tools {
                needs = needs | Self::those(|part, _| part == feature);
            }
        });
        needs
    }

    /// What of a request from a caller who speaks `caller` does not reach a target that is asked in `dialect`.
    pub fn lost(caller: Dialect, dialect: Dialect, to: &Outgoing<'_>) -> Self {
        Self::those(|part, _| match part {
            // Bedrock takes URLs of S3's alone, and nobody else takes these.
            Feature::ImageUrl | Feature::DocumentUrl
                if (caller == Dialect::Bedrock) != (dialect == Dialect::Bedrock) =>
            {
                true
            }
            // Of its documents, such a server gets those that are plain text.
            Feature::DocumentData
                if dialect == Dialect::Chat && to.accent.lacks.contains(&part) =>
            {
                true
            }
            // Whoever is told the schema in words alone is held to nothing.
            Feature::JsonSchema => match dialect {
                Dialect::Chat => !to.accent.has_json_schema,
                Dialect::Anthropic => !anthropic::models::Model::named(to.model).has_schemas,
                Dialect::Bedrock => !bedrock::has_schemas(to.model),
                _ => dialect.carries(to, part) == Carry::Never,
            },
            _ => dialect.carries(to, part) == Carry::Never,
        })
    }

    /// All that there are.
    pub fn all() -> Self {
        Self::those(|_, _| true)
    }

    fn those(is_one: impl Fn(Feature, Capability) -> bool) -> Self {
        let parts = PARTS.iter().enumerate();
        let those = parts.filter(|(_, (part, capability))| is_one(*part, *capability));
        Self(those.fold(0, |bits, (at, _)| bits | 1 << at))
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are not among `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    fn capabilities(self) -> impl Iterator<Item = Capability> {
        let parts = PARTS.into_iter().enumerate();
        let mut capabilities: Vec<_> = parts
            .filter(|(at, _)| self.0 & 1 << at != 0)
            .map(|(_, (_, capability))| capability)
            .collect();
        // What needs the same stands side by side.
        capabilities.dedup();
        capabilities.into_iter()
    }

    /// What they are called in the configuration, with commas between.
    pub fn names(self) -> String {
        let names: Vec<_> = self.capabilities().map(Capability::name).collect();
        names.join(", ")
    }

    /// Whether a body holds what a request with one of them cannot be written without. Letters may be escaped; nobody does
    /// so in good faith.
    fn may_stand_in(self, body: &[u8]) -> bool {
        let mut marks = self.capabilities().flat_map(Capability::marks);
        marks.any(|mark| memmem::find(body, mark.as_bytes()).is_some())
    }
}

impl FromIterator<Capability> for Needs {
    fn from_iter<T: IntoIterator<Item = Capability>>(capabilities: T) -> Self {
        let of = |capability| Self::those(|_, other| other == capability);
        let each = capabilities.into_iter().map(of);
        each.fold(Self::default(), BitOr::bitor)
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Needs {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Capability {
    /// The word in the configuration.
    const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Documents => "documents",
            Self::Audio => "audio",
            Self::JsonSchema => "json_schema",
        }
    }

    /// How names and values begin or end, one of which stands in each request that needs it, in any dialect.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Tools => &["\"tool", "\"function"],
            Self::Images => &["\"image", "\"input_image"],
            Self::Documents => &["\"document", "\"file", "\"input_file", "\"inline"],
            Self::Audio => &["\"audio", "\"input_audio"],
            Self::JsonSchema => &["schema\"", "Schema\""],
        }
    }
}

#[cfg(test)]
mod tests;
