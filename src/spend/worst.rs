//! What an attempt can cost at the very most.

use std::fmt;

use chrono::{DateTime, Utc};

use super::allowance::{Allowance, audio_seconds, audio_tokens, image_tokens, searches_unasked};
use super::family::Family;
use super::limits::Limits;
use super::memo::{Memo, remembered};
use super::prices::{Atto, Highest, Rates, Tariff, Unpriced};
use super::usd::Usd;
use crate::dialect::demand::OUTPUT_MIN;
use crate::dialect::{Demand, Paid, Tier};

/// What an attempt can cost at the very most: a fixed part for what is asked, and a price for each token of the answer.
///
/// It is true for every usage within the bounds of the request, however much of it is cached, written to a cache, or
/// media; at every price by size that the request can come to, and in every service tier that it can be served in: the one
/// that is asked for, and the standard one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// The answer's cost is that of the dearest of this and of more, which there seldom are.
    line: Line,
    more: Vec<Line>,
    output_max: u64,
    input_max: u64,
    choices: u64,
}

/// One of the prices that may be in force, in atto-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    fixed: i128,
    /// For one token of all choices together.
    token: i128,
}

/// A request has no upper bound of its cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` has no upper bound of its cost: {why}")]
pub struct NoBound {
    /// The field of the caller's body.
    pub param: String,
    /// Why it has none.
    pub why: Why,
}

/// Why a request has no upper bound of its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Something of this kind is paid for.
    Paid(Paid),
    /// Neither the caller nor the model bounds the answer.
    Answer,
    /// No price is in force.
    Price,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paid(Paid::Tools) => "the provider runs tools",
            Self::Paid(Paid::Media) => "nobody tells how large it is",
            Self::Paid(Paid::Stored) => "the provider keeps what it stands for",
            Self::Paid(Paid::Output) => "more is answered than text within the limit",
            Self::Paid(Paid::Tier) => "the price of this service is not known",
            Self::Paid(Paid::Models) => "another model may answer",
            Self::Answer => "the answer's length must be limited",
            Self::Price => "it has no price",
        })
    }
}

impl Worst {
    /// What `demand` can cost at `time` of `model` (by the name that its provider knows it by). `longest` is the longest answer
    /// that it gives, where that is not the one that is published. Of kinds that are `allowed`, what has no bound is left out.
    ///
    /// What the model's context window bounds is bounded by that, if it is known: then the whole window is paid for.
    ///
    /// # Errors
    /// There is no bound, and why.
    pub fn of(
        demand: &Demand,
        model: &str,
        tariff: &Tariff,
        time: DateTime<Utc>,
        longest: Option<u64>,
        allowed: &[Paid],
    ) -> Result<Self, NoBound> {
        if demand.is_free {
            return Ok(Self::NOTHING);
        }
        let facts = Facts::of(model);
        let window = facts.limits.and_then(|limits| limits.window);
        let fills_window = fills_window(demand, facts, allowed)?;
        let published = facts.limits.map(|limits| limits.output);
        let output_max = match (demand.choices, demand.output_max, longest.or(published)) {
            (0, _, _) => 0,
            (_, Some(asked), Some(bound)) => asked.max(OUTPUT_MIN).min(bound),
            (_, Some(one), None) | (_, None, Some(one)) => one.max(OUTPUT_MIN),
            (_, None, None) => return Err(NoBound::new(demand.output_param, Why::Answer)),
        };
        let input = Input::of(demand, model, facts.family, window, fills_window);
        let tier = match demand.tier {
            Tier::Priority if allowed.contains(&Paid::Tier) => Tier::Standard,
            tier => tier,
        };
        let rates = tariff.possible(tier, input.all, time);
        let rates = rates.map_err(|unpriced| match unpriced {
            Unpriced::Now => NoBound::new("model", Why::Price),
            Unpriced::Tier => NoBound::new(demand.tier_param, Why::Paid(Paid::Tier)),
        })?;
        let mut lines = rates.map(|rates| Line {
            fixed: input.atto(rates, demand.caches_for_an_hour),
            token: rates.highest_output().atto(demand.choices),
        });
        let line = lines.next().unwrap_or_default();
        let is_dearer = |one: &Line| one.fixed > line.fixed || one.token > line.token;
        Ok(Self {
            line,
            more: lines.filter(is_dearer).collect(),
            output_max,
            input_max: input.all,
            choices: demand.choices,
        })
    }

    /// Of what nobody bills for.
    pub const NOTHING: Self = Self {
        line: Line { fixed: 0, token: 0 },
        more: Vec::new(),
        output_max: 0,
        input_max: 0,
        choices: 0,
    };

    fn lines(&self) -> impl Iterator<Item = &Line> {
        [&self.line].into_iter().chain(&self.more)
    }

    /// All of it: with the longest answers possible.
    #[must_use]
    pub fn usd(&self) -> Usd {
        self.usd_for(self.output_max)
    }

    /// The longest answer of one choice that it is for, in tokens.
    #[must_use]
    pub const fn output_max(&self) -> u64 {
        self.output_max
    }

    /// The most tokens of input that it is for.
    #[must_use]
    pub const fn input_max(&self) -> u64 {
        self.input_max
    }

    /// The same, were the answer of each choice at most so many tokens.
    #[must_use]
    pub fn usd_for(&self, output_max: u64) -> Usd {
        let tokens = i128::from(output_max);
        let costs = self.lines().map(|line| {
            let answer = line.token.saturating_mul(tokens);
            line.fixed.saturating_add(answer)
        });
        Usd::from_pico_rounded_up(costs.max().unwrap_or(0), ATTO_PER_PICO)
    }

    /// The longest answer of each choice that costs no more than `money` in all, [`Self::output_max`] at most; None if not
    /// even one token does. Where no answer is paid for, it is 0.
    #[must_use]
    pub fn fitting(&self, money: Usd) -> Option<u64> {
        let money = money.pico().saturating_mul(ATTO_PER_PICO);
        let mut longest = self.output_max;
        for line in self.lines() {
            let left = money.checked_sub(line.fixed).filter(|left| *left >= 0)?;
            if line.token > 0 {
                let fits = u64::try_from(left / line.token).unwrap_or(u64::MAX);
                longest = longest.min(fits);
            }
        }
        let is_enough = money >= 0 && (longest > 0 || self.choices == 0);
        is_enough.then_some(longest)
    }
}

/// Atto-dollars in a pico-dollar.
const ATTO_PER_PICO: i128 = 1_000_000;

impl NoBound {
    fn new(param: &str, why: Why) -> Self {
        Self {
            param: param.to_owned(),
            why,
        }
    }
}

/// What is known of a model by its name.
#[derive(Clone, Copy)]
struct Facts {
    limits: Option<Limits>,
    family: Family,
    searches_unasked: bool,
}

impl Facts {
    fn of(model: &str) -> Self {
        thread_local! {
            static MEMO: Memo<Facts> = Memo::default();
        }
        remembered(&MEMO, model, |model| Self {
            limits: Limits::of(model),
            family: Family::of(model),
            searches_unasked: searches_unasked(model),
        })
    }
}

/// Whether the input is bounded by the window alone.
fn fills_window(demand: &Demand, facts: Facts, allowed: &[Paid]) -> Result<bool, NoBound> {
    let window = facts.limits.and_then(|limits| limits.window);
    if facts.searches_unasked && !allowed.contains(&Paid::Tools) {
        return Err(NoBound::new("model", Why::Paid(Paid::Tools)));
    }
    let mut fills = false;
    for part in &demand.unbounded {
        match part.what {
            what if allowed.contains(&what) => {}
            Paid::Media | Paid::Stored if window.is_some() => fills = true,
            what => return Err(NoBound::new(&part.param, Why::Paid(what))),
        }
    }
    Ok(fills)
}

/// The most tokens of input, and of each kind of them.
struct Input {
    all: u64,
    images: u64,
    audio: u64,
    video: u64,
    image_count: u64,
    audio_seconds: u64,
}

impl Input {
    fn of(
        demand: &Demand,
        model: &str,
        family: Family,
        window: Option<u64>,
        fills_window: bool,
    ) -> Self {
        let image_count = demand.images.saturating_add(demand.small_images);
        let audio_seconds = audio_seconds(demand.audio_bytes);
        if let (Some(window), true) = (window, fills_window) {
            return Self {
                all: window,
                images: window,
                audio: window,
                video: window,
                image_count: window,
                audio_seconds: window,
            };
        }
        let allowance = Allowance::of(family);
        let tools = demand.tools.saturating_add(demand.known_tools);
        let images = |count: u64, is_small: bool| match count {
            0 => 0,
            count => count.saturating_mul(image_tokens(model, family, is_small)),
        };
        let images = images(demand.images, false).saturating_add(images(demand.small_images, true));
        let audio = audio_tokens(demand.audio_bytes);
        let all = [
            demand.text_tokens,
            // An embedding has nothing around it but a mark at each end.
            if demand.choices > 0 {
                allowance.request
            } else {
                0
            },
            if tools > 0 { allowance.tools } else { 0 },
            demand.tools.saturating_mul(allowance.tool),
            demand.known_tools.saturating_mul(allowance.known_tool),
            images,
            audio,
        ];
        let all = all.into_iter().fold(0, u64::saturating_add);
        let all = all.min(window.unwrap_or(u64::MAX));
        Self {
            all,
            images: images.min(all),
            audio: audio.min(all),
            video: 0,
            image_count,
            audio_seconds,
        }
    }

    /// What it costs at these rates, fees included, in atto-dollars.
    ///
    /// A token of a kind may be written to the cache besides, and then both are paid for (see [`Rates::cost`]).
    fn atto(&self, rates: &Rates, caches_for_an_hour: bool) -> i128 {
        let Highest {
            token,
            audio,
            image,
            video,
        } = rates.highest_input(caches_for_an_hour);
        let tokens = [
            token.atto(self.all),
            audio.atto(self.audio),
            image.atto(self.images),
            video.atto(self.video),
        ];
        let Atto(fees) = rates.fees(self.image_count, self.audio_seconds, 0);
        tokens.into_iter().fold(fees, i128::saturating_add)
    }
}

#[cfg(test)]
mod tests;
