//! Requests and answers that nobody thought of.
//!
//! A request is a conversation such as applications hold: instructions, then turns that alternate, calls that are
//! answered in the turn behind them. What is said in it is anything. It uses only the features that it is allowed.

mod content;
mod settings;
mod turns;

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use content::{caches, media, opaque, parts, says};
use settings::{choices, formats, functions, reasonings, settings};
use turns::{exchanges, turns_of};

use crate::dialect::Dialect;
use crate::dialect::common::{Content, Feature, Json, Part, Request, Role, Tool};

/// The dialects that a caller may speak and that hold a conversation.
pub const CALLERS: [Dialect; 6] = [
    Dialect::Chat,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Bedrock,
    Dialect::Cohere,
];

/// What a request may use.
#[derive(Clone, Debug)]
pub struct Palette {
    allowed: HashSet<Feature>,
    /// Whether parts, tools and fields of one dialect alone may stand in it.
    pub has_own: bool,
    /// Whether things may stand where they seldom do: media in what the model says, and thoughts in what a user does.
    pub has_misplaced: bool,
}

impl Palette {
    /// Only these features.
    pub fn of(features: impl IntoIterator<Item = Feature>) -> Self {
        Self {
            allowed: features.into_iter().collect(),
            has_own: false,
            has_misplaced: false,
        }
    }

    /// All that there is.
    pub fn whole() -> Self {
        Self {
            has_own: true,
            has_misplaced: true,
            ..Self::of(Feature::ALL.iter().copied())
        }
    }

    fn allows(&self, feature: Feature) -> bool {
        self.allowed.contains(&feature)
    }

    /// `strategy` where the feature is allowed, else nothing.
    fn when<T: Clone + std::fmt::Debug + 'static>(
        &self,
        feature: Feature,
        strategy: impl Strategy<Value = T> + 'static,
    ) -> BoxedStrategy<Option<T>> {
        match self.allows(feature) {
            true => option::of(strategy).boxed(),
            false => Just(None).boxed(),
        }
    }
}

pub fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&CALLERS[..])
}

/// Any text, and often none.
pub fn texts() -> BoxedStrategy<String> {
    prop_oneof![
        1 => prop::sample::select(&["", " ", "\n", "{}", "[1]", "Error", "tg1:x:y", "data:,"][..])
            .prop_map(str::to_owned),
        3 => vec(any::<char>(), 0..8).prop_map(String::from_iter),
        2 => "[a-z ]{1,12}",
    ]
    .boxed()
}

/// An object that is carried, with what parsers like to lose: the order, the digits, the spaces.
pub fn objects() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just("1.0e+2".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just("null".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        texts().prop_map(|text| json!(text).to_string()),
    ];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            inner.prop_map(|item| format!("{{\"z\":{item}, \"a\" : 1}}")),
        ]
    });
    vec(value, 0..3)
        .prop_map(|values| {
            let members = values.iter().zip(["z", "b", "a"]);
            let members: Vec<_> = members
                .map(|(value, name)| format!("\"{name}\": {value}"))
                .collect();
            Json::parse(&format!("{{{}}}", members.join(","))).expect("an object")
        })
        .boxed()
}

/// Requests of callers who speak one of `sources`.
pub fn requests(
    sources: impl Strategy<Value = Dialect> + 'static,
    palette: &Palette,
) -> BoxedStrategy<Request> {
    let mut roles = Vec::new();
    roles.extend(palette.allows(Feature::System).then_some(Role::System));
    roles.extend(
        palette
            .allows(Feature::Developer)
            .then_some(Role::Developer),
    );
    let head = match roles.is_empty() {
        true => Just(Vec::new()).boxed(),
        false => {
            let said = parts([], caches(palette), 1..3);
            vec((prop::sample::select(roles), said), 0..3).boxed()
        }
    };
    let own = palette.has_own.then(opaque);
    let last = says([media(palette), own], caches(palette), 2);
    let conversation = (head, vec(exchanges(palette), 0..3), last);
    let tools = (
        functions(palette),
        choices(palette),
        hosted(palette),
        extras(palette),
    );
    let names = palette.when(Feature::SpeakerName, "[a-z]{1,6}");
    let how = (
        formats(palette),
        reasonings(palette),
        settings(palette),
        any::<bool>(),
    );
    (sources, conversation, tools, names, how)
        .prop_map(|(source, conversation, tools, name, how)| {
            let (head, exchanges, last) = conversation;
            let (functions, tool_choice, hosted, extra) = tools;
            let (format, reasoning, settings, stream) = how;
            let mut turns = turns_of(head, exchanges, last);
            // Whoever speaks has a name, but tools.
            for turn in turns.iter_mut().filter(|turn| turn.role != Role::System) {
                let is_result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
                if !turn.parts.iter().any(is_result) {
                    turn.name.clone_from(&name);
                }
            }
            // A choice is made among functions.
            let tool_choice = tool_choice.filter(|_| !functions.is_empty());
            let mut tools: Vec<_> = functions.into_iter().map(Tool::Function).collect();
            tools.extend(hosted);
            Request {
                source,
                stream,
                turns,
                tool_choice,
                parallel_tool_calls: settings.parallel_tool_calls.filter(|_| !tools.is_empty()),
                tools,
                format,
                reasoning,
                extra,
                ..settings
            }
        })
        .boxed()
}

/// Fields that only the caller's dialect has.
fn extras(palette: &Palette) -> BoxedStrategy<Vec<(String, Json)>> {
    match palette.has_own {
        true => vec((Just("ownField".to_owned()), objects()), 0..2).boxed(),
        false => Just(Vec::new()).boxed(),
    }
}

fn hosted(palette: &Palette) -> BoxedStrategy<Option<Tool>> {
    let tool = dialects().prop_map(|dialect| Tool::Hosted {
        dialect,
        kind: "own_tool".to_owned(),
        json: Json::of(&match dialect {
            Dialect::Gemini => json!({"own_tool": {}}),
            Dialect::Bedrock => json!({"systemTool": {"name": "own_tool"}}),
            _ => json!({"type": "own_tool", "name": "own_tool"}),
        }),
    });
    match palette.has_own {
        true => option::of(tool).boxed(),
        false => Just(None).boxed(),
    }
}
