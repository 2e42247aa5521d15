//! The numbers and strings of values that satisfy a JSON schema.

use serde_json::{Map, Number, Value};

use super::pattern;
use super::schema::{Generator, size};

/// No string is longer, in characters.
const STRING_MAX: usize = 4096;

impl Generator<'_> {
    pub(super) fn number(&mut self, schema: &Map<String, Value>, whole: bool) -> Value {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        let step = limit("multipleOf").filter(|step| *step > 0.0);
        let grain = match step {
            Some(step) if whole => step.max(1.0),
            Some(step) => step,
            None if whole => 1.0,
            None => 0.01,
        };
        let above = limit("exclusiveMinimum");
        let below = limit("exclusiveMaximum");
        let least = limit("minimum").or(above);
        let most = limit("maximum").or(below);
        let (least, most) = match (least, most) {
            (Some(least), Some(most)) => (least, most),
            (Some(least), None) => (least, least + 100.0 * grain.max(1.0)),
            (None, Some(most)) => (most - 100.0 * grain.max(1.0), most),
            (None, None) => (0.0, 100.0 * grain.max(1.0)),
        };
        let fits = |number: f64| {
            number >= least
                && number <= most
                && above.is_none_or(|limit| number > limit)
                && below.is_none_or(|limit| number < limit)
                && (!whole || number.fract() == 0.0)
                && step.is_none_or(|step| is_whole(number / step))
        };
        // 3 / 10 is 0.3, but 3 * 0.1 is not.
        let per_unit = (1.0 / grain).round();
        let at = |count: f64| {
            if grain < 1.0 && is_whole(1.0 / grain) {
                count / per_unit
            } else {
                count * grain
            }
        };
        let mentioned = self.numbers.iter().position(|number| fits(*number));
        let mentioned = mentioned.map(|index| self.numbers.remove(index));
        let number = mentioned.unwrap_or_else(|| {
            let (first, last) = ((least / grain).ceil(), (most / grain).floor());
            let steps = (last - first).clamp(0.0, 1e9);
            let chosen = first + (self.seed.fraction() * (steps + 1.0)).floor().min(steps);
            // On a limit that is excluded: the next one, or the middle where the range is narrower than the grain.
            [chosen, chosen + 1.0, chosen - 1.0]
                .into_iter()
                .map(at)
                .find(|number| fits(*number))
                .unwrap_or(least + (most - least) / 2.0)
        });
        if whole && number.abs() < 9e15 {
            Value::from(number as i64)
        } else {
            Number::from_f64(number).map_or(Value::from(0), Value::Number)
        }
    }

    pub(super) fn string(&mut self, schema: &Map<String, Value>, name: &str) -> String {
        if let Some(Value::String(format)) = schema.get("format")
            && let Some(text) = self.formatted(format)
        {
            return text;
        }
        let least = size(schema, "minLength").unwrap_or(0).min(STRING_MAX);
        let most = size(schema, "maxLength")
            .unwrap_or(STRING_MAX)
            .min(STRING_MAX);
        if let Some(Value::String(pattern)) = schema.get("pattern") {
            let fitting = (0..8)
                .filter_map(|_| pattern::matching(pattern, &mut self.seed))
                .find(|text| (least..=most).contains(&text.chars().count()));
            if let Some(text) = fitting {
                return text;
            }
        }
        let mut text = self.words(name);
        if self.repeats > 0 {
            text.push_str(&format!(" {}", self.repeats));
        }
        while text.chars().count() < least {
            text.push(' ');
            text.push_str(self.hints.words.first().copied().unwrap_or("more"));
        }
        match text.char_indices().nth(if text.chars().count() > most {
            most
        } else {
            usize::MAX
        }) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }

    /// Words for a field of this name.
    pub(super) fn words(&mut self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        let about = |kinds: &[&str]| kinds.iter().any(|kind| name.contains(kind));
        let hints = self.hints;
        if about(&[
            "query", "question", "prompt", "message", "text", "body", "content", "input",
        ]) && !hints.prompt.trim().is_empty()
        {
            return super::text::quote(hints.prompt);
        }
        if about(&["email"]) {
            return "ada@example.com".to_owned();
        }
        if about(&["url", "link"]) {
            return "https://example.com/".to_owned();
        }
        if about(&["date"]) {
            return self.date();
        }
        if !hints.names.is_empty() {
            return hints.names[self.seed.below(hints.names.len().min(3))].to_owned();
        }
        if !hints.words.is_empty() {
            let start = self.seed.below(hints.words.len());
            let words: Vec<&str> = hints.words.iter().skip(start).take(2).copied().collect();
            return words.join(" ");
        }
        let some = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];
        self.seed.pick(&some).to_owned()
    }

    fn formatted(&mut self, format: &str) -> Option<String> {
        Some(match format {
            "date" => self.date(),
            "time" => format!("{}Z", self.time()),
            "date-time" => format!("{}T{}Z", self.date(), self.time()),
            "duration" => format!("PT{}M", 1 + self.seed.below(59)),
            "email" | "idn-email" => format!("user{}@example.com", self.seed.below(1000)),
            "hostname" | "idn-hostname" => format!("host{}.example.com", self.seed.below(1000)),
            "ipv4" => format!("192.0.2.{}", 1 + self.seed.below(254)),
            "ipv6" => format!("2001:db8::{:x}", 1 + self.seed.below(0xfffe)),
            "uri" | "iri" | "url" => format!("https://example.com/{}", self.seed.below(1000)),
            "uri-reference" | "iri-reference" => format!("/items/{}", self.seed.below(1000)),
            "json-pointer" => format!("/items/{}", self.seed.below(1000)),
            "regex" => "^[a-z]+$".to_owned(),
            "uuid" => {
                let (high, low) = (self.seed.number(), self.seed.number());
                format!(
                    "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                    high >> 32,
                    high >> 16 & 0xffff,
                    high & 0xfff,
                    low >> 48 & 0x3fff | 0x8000,
                    low & 0xffff_ffff_ffff
                )
            }
            _ => return None,
        })
    }

    fn date(&mut self) -> String {
        let (month, day) = (1 + self.seed.below(12), 1 + self.seed.below(28));
        format!("2025-{month:02}-{day:02}")
    }

    fn time(&mut self) -> String {
        let (hour, minute) = (self.seed.below(24), self.seed.below(60));
        format!("{hour:02}:{minute:02}:00")
    }
}

fn is_whole(number: f64) -> bool {
    (number - number.round()).abs() < 1e-9
}
