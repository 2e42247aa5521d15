//! What one Claude can that another cannot.
//!
//! Anthropic refuses what a model does not know, so a request in another dialect is fitted to the model it is for.
//! Source: Anthropic's model overviews and migration guides, as of November 2026.

/// What a model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) struct Model {
    /// The most tokens that it writes, thoughts included. The API demands a limit; this is the one that is none.
    pub output_max: u64,
    /// Whether it is Claude, so that more than `output_max` is certain to be refused.
    pub is_claude: bool,
    pub thinking: Thinking,
    /// How to ask that it does not think.
    pub off: Off,
    pub effort_max: EffortMax,
    pub sampling: Sampling,
    /// Whether it takes a `tool_choice` of `any` or `tool`.
    pub is_forceable: bool,
    /// Whether it takes `output_config.format` and strict tools.
    pub has_schemas: bool,
    /// Whether system messages may stand between the others.
    pub has_system_turns: bool,
    /// Whether it goes on with an answer that the last message begins. Since 4.6 none does: 400.
    pub has_prefill: bool,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Thinking {
    /// It does not think.
    Never,
    /// `enabled`, with a budget.
    Budget,
    /// Either way.
    Both,
    /// `adaptive`, steered by the effort.
    Adaptive,
}

/// How to ask a model that it does not think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Off {
    /// By not asking it to.
    Omit,
    Disabled,
    BetweenTools,
    /// It always thinks.
    Never,
}

/// The highest effort that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum EffortMax {
    High,
    /// `max`, without `xhigh`.
    Max,
    /// `xhigh` and `max`.
    Every,
}

/// Whether `temperature`, `top_p` and `top_k` are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Sampling {
    Free,
    /// But not `temperature` and `top_p` at once.
    OneOfTwo,
    Never,
}

impl Model {
    /// The model of that name, whatever stands around it: `claude-3-5-haiku@20241022`,
    /// `us.anthropic.claude-opus-4-1-20250805-v1:0`. A Claude without a version is taken for the newest, and what is
    /// no Claude at all for a server that speaks the dialect as it was when others took it up.
    pub fn named(name: &str) -> Self {
        let Some((family, version)) = parsed(name) else {
            return OTHER;
        };
        let known = GENERATIONS.iter().find(|(families, since, _)| {
            let is_of_family = families.is_empty() || families.contains(&family);
            is_of_family && version >= *since
        });
        known.map_or(OLDEST, |(_, _, model)| *model)
    }
}

type Version = (u8, u8);

/// Newest first: the families (none: any), the version from which on it holds, and what they know.
const GENERATIONS: [(&[&str], Version, Model); 13] = [
    (
        &["fable", "mythos"],
        (5, 1),
        Model {
            is_forceable: false,
            ..ALWAYS
        },
    ),
    (&["fable", "mythos"], (5, 0), ALWAYS),
    (
        &["opus"],
        (5, 5),
        Model {
            is_forceable: false,
            ..ALWAYS
        },
    ),
    (
        &["sonnet"],
        (5, 5),
        Model {
            is_forceable: false,
            off: Off::BetweenTools,
            ..ALWAYS
        },
    ),
    (
        &[],
        (5, 0),
        Model {
            off: Off::Disabled,
            ..ALWAYS
        },
    ),
    (
        &[],
        (4, 8),
        Model {
            off: Off::Omit,
            ..ALWAYS
        },
    ),
    (
        &[],
        (4, 7),
        Model {
            off: Off::Omit,
            has_system_turns: false,
            ..ALWAYS
        },
    ),
    (
        &[],
        (4, 6),
        Model {
            output_max: 128_000,
            thinking: Thinking::Both,
            effort_max: EffortMax::Max,
            has_prefill: false,
            ..CLAUDE_4_5
        },
    ),
    (&[], (4, 5), CLAUDE_4_5),
    (
        &["opus"],
        (4, 1),
        Model {
            output_max: 32_000,
            ..CLAUDE_4_5
        },
    ),
    (
        &["opus"],
        (4, 0),
        Model {
            output_max: 32_000,
            ..CLAUDE_3_7
        },
    ),
    (&[], (3, 7), CLAUDE_3_7),
    (
        &[],
        (3, 5),
        Model {
            output_max: 8_192,
            ..OLDEST
        },
    ),
];

const ALWAYS: Model = Model {
    output_max: 128_000,
    is_claude: true,
    thinking: Thinking::Adaptive,
    off: Off::Never,
    effort_max: EffortMax::Every,
    sampling: Sampling::Never,
    is_forceable: true,
    has_schemas: true,
    has_system_turns: true,
    has_prefill: false,
};

const CLAUDE_4_5: Model = Model {
    sampling: Sampling::OneOfTwo,
    has_schemas: true,
    ..CLAUDE_3_7
};

const CLAUDE_3_7: Model = Model {
    output_max: 64_000,
    is_claude: true,
    thinking: Thinking::Budget,
    off: Off::Omit,
    effort_max: EffortMax::High,
    sampling: Sampling::Free,
    is_forceable: true,
    has_schemas: false,
    has_system_turns: false,
    has_prefill: true,
};

/// Claude 3.
const OLDEST: Model = Model {
    output_max: 4_096,
    thinking: Thinking::Never,
    ..CLAUDE_3_7
};

/// No Claude, or an alias of one.
const OTHER: Model = Model {
    output_max: 8_192,
    is_claude: false,
    has_schemas: true,
    has_prefill: false,
    ..CLAUDE_3_7
};

/// The family and the version in a name, None if it is no Claude's.
fn parsed(name: &str) -> Option<(&str, Version)> {
    const FAMILIES: [&str; 5] = ["opus", "sonnet", "haiku", "fable", "mythos"];
    let (_, rest) = name.split_once("claude")?;
    let mut family = "";
    let mut version = Vec::with_capacity(2);
    for word in rest.split(['-', '.', '@', '_', '/', ':', ' ']) {
        match word.parse::<u32>() {
            Ok(number) if number < 100 && version.len() < 2 => version.push(number as u8),
            // A date ends the version.
            Ok(_) if !version.is_empty() => break,
            Ok(_) => {}
            Err(_) if FAMILIES.contains(&word) => family = word,
            // As does a revision, as in `-v1:0`; but the family may follow the version.
            Err(_) if !family.is_empty() && !version.is_empty() => break,
            Err(_) => {}
        }
    }
    let version = match version[..] {
        [] => (u8::MAX, 0),
        [major] => (major, 0),
        [major, minor, ..] => (major, minor),
    };
    Some((family, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_takes_the_beginning_of_an_answer_up_to_4_5() {
        for (name, takes) in [
            ("claude-3-haiku-20240307", true),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", true),
            ("claude-haiku-4-5@20251001", true),
            ("claude-opus-4-6", false),
            ("anthropic/claude-sonnet-4.6", false),
            ("claude-opus-5", false),
            ("claude-latest", false),
            ("glm-4.6", false),
        ] {
            assert_eq!(Model::named(name).has_prefill, takes, "{name}");
        }
    }

    #[test]
    fn names_are_read_in_every_clouds_spelling() {
        for (name, family, version) in [
            ("claude-3-opus-20240229", "opus", (3, 0)),
            ("claude-3-5-sonnet-v2@20241022", "sonnet", (3, 5)),
            ("claude-3-7-sonnet-latest", "sonnet", (3, 7)),
            ("claude-sonnet-4-20250514", "sonnet", (4, 0)),
            ("claude-sonnet-4-0", "sonnet", (4, 0)),
            ("us.anthropic.claude-opus-4-20250514-v1:0", "opus", (4, 0)),
            ("eu.anthropic.claude-opus-4-1-20250805-v1:0", "opus", (4, 1)),
            ("anthropic/claude-sonnet-4.5", "sonnet", (4, 5)),
            ("claude-haiku-4-5@20251001", "haiku", (4, 5)),
            ("claude-opus-5", "opus", (5, 0)),
            ("claude-fable-5-1", "fable", (5, 1)),
            ("claude-mythos-preview", "mythos", (u8::MAX, 0)),
        ] {
            assert_eq!(parsed(name), Some((family, version)), "{name}");
        }
        assert_eq!(parsed("kimi-k2"), None);
    }

    #[test]
    fn models_know_what_their_guides_say() {
        let known = |name: &str| {
            let model = Model::named(name);
            (
                model.output_max,
                model.thinking,
                model.off,
                model.is_forceable,
            )
        };
        use Thinking::{Adaptive, Both, Budget, Never};
        for (name, facts) in [
            ("claude-3-haiku-20240307", (4_096, Never, Off::Omit, true)),
            ("claude-3-5-haiku-latest", (8_192, Never, Off::Omit, true)),
            (
                "claude-3-7-sonnet-20250219",
                (64_000, Budget, Off::Omit, true),
            ),
            ("claude-opus-4-20250514", (32_000, Budget, Off::Omit, true)),
            ("claude-sonnet-4-5", (64_000, Budget, Off::Omit, true)),
            ("claude-opus-4-6", (128_000, Both, Off::Omit, true)),
            ("claude-opus-4-8", (128_000, Adaptive, Off::Omit, true)),
            ("claude-sonnet-5", (128_000, Adaptive, Off::Disabled, true)),
            ("claude-haiku-5-5", (128_000, Adaptive, Off::Disabled, true)),
            (
                "claude-sonnet-5-5",
                (128_000, Adaptive, Off::BetweenTools, false),
            ),
            ("claude-opus-5-5", (128_000, Adaptive, Off::Never, false)),
            ("claude-fable-5", (128_000, Adaptive, Off::Never, true)),
            ("claude-mythos-5-2", (128_000, Adaptive, Off::Never, false)),
            ("glm-4.6", (8_192, Budget, Off::Omit, true)),
        ] {
            assert_eq!(known(name), facts, "{name}");
        }
    }
}
