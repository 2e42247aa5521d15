//! What a target cannot carry of a request, as the caller is told.

use std::borrow::Cow;

use super::feature::{Carry, Feature};
use super::request::{Content, Request, Tool};
use crate::dialect::Dialect;

/// What of a request its target cannot carry, in the caller's own names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    names: Vec<Cow<'static, str>>,
    source: Option<Dialect>,
}

/// The most names that are told.
const NAMES_MAX: usize = 32;

/// The longest name that is told, in bytes.
const NAME_MAX: usize = 64;

impl Dropped {
    /// What `target`, which carries features as `carries` says, can hold nothing of. Writers note the rest.
    pub fn from(request: &Request, target: Dialect, carries: impl Fn(Feature) -> Carry) -> Self {
        let mut dropped = Self {
            names: Vec::new(),
            source: Some(request.source),
        };
        request.each_feature(&mut |feature| {
            if carries(feature) == Carry::Never {
                dropped.note(feature);
            }
        });
        if request.source != target {
            for (name, _) in &request.extra {
                dropped.note_name(name);
            }
        }
        for tool in &request.tools {
            if let Tool::Hosted { dialect, kind, .. } = tool
                && *dialect != target
            {
                dropped.note_name(&format!("tools.{kind}"));
            }
        }
        request.each_part(&mut |part| {
            if let Content::Opaque { dialect, kind, .. } = &part.content
                && *dialect != target
            {
                dropped.note_name(kind);
            }
        });
        dropped
    }

    /// Notes a feature that is lost.
    pub fn note(&mut self, feature: Feature) {
        let source = self.source.unwrap_or(Dialect::Chat);
        self.add(Cow::Borrowed(feature.field(source)));
    }

    /// Notes a field of the caller's dialect by its own name.
    pub fn note_name(&mut self, name: &str) {
        let is_fit = |byte: char| byte.is_ascii_graphic() && byte != ',';
        let fit: String = name
            .chars()
            .filter(|char| is_fit(*char))
            .take(NAME_MAX)
            .collect();
        if !fit.is_empty() {
            self.add(Cow::Owned(fit));
        }
    }

    fn add(&mut self, name: Cow<'static, str>) {
        if self.names.len() < NAMES_MAX && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// The names, in the order of their loss.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The value of `x-tollgate-dropped`.
    pub fn joined(&self) -> String {
        self.names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_in_the_callers_words() {
        let mut request = Request::new(Dialect::Gemini, "m");
        request.top_k = Some(40);
        request.seed = Some(7);
        request
            .extra
            .push(("safetySettings".into(), super::super::Json::empty_object()));
        let carries = |feature| match feature {
            Feature::Seed => Carry::Whole,
            _ => Carry::Never,
        };
        let dropped = Dropped::from(&request, Dialect::Anthropic, carries);
        assert_eq!(dropped.joined(), "generationConfig.topK,safetySettings");
        assert!(Dropped::from(&request, Dialect::Gemini, |_| Carry::Whole).is_empty());
    }

    #[test]
    fn what_is_told_is_bounded_and_fit_for_a_header() {
        let mut dropped = Dropped::default();
        for number in 0..100 {
            dropped.note_name(&format!("a,\r\n{number}{}", "x".repeat(100)));
        }
        assert!(dropped.names().count() <= NAMES_MAX);
        assert!(
            dropped
                .names()
                .all(|name| name.len() <= NAME_MAX && name.is_ascii())
        );
        assert!(!dropped.joined().contains('\n'));
    }
}
