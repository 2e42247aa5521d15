//! Which of several targets that are as good as each other is asked, and which are asked if it fails.
//!
//! Pure functions: load, chance and the conversation are passed in, so the same choice can be made again.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chance::share;
pub use super::chance::{hash, number};
use super::health::Readings;
use crate::spend::Usd;

/// How one of several targets is picked. Those that are left alone at present come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// By chance, each as often as its weight says.
    #[default]
    Weighted,
    /// Of two by chance the one with less to do: by how long its answers take to begin and how many are under way, for its
    /// weight.
    LeastLoaded,
    /// The one with the lowest price; by weight where prices are the same. One without a price comes last.
    Cheapest,
    /// The one whose first tokens came soonest of late; one request in twenty goes to another, to see how that does.
    Fastest,
    /// A conversation stays with one target, whose prompt cache knows it; conversations are shared out by weight.
    Sticky,
}

/// One of several targets.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The [`hash`] of its name: what keeps conversations with it when others come and go.
    pub id: u64,
    /// Its share, beside those of the others.
    pub weight: u32,
    /// What the request costs there, or what is in proportion to that.
    pub price: Option<Usd>,
    /// What is measured of it.
    pub readings: Readings,
    /// Until when it is left alone; None if it may be asked, be it as a probe.
    pub closed_until: Option<Instant>,
}

/// At most so many can be chosen from.
pub const CANDIDATES_MAX: usize = 64;

/// One in so many requests sees how others do than the fastest.
const EXPLORED: u64 = 20;

/// What an answer takes that nobody has measured, while others are already waiting for the first.
const UNMEASURED: Duration = Duration::from_secs(1);

/// Where each of a request's chances comes from, beside the candidates' own.
const EXPLORES: u64 = CANDIDATES_MAX as u64;
const FIRST_OF_TWO: u64 = EXPLORES + 1;
const SECOND_OF_TWO: u64 = EXPLORES + 2;

/// The order in which candidates, told by their places, are to be asked. The first is the pick, the others follow in the same
/// spirit; those that are left alone come last, and of them first who is well again soonest. `key` is the [`hash`] of what
/// is the same in all of a conversation.
pub fn order(
    pick: Pick,
    candidates: &[Candidate],
    key: u64,
    chance: u64,
) -> impl ExactSizeIterator<Item = usize> + use<> {
    let candidates = &candidates[..candidates.len().min(CANDIDATES_MAX)];
    let mut ranks = [Rank::default(); CANDIDATES_MAX];
    for (place, (rank, candidate)) in ranks.iter_mut().zip(candidates).enumerate() {
        *rank = Rank {
            place,
            closed_until: candidate.closed_until,
            score: score(pick, candidate, key),
            lot: lot(candidate.weight, number(chance, place as u64)),
        };
    }
    let ranks_used = &mut ranks[..candidates.len()];
    match pick {
        Pick::LeastLoaded => prefer_of_two(ranks_used, chance),
        Pick::Fastest if number(chance, EXPLORES).is_multiple_of(EXPLORED) => {
            explore(ranks_used, candidates);
        }
        _ => {}
    }
    ranks_used.sort_unstable_by(Rank::compare);
    ranks
        .into_iter()
        .take(candidates.len())
        .map(|rank| rank.place)
}

/// What decides where a candidate comes.
#[derive(Clone, Copy, Debug, Default)]
struct Rank {
    place: usize,
    closed_until: Option<Instant>,
    /// The lower the better, as the pick sees it.
    score: Score,
    /// The lower the better, where the pick sees no difference.
    lot: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Score {
    Preferred,
    #[default]
    Same,
    Price(Usd),
    /// The bits of a number that is not negative: they are in the order of the numbers.
    Number(u64),
    Last,
}

impl Score {
    fn number(number: f64) -> Self {
        Self::Number(number.abs().to_bits())
    }
}

impl Rank {
    fn compare(&self, other: &Self) -> Ordering {
        self.closed_until
            .cmp(&other.closed_until)
            .then(self.score.cmp(&other.score))
            .then(self.lot.total_cmp(&other.lot))
            .then(self.place.cmp(&other.place))
    }
}

fn score(pick: Pick, candidate: &Candidate, key: u64) -> Score {
    match pick {
        Pick::Weighted => Score::default(),
        Pick::Cheapest => candidate.price.map_or(Score::Last, Score::Price),
        Pick::Sticky => Score::number(lot(candidate.weight, number(key ^ candidate.id, 0))),
        Pick::LeastLoaded => Score::number(load(candidate)),
        Pick::Fastest => {
            let Readings {
                latency,
                first_token,
                ..
            } = candidate.readings;
            let usual = first_token.or(latency);
            usual.map_or(Score::Last, |usual| Score::number(usual.as_secs_f64()))
        }
    }
}

/// Draws a lot: who draws the lowest of all does so as often as his weight is of all weights, and the second lowest likewise
/// among the others (Efraimidis and Spirakis, "Weighted random sampling with a reservoir").
fn lot(weight: u32, number: u64) -> f64 {
    -(1.0 - share(number)).ln() / f64::from(weight)
}

/// How long the next one would wait there, for its weight (peak EWMA, as Finagle balances).
fn load(candidate: &Candidate) -> f64 {
    let Readings {
        latency, in_flight, ..
    } = candidate.readings;
    let unmeasured = match in_flight {
        0 => Duration::ZERO,
        _ => UNMEASURED,
    };
    let latency = latency.unwrap_or(unmeasured).as_secs_f64();
    latency * f64::from(in_flight.saturating_add(1)) / f64::from(candidate.weight)
}

/// Of two by chance the one with less to do comes first: always to take the one with the least would send all there at once
/// that come before that is noticed.
fn prefer_of_two(ranks: &mut [Rank], chance: u64) {
    let well = ranks
        .iter()
        .filter(|rank| rank.closed_until.is_none())
        .count();
    if well < 2 {
        return;
    }
    let first = number(chance, FIRST_OF_TWO) as usize % well;
    let second = (first + 1 + number(chance, SECOND_OF_TWO) as usize % (well - 1)) % well;
    ranks.sort_unstable_by(|a, b| {
        a.closed_until
            .cmp(&b.closed_until)
            .then(a.place.cmp(&b.place))
    });
    let better = match ranks[first].compare(&ranks[second]) {
        Ordering::Greater => second,
        _ => first,
    };
    ranks[better].score = Score::Preferred;
}

/// One that nobody has measured comes first, or any.
fn explore(ranks: &mut [Rank], candidates: &[Candidate]) {
    let well = || {
        ranks
            .iter()
            .enumerate()
            .filter(|(_, rank)| rank.closed_until.is_none())
    };
    let lowest = |a: &(usize, &Rank), b: &(usize, &Rank)| a.1.lot.total_cmp(&b.1.lot);
    let is_unmeasured = |rank: &Rank| {
        let readings = candidates[rank.place].readings;
        readings.first_token.or(readings.latency).is_none()
    };
    let unmeasured = well()
        .filter(|(_, rank)| is_unmeasured(rank))
        .min_by(lowest);
    let explored = unmeasured.or_else(|| well().min_by(lowest));
    if let Some((index, _)) = explored {
        ranks[index].score = Score::Preferred;
    }
}

#[cfg(test)]
mod tests;
