//! What a request asks for, as far as it bounds what it can use: read from the caller's body, without a tokenizer.
//!
//! A bound must be true whatever the text is. A tokenizer that falls back to bytes, as all of those that are served do, makes
//! no more tokens of a text than it has bytes, and an escape in JSON is never shorter than what it says; so the bytes of
//! the body, its names and brackets included, bound the tokens of its text and, with them, what a provider writes around
//! a turn. What is more than that has an allowance of its own here or in `spend::worst`. Whatever is not known to be
//! bounded is named in [`Demand::unbounded`].

mod anthropic;
mod bedrock;
mod chat;
mod gemini;
mod responses;

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memchr3_iter;
use memchr::memmem::Finder;

use super::scan::{members, only, said};
use super::{Dialect, Incoming, Operation, Tier};

/// Tokens that a provider may make of one byte more than it has, where it writes JSON anew: a character outside ASCII as
/// `\u00e9`, a bracket or a comma on a line of its own. Twice more is three in all.
const RENDERED: u64 = 2;

/// The same of a text that is cut into sentences to be cited: one of two bytes has some marks around it.
const CITED: u64 = 3;

/// The least that an answer can be limited to: OpenAI's responses take no less.
pub const OUTPUT_MIN: u64 = 16;

/// The least budget that Anthropic's models take for thinking, which an answer's limit must exceed.
pub(super) const BUDGET_MIN: u64 = 1_024;

/// What a request asks for, as far as it bounds what it can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Nobody bills for it: a count of tokens.
    pub is_free: bool,
    /// The most tokens that can be made of what the body says, media left out.
    pub text_tokens: u64,
    /// Tools of the caller's own.
    pub tools: u64,
    /// Tools that the provider describes and the caller runs, such as Anthropic's `bash`.
    pub known_tools: u64,
    /// Pictures at low detail.
    pub small_images: u64,
    /// All other pictures.
    pub images: u64,
    /// Bytes of sound, decoded from base64.
    pub audio_bytes: u64,
    /// The longest answer that the caller allows, in tokens of one choice; None where he sets no limit that binds.
    pub output_max: Option<u64>,
    /// The shortest that the answer can be limited to.
    pub output_min: u64,
    /// The caller's own name of that limit.
    pub output_param: &'static str,
    /// How many answers are asked for; 0 where the answer has no tokens.
    pub choices: u64,
    /// The service tier that is asked for.
    pub tier: Tier,
    /// The caller's own name of that.
    pub tier_param: &'static str,
    /// Whether something may be written to the provider's cache for an hour, which costs more than for minutes.
    pub caches_for_an_hour: bool,
    /// What has no bound of its own.
    pub unbounded: Vec<Unbounded>,
}

/// A part of a request that has no bound of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbounded {
    /// Its path in the caller's body.
    pub param: String,
    /// What is paid for.
    pub what: Paid,
}

/// Kinds of what is paid for without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paid {
    /// Tools that the provider runs: fees, and further rounds of input and output.
    Tools,
    /// Media whose size nobody tells, and parts that are not known. It is within the model's context window.
    Media,
    /// What the provider keeps: earlier answers, conversations, caches, prompts. It is within the model's context window.
    Stored,
    /// Sound and pictures in the answer, and answers beside the answer.
    Output,
    /// A service that may be dearer than its price is known to be.
    Tier,
    /// Other models than the one that is asked.
    Models,
}

impl Incoming {
    /// What the request asks for, as far as it bounds what it can use.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let body = &self.body()[..];
        let looks = Looks::at(body);
        let mut demand = Demand {
            text_tokens: body.len() as u64 + looks.written_out,
            ..Demand::default()
        };
        match self.operation {
            Operation::CountTokens(_) => {
                demand.is_free = true;
                demand.choices = 0;
            }
            Operation::Embed(_) => demand.choices = 0,
            Operation::Generate(dialect) => {
                demand.caches_for_an_hour = looks.may_say_hour;
                demand.read(dialect, self.members().filter(|(_, raw)| !is_nothing(raw)));
            }
        }
        demand
    }
}

/// One answer to nothing.
impl Default for Demand {
    fn default() -> Self {
        Self {
            is_free: false,
            text_tokens: 0,
            tools: 0,
            known_tools: 0,
            small_images: 0,
            images: 0,
            audio_bytes: 0,
            output_max: None,
            output_min: OUTPUT_MIN,
            output_param: "max_tokens",
            choices: 1,
            tier: Tier::Standard,
            tier_param: "service_tier",
            caches_for_an_hour: false,
            unbounded: Vec::new(),
        }
    }
}

impl Demand {
    fn read<'a>(
        &mut self,
        dialect: Dialect,
        members: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>,
    ) {
        match dialect {
            Dialect::Chat => chat::read(self, members),
            Dialect::Completions => chat::read_completions(self, members),
            Dialect::Cohere => chat::read_cohere(self, members),
            Dialect::Responses => responses::read(self, members),
            Dialect::Anthropic => anthropic::read(self, members),
            Dialect::Gemini => gemini::read(self, members),
            Dialect::Bedrock => bedrock::read(self, members),
        }
    }

    fn no_bound(&mut self, param: impl Into<String>, what: Paid) {
        let param = param.into();
        self.unbounded.push(Unbounded { param, what });
    }

    /// These bytes are no text: a medium's, or they belong to what has no bound.
    fn is_no_text(&mut self, raw: &[u8]) {
        self.text_tokens = self.text_tokens.saturating_sub(raw.len() as u64);
    }

    /// The provider may write this JSON anew.
    fn is_rendered(&mut self, raw: &[u8]) {
        let grows = |byte: &&u8| {
            matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':') || !byte.is_ascii()
        };
        let count = raw.iter().filter(grows).count() as u64;
        self.text_tokens = self.text_tokens.saturating_add(RENDERED * count);
    }

    /// The provider numbers the sentences of this.
    fn is_cited(&mut self, raw: &[u8]) {
        let more = CITED.saturating_mul(raw.len() as u64);
        self.text_tokens = self.text_tokens.saturating_add(more);
    }

    /// A part that is neither text nor a medium with a bound.
    fn part(&mut self, param: impl Into<String>, raw: &[u8], what: Paid) {
        self.is_no_text(raw);
        self.no_bound(param, what);
    }

    /// A picture by its URL, which may hold it.
    fn image_at(&mut self, url: Option<&[u8]>, detail: Option<&[u8]>) {
        if let Some(url) = url.filter(|url| is_data(url)) {
            self.is_no_text(url);
        }
        match detail {
            Some(b"\"low\"") => self.small_images += 1,
            _ => self.images += 1,
        }
    }

    /// Sound in base64.
    fn audio(&mut self, data: &[u8]) {
        self.is_no_text(data);
        self.audio_bytes += data.len() as u64 / 4 * 3;
    }

    /// A limit of the answer. Of two, the higher counts.
    fn limit(&mut self, raw: &[u8]) {
        self.output_max = self.output_max.max(whole(raw));
    }

    fn count_choices(&mut self, param: &str, raw: &[u8]) {
        match whole(raw) {
            Some(count) => self.choices = self.choices.max(count),
            None => self.no_bound(param, Paid::Output),
        }
    }

    /// A service tier by its name, in any provider's words.
    fn tier(&mut self, raw: &[u8]) {
        match &*said(raw).to_ascii_lowercase() {
            "auto" | "default" | "standard" | "standard_only" | "on_demand" | "scale"
            | "reserved" | "unspecified" => {}
            name => match Tier::named(name) {
                Tier::Standard => self.no_bound(self.tier_param, Paid::Tier),
                tier => self.tier = tier,
            },
        }
    }
}

/// The budget of a model of Anthropic's that is told to think within one.
pub(super) fn thinking_budget(thinking: &[u8]) -> Option<u64> {
    let is_on = said(only(thinking, &["type"])?) == "enabled";
    let mut budgets = members(thinking).filter(|(name, _)| is_on && name == "budget_tokens");
    budgets.find_map(|(_, raw)| whole(raw))
}

/// A number of at least one; a fraction goes up. In quotes it is one to readers of Google's.
pub(super) fn whole(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text.trim_matches('"');
    let number = text.parse::<u64>().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?.ceil();
        // Floats saturate.
        (number >= 1.0).then_some(number as u64)
    });
    number.filter(|number| *number > 0)
}

/// Whether a setting says nothing.
fn is_nothing(raw: &[u8]) -> bool {
    matches!(raw, b"null" | b"false") || raw.starts_with(b"[") && raw[1..].trim_ascii() == b"]"
}

/// Whether a URL holds what it stands for.
fn is_data(url: &[u8]) -> bool {
    url.starts_with(b"\"data:")
}

/// Whether a file of OpenAI's form is plain text that stands in the request. Its base64 is longer than it.
fn is_text(file: &[u8]) -> bool {
    only(file, &["file_data"]).is_some_and(|data| data.starts_with(b"\"data:text/plain"))
        && members(file).all(|(name, _)| matches!(&*name, "type" | "file_data" | "filename"))
}

/// What can be told of a body from its bytes alone.
struct Looks {
    /// How many bytes more a text has once its compatible forms are written out, as some tokenizers do first (NFKC: Claude's
    /// published one, Cohere's for embeddings): `ﷺ` becomes 33 bytes out of 3, and a squared word 18. Escaped, they have 6.
    written_out: u64,
    /// Whether the body may ask a cache to keep something for an hour. Digits and letters can be escaped, too; nobody does
    /// so in good faith.
    may_say_hour: bool,
}

impl Looks {
    fn at(body: &[u8]) -> Self {
        static HOUR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"1h\""));
        let mut looks = Self {
            written_out: 0,
            may_say_hour: HOUR.find(body).is_some(),
        };
        for at in memchr3_iter(0xEF, 0xE3, b'\\', body) {
            looks.written_out += match body.get(at..at + 4) {
                // U+FDFA and U+FDFB; then what else is between U+FB00 and U+FEFF, and between U+3200 and U+33FF.
                Some([0xEF, 0xB7, 0xBA | 0xBB, _]) => 30,
                Some([0xEF, 0xAC..=0xBB, ..]) => 9,
                Some([0xE3, 0x88..=0x8F, ..]) => 15,
                Some([b'\\', b'u', b'f' | b'F', b'b'..=b'e' | b'B'..=b'E']) => 27,
                Some([b'\\', b'u', b'3', b'2' | b'3']) => 12,
                Some(b"\\u00") => {
                    looks.may_say_hour |= matches!(body.get(at + 4..at + 6), Some(b"31" | b"68"));
                    0
                }
                _ => 0,
            };
        }
        looks
    }
}

#[cfg(test)]
mod tests;
