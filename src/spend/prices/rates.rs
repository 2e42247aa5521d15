//! What each part of a usage costs, and the sum of that.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::{Decimal, plain};
use crate::dialect::Usage;
use crate::spend::Usd;

/// Digits behind the point of a dollar that is counted in atto-dollars.
const ATTO_DIGITS: usize = 18;

/// Atto-dollars in a pico-dollar.
const ATTO_PER_PICO: i128 = 1_000_000;

/// Declares [`Rates`] with what goes over all of its fields.
macro_rules! rates {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Prices in US dollars for a million of each part. What is left out costs what the part that holds it does.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct Rates {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<Decimal>,)*
        }

        impl Rates {
            /// These, with those of `over` in their places.
            #[must_use]
            pub fn overridden(&self, over: &Self) -> Self {
                Self { $($name: over.$name.or(self.$name),)* }
            }

            /// Each times `factor`, rounded up in the twelfth digit.
            #[must_use]
            pub fn times(&self, factor: Decimal) -> Self {
                Self { $($name: self.$name.map(|rate| rate.times(factor)),)* }
            }
        }
    };
}

rates! {
    /// Tokens of the request.
    input,
    /// Tokens of the answer.
    output,
    /// Of the answer: reasoning.
    output_reasoning,
    /// Of the request: read from the provider's cache.
    cache_read,
    /// Of the request: written to the provider's cache, where no time of its own says more.
    cache_write,
    /// Of the request: written to the cache for five minutes.
    cache_write_5m,
    /// Of the request: written to the cache for an hour.
    cache_write_1h,
    /// Of the request: audio.
    input_audio,
    /// Of the request: images and documents.
    input_image,
    /// Of the request: video.
    input_video,
    /// Of what is read from the cache: audio.
    cache_audio_read,
    /// Of what is read from the cache: images.
    cache_image_read,
    /// Of what is read from the cache: video.
    cache_video_read,
    /// Of the answer: audio.
    output_audio,
    /// Of the answer: images.
    output_image,
    /// Of the answer: video.
    output_video,
    /// Requests that were answered.
    requests,
    /// Searches of the web that the provider ran.
    web_searches,
    /// Images that are billed one by one.
    images,
    /// Seconds of audio that are billed by time.
    audio_seconds,
}

/// What one answer costs, unrounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For the request's tokens.
    pub input: Atto,
    /// For the answer's.
    pub output: Atto,
    /// For whatever is not counted in tokens.
    pub fees: Atto,
}

/// Atto-dollars (10⁻¹⁸): the unit in which no product of a count and a [`Decimal`] price has a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Atto(pub i128);

/// The most that a token of a request can cost, and what one of a kind can cost besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highest {
    /// Any token: fresh, read from the cache, or written to it.
    pub token: Decimal,
    /// One of audio besides.
    pub audio: Decimal,
    /// One of an image besides.
    pub image: Decimal,
    /// One of video besides.
    pub video: Decimal,
}

impl Cost {
    /// All of it, unrounded.
    #[must_use]
    pub const fn total(&self) -> Atto {
        let tokens = self.input.0.saturating_add(self.output.0);
        Atto(tokens.saturating_add(self.fees.0))
    }

    /// All of it, rounded up to the next pico-dollar: the only rounding between a price and the ledger.
    #[must_use]
    pub const fn usd(&self) -> Usd {
        Usd::from_pico_rounded_up(self.total().0, ATTO_PER_PICO)
    }
}

/// A plain decimal of US dollars, exact.
impl fmt::Display for Atto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(self.0 >= 0, "", &plain(self.0.unsigned_abs(), ATTO_DIGITS))
    }
}

impl Rates {
    /// What `usage` costs.
    ///
    /// Each token is paid for once: what has a price of its own is taken out of what holds it, the cached part of each
    /// kind of media first, and the rest is `input` or `output`. Where a provider's parts are larger than their whole, the
    /// parts are paid for.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Cost {
        Cost {
            input: self.input_cost(usage),
            output: self.output_cost(usage),
            fees: self.fees(usage.images, usage.audio_seconds, usage.web_searches),
        }
    }

    /// The most that each token of a request can cost, whatever part of it is cached, written to a cache (for an hour only
    /// if it `caches_for_an_hour`) or of a kind that has its own price: no request of `n` tokens costs more than `n` at
    /// `token`, and those of each kind at what they cost besides.
    #[must_use]
    pub fn highest_input(&self, caches_for_an_hour: bool) -> Highest {
        let hour = self.cache_write_1h.filter(|_| caches_for_an_hour);
        let token = [
            self.input,
            self.cache_read,
            self.cache_audio_read,
            self.cache_image_read,
            self.cache_video_read,
            self.cache_write,
            self.cache_write_5m,
            hour,
        ];
        Highest {
            token: highest(token),
            audio: highest([self.input_audio]),
            image: highest([self.input_image]),
            video: highest([self.input_video]),
        }
    }

    /// The most that a token of an answer can cost, of whatever kind it is.
    #[must_use]
    pub fn highest_output(&self) -> Decimal {
        highest([
            self.output,
            self.output_reasoning,
            self.output_audio,
            self.output_image,
            self.output_video,
        ])
    }

    /// What is paid for a request besides its tokens, with so many images, seconds of audio and searches.
    #[must_use]
    pub fn fees(&self, images: u64, audio_seconds: u64, web_searches: u64) -> Atto {
        sum([
            (self.requests, 1),
            (self.web_searches, web_searches),
            (self.images, images),
            (self.audio_seconds, audio_seconds),
        ])
    }

    fn input_cost(&self, usage: &Usage) -> Atto {
        let mut bill = Bill::of(usage.input_tokens);
        let mut cached = usage.cache_read_tokens;
        for (all, read, fresh_rate, read_rate) in [
            (
                usage.input_audio_tokens,
                usage.cache_audio_read_tokens,
                self.input_audio,
                self.cache_audio_read,
            ),
            (
                usage.input_image_tokens,
                usage.cache_image_read_tokens,
                self.input_image,
                self.cache_image_read,
            ),
            (
                usage.input_video_tokens,
                usage.cache_video_read_tokens,
                self.input_video,
                self.cache_video_read,
            ),
        ] {
            let read_rate = read_rate.or(self.cache_read);
            cached -= bill.take(read.min(cached), read_rate);
            let fresh = all.saturating_sub(read_rate.map_or(0, |_| read));
            bill.take(fresh, fresh_rate);
        }
        bill.take(cached, self.cache_read);
        let hour = usage.cache_write_1h_tokens.min(usage.cache_write_tokens);
        bill.take(hour, self.cache_write_1h.or(self.cache_write));
        let minutes = usage.cache_write_tokens - hour;
        bill.take(minutes, self.cache_write_5m.or(self.cache_write));
        bill.rest(self.input)
    }

    fn output_cost(&self, usage: &Usage) -> Atto {
        let mut bill = Bill::of(usage.output_tokens);
        bill.take(usage.reasoning_tokens, self.output_reasoning);
        bill.take(usage.output_audio_tokens, self.output_audio);
        bill.take(usage.output_image_tokens, self.output_image);
        bill.take(usage.output_video_tokens, self.output_video);
        bill.rest(self.output)
    }
}

/// Tokens, of which some are paid for.
struct Bill {
    open: u64,
    atto: i128,
}

impl Bill {
    const fn of(tokens: u64) -> Self {
        Self {
            open: tokens,
            atto: 0,
        }
    }

    /// Pays for so many if they have a price of their own; returns how many were paid for.
    fn take(&mut self, tokens: u64, rate: Option<Decimal>) -> u64 {
        let Some(rate) = rate else { return 0 };
        self.open = self.open.saturating_sub(tokens);
        self.atto = self.atto.saturating_add(rate.atto(tokens));
        tokens
    }

    fn rest(mut self, rate: Option<Decimal>) -> Atto {
        self.take(self.open, rate);
        Atto(self.atto)
    }
}

fn sum<const N: usize>(fees: [(Option<Decimal>, u64); N]) -> Atto {
    let each = fees.into_iter();
    let each = each.map(|(rate, count)| rate.map_or(0, |rate| rate.atto(count)));
    Atto(each.fold(0, i128::saturating_add))
}

fn highest<const N: usize>(rates: [Option<Decimal>; N]) -> Decimal {
    rates.into_iter().flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(json: &str) -> Rates {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_token_is_paid_for_once() {
        let rates = rates(
            r#"{"input":3,"output":15,"cache_read":0.3,"cache_write":3.75,"cache_write_1h":6,
                "input_audio":10,"output_image":40,"requests":5000,"web_searches":10000}"#,
        );
        let usage = Usage {
            input_tokens: 1_000,
            cache_read_tokens: 400,
            cache_audio_read_tokens: 100,
            input_audio_tokens: 150,
            cache_write_tokens: 200,
            cache_write_1h_tokens: 50,
            output_tokens: 100,
            output_image_tokens: 30,
            web_searches: 2,
            ..Usage::default()
        };
        let cost = rates.cost(&usage);
        // 400 cached at 0.3, 50 of audio at 10, 50 written at 6 and 150 at 3.75, 350 others at 3: in millionths.
        assert_eq!(cost.input.to_string(), "0.0025325");
        assert_eq!(cost.output.to_string(), "0.00225");
        assert_eq!(cost.fees.to_string(), "0.025");
        assert_eq!(cost.usd().to_string(), "0.0297825");
    }

    #[test]
    fn what_has_no_price_of_its_own_costs_what_holds_it() {
        let usage = Usage {
            input_tokens: 10,
            cache_read_tokens: 4,
            cache_write_tokens: 2,
            input_audio_tokens: 3,
            output_tokens: 5,
            reasoning_tokens: 5,
            ..Usage::default()
        };
        let cost = rates(r#"{"input":1,"output":2}"#).cost(&usage);
        assert_eq!(cost.total().to_string(), "0.00002");
    }

    #[test]
    fn the_only_rounding_goes_up_to_a_pico_dollar() {
        let cost = rates(r#"{"input":0.0000001}"#).cost(&Usage {
            input_tokens: 1,
            ..Usage::default()
        });
        assert_eq!(cost.total().to_string(), "0.0000000000001");
        assert_eq!(cost.usd().pico(), 1);
    }
}
