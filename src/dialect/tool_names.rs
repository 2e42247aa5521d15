//! Names of tools that a target would refuse: it gets others, always the same, and the caller its own back.
//!
//! Anthropic takes 128 characters, OpenAI and Bedrock 64, and Google knows dots and colons besides: what one provider's
//! SDK names its tools is nothing that all others take.

use std::collections::HashMap;

use super::Dialect;
use super::common::{Answer, Content, Delta, Part, Request, Tool, ToolChoice, fitted_name};

/// The names that were changed, by what the target knows them as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames(HashMap<String, String>);

impl ToolNames {
    /// `request` as a target of `dialect` takes it; None if it takes all names as they are.
    pub fn fit(request: &Request, dialect: Dialect) -> Option<(Request, Self)> {
        let fitting = Fitting::of(dialect)?;
        let mut tools = request.functions();
        let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let is_unfit = |name: &str| !fitting.takes(name);
        let has_unfit = tools.any(|function| is_unfit(&function.name))
            || parts.any(|part| name_of(part).is_some_and(is_unfit));
        if !has_unfit {
            return None;
        }
        let mut fitted = request.clone();
        let mut names = Self::default();
        let mut rename = |name: &mut String| {
            if is_unfit(name) {
                let new = fitted_name(name, fitting.longest);
                let old = std::mem::replace(name, new.clone());
                names.0.insert(new, old);
            }
        };
        for tool in &mut fitted.tools {
            if let Tool::Function(function) = tool {
                rename(&mut function.name);
            }
        }
        match &mut fitted.tool_choice {
            Some(ToolChoice::Named(name)) => rename(name),
            Some(ToolChoice::Allowed { names, .. }) => names.iter_mut().for_each(&mut rename),
            _ => {}
        }
        for part in fitted.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            match &mut part.content {
                Content::ToolCall { name, .. }
                | Content::ToolResult {
                    name: Some(name), ..
                } => rename(name),
                _ => {}
            }
        }
        Some((fitted, names))
    }

    /// Gives the calls of an answer the caller's names.
    pub fn restore(&self, answer: &mut Answer) {
        let choices = answer.choices.iter_mut();
        for part in choices.flat_map(|choice| &mut choice.parts) {
            if let Content::ToolCall { name, .. } = &mut part.content {
                self.restore_name(name);
            }
        }
    }

    /// Gives a call in a stream the caller's name.
    pub fn restore_delta(&self, delta: &mut Delta) {
        if let Delta::ToolCall { name, .. } = delta {
            self.restore_name(name);
        }
    }

    fn restore_name(&self, name: &mut String) {
        if let Some(own) = self.0.get(name) {
            name.clone_from(own);
        }
    }
}

/// What names a dialect's providers take.
struct Fitting {
    longest: usize,
    /// Besides letters, digits, `_` and `-`.
    further: &'static [u8],
}

impl Fitting {
    const fn of(dialect: Dialect) -> Option<Self> {
        let (longest, further): (usize, &[u8]) = match dialect {
            Dialect::Chat | Dialect::Completions | Dialect::Responses | Dialect::Bedrock => {
                (64, b"")
            }
            Dialect::Anthropic => (128, b""),
            Dialect::Gemini => (64, b".:"),
            // Says nothing of it.
            Dialect::Cohere => return None,
        };
        Some(Self { longest, further })
    }

    fn takes(&self, name: &str) -> bool {
        let is_fit = |byte: u8| {
            byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || self.further.contains(&byte)
        };
        (1..=self.longest).contains(&name.len()) && name.bytes().all(is_fit)
    }
}

fn name_of(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolCall { name, .. } => Some(name),
        Content::ToolResult { name, .. } => name.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::{Choice, Function};

    fn request(name: &str) -> Request {
        let mut request = Request::new(Dialect::Anthropic, "m");
        request.tools.push(Tool::Function(Function {
            name: name.to_owned(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        }));
        request.tool_choice = Some(ToolChoice::Named(name.to_owned()));
        request
    }

    #[test]
    fn a_name_that_is_refused_is_changed_and_comes_back() {
        let long = format!("mcp__{}", "x".repeat(100));
        for (name, dialect) in [
            (long.as_str(), Dialect::Chat),
            ("a.b", Dialect::Responses),
            ("größe", Dialect::Gemini),
            (&long.repeat(2), Dialect::Anthropic),
        ] {
            let asked = request(name);
            let (sent, names) = ToolNames::fit(&asked, dialect).unwrap();
            let known = sent.functions().next().unwrap().name.clone();
            assert!(Fitting::of(dialect).unwrap().takes(&known), "{known}");
            assert_eq!(sent.tool_choice, Some(ToolChoice::Named(known.clone())));
            assert!(ToolNames::fit(&sent, dialect).is_none());
            let mut answer = Answer {
                choices: vec![Choice {
                    parts: vec![Part::from(Content::ToolCall {
                        id: "1".into(),
                        name: known,
                        arguments: "{}".into(),
                        signature: None,
                    })],
                    ..Choice::default()
                }],
                ..Answer::default()
            };
            names.restore(&mut answer);
            assert_eq!(name_of(&answer.choices[0].parts[0]), Some(name));
        }
    }

    #[test]
    fn names_that_are_taken_stay() {
        let long = "x".repeat(100);
        for (name, dialect) in [
            ("look_up-2", Dialect::Chat),
            ("a.b:c", Dialect::Gemini),
            (long.as_str(), Dialect::Anthropic),
            ("a b", Dialect::Cohere),
        ] {
            assert_eq!(ToolNames::fit(&request(name), dialect), None, "{name}");
        }
    }
}
