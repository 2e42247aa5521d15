//! What one model costs at one provider, resolved: by day, time, service tier and size.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use super::catalogue::Listed;
use super::decimal::Decimal;
use super::rates::{Cost, Rates};
use crate::dialect::{Tier, Usage};
use crate::hex;
use crate::spend::ledger::PriceUsed;

/// A model's prices.
#[derive(Debug)]
pub struct Tariff {
    /// The last that applies is in force.
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    from: Option<NaiveDate>,
    daily: Option<(NaiveTime, NaiveTime)>,
    standard: Scale,
    tiers: BTreeMap<Tier, Scale>,
}

/// Prices by size: the last step that a request is larger than holds for all of it.
#[derive(Debug)]
struct Scale {
    steps: Vec<(u64, Rates)>,
    used: Arc<PriceUsed>,
}

/// What an answer costs, and by which price.
#[derive(Clone, Debug)]
pub struct Priced {
    /// Unrounded.
    pub cost: Cost,
    /// The price.
    pub used: Arc<PriceUsed>,
}

/// What is changed of the listed prices.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// All prices times this.
    pub times: Option<Decimal>,
    /// These in the place of the listed ones, whatever the day, the tier or the size.
    pub rates: Rates,
}

/// Why a request has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// None is in force at that time.
    Now,
    /// The tier has none, and is dearer than the standard one.
    Tier,
}

impl Tariff {
    /// The prices called `name`, as they are listed and changed.
    pub fn new(name: &str, listed: &[Listed], change: &Change) -> Self {
        let versions = listed.iter().map(|one| Version::new(name, one, change));
        Self {
            versions: versions.collect(),
        }
    }

    /// What `usage` at `time` costs, in the tier that the provider says it served it in. A tier without prices of its own
    /// costs what the standard one does. None if no price is in force at that time.
    pub fn price(&self, usage: &Usage, tier: Tier, time: DateTime<Utc>) -> Option<Priced> {
        let version = self.in_force(time)?;
        let scale = version.tiers.get(&tier).unwrap_or(&version.standard);
        Some(Priced {
            cost: scale.rates_for(usage.input_tokens).cost(usage),
            used: scale.used.clone(),
        })
    }

    /// All rates that a request of at most `input_max` tokens can be priced by at `time` if it asks for `tier`: those of
    /// the tier, and the standard ones, since a provider may serve a lower tier than was asked for, never a dearer one.
    ///
    /// # Errors
    /// No price is in force, or the tier is dearer and has no price.
    pub fn possible(
        &self,
        tier: Tier,
        input_max: u64,
        time: DateTime<Utc>,
    ) -> Result<impl Iterator<Item = &Rates>, Unpriced> {
        let version = self.in_force(time).ok_or(Unpriced::Now)?;
        let own = version.tiers.get(&tier);
        if own.is_none() && tier == Tier::Priority {
            return Err(Unpriced::Tier);
        }
        let scales = own.into_iter().chain([&version.standard]);
        Ok(scales.flat_map(move |scale| scale.up_to(input_max)))
    }

    fn in_force(&self, time: DateTime<Utc>) -> Option<&Version> {
        let mut versions = self.versions.iter().rev();
        versions.find(|version| version.is_in_force(time))
    }
}

impl Version {
    fn new(name: &str, listed: &Listed, change: &Change) -> Self {
        let standard = steps(listed);
        let tiers = listed.service_tiers.iter().map(|(tier, prices)| {
            let one = Decimal::ONE;
            let tiered = |rates: &Rates| {
                rates
                    .times(prices.times.unwrap_or(one))
                    .overridden(&prices.rates)
            };
            let steps = standard
                .iter()
                .map(|(above, rates)| (*above, tiered(rates)));
            let scale = Scale::new(
                &format!("{name}:{tier:?}").to_lowercase(),
                steps.collect(),
                change,
            );
            (*tier, scale)
        });
        Self {
            from: listed.from,
            daily: listed.daily,
            tiers: tiers.collect(),
            standard: Scale::new(name, standard.clone(), change),
        }
    }

    fn is_in_force(&self, time: DateTime<Utc>) -> bool {
        let has_begun = self.from.is_none_or(|from| time.date_naive() >= from);
        has_begun
            && self.daily.is_none_or(|(from, to)| {
                let now = time.time();
                match from <= to {
                    true => from <= now && now < to,
                    false => from <= now || now < to,
                }
            })
    }
}

/// The listed prices by size, the standard ones first.
fn steps(listed: &Listed) -> Vec<(u64, Rates)> {
    let mut steps = vec![(0, listed.rates.clone())];
    let mut above: Vec<_> = listed.above.iter().collect();
    above.sort_by_key(|step| step.tokens);
    for step in above {
        let (_, below) = steps.last().expect("it began with one");
        steps.push((step.tokens, below.overridden(&step.rates)));
    }
    steps
}

impl Scale {
    fn new(name: &str, mut steps: Vec<(u64, Rates)>, change: &Change) -> Self {
        for (_, rates) in &mut steps {
            if let Some(factor) = change.times {
                *rates = rates.times(factor);
            }
            *rates = rates.overridden(&change.rates);
        }
        let used = Arc::new(used(name, &steps));
        Self { steps, used }
    }

    /// The rates of every size up to so many tokens.
    fn up_to(&self, input_max: u64) -> impl Iterator<Item = &Rates> {
        let first = self.steps[0].0;
        let steps = self.steps.iter();
        let reached = steps.filter(move |(above, _)| *above == first || input_max > *above);
        reached.map(|(_, rates)| rates)
    }

    fn rates_for(&self, input_tokens: u64) -> &Rates {
        let mut steps = self.steps.iter().rev();
        let step = steps.find(|(above, _)| input_tokens > *above);
        &step.unwrap_or(&self.steps[0]).1
    }
}

/// A price as the ledger keeps it: its name with a digest of its figures, so that other figures are another price.
fn used(name: &str, steps: &[(u64, Rates)]) -> PriceUsed {
    #[derive(Serialize)]
    struct Step<'a> {
        above: u64,
        #[serde(flatten)]
        rates: &'a Rates,
    }
    let steps: Vec<_> = steps
        .iter()
        .map(|(above, rates)| Step {
            above: *above,
            rates,
        })
        .collect();
    let json = serde_json::to_string(&steps).expect("numbers and strings");
    let digest = ring::digest::digest(&ring::digest::SHA256, json.as_bytes());
    let digest = hex::encode(&digest.as_ref()[..6]);
    PriceUsed {
        id: format!("{name}#{digest}"),
        json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a million tokens in, and as many out, cost.
    fn price(listed: &str, tokens: u64, tier: Tier, time: &str) -> Option<String> {
        let listed: Vec<Listed> = serde_json::from_str(listed).unwrap();
        let tariff = Tariff::new("a/b", &listed, &Change::default());
        let usage = Usage {
            input_tokens: tokens,
            output_tokens: 1_000_000,
            ..Usage::default()
        };
        let priced = tariff.price(&usage, tier, time.parse().unwrap())?;
        Some(priced.cost.total().to_string())
    }

    #[test]
    fn a_large_request_costs_the_higher_price_for_all_of_it() {
        let listed = r#"[{"input":1,"output":4,"above":[{"tokens":200000,"input":2,"output":6}]}]"#;
        let at = "2026-08-01T12:00:00Z";
        for (tokens, usd) in [(200_000, "4.2"), (200_001, "6.400002")] {
            assert_eq!(
                price(listed, tokens, Tier::Standard, at).as_deref(),
                Some(usd)
            );
        }
    }

    #[test]
    fn the_last_price_that_applies_is_in_force() {
        let listed = r#"[{"output":1},{"output":2,"from":"2026-09-01"},
            {"output":3,"from":"2026-10-01","daily":["16:30","00:30"]}]"#;
        for (time, usd) in [
            ("2026-08-31T23:59:59Z", "1"),
            ("2026-09-01T00:00:00Z", "2"),
            ("2026-10-01T16:29:59Z", "2"),
            ("2026-10-01T16:30:00Z", "3"),
            ("2026-10-02T00:29:59Z", "3"),
            ("2026-10-02T00:30:00Z", "2"),
        ] {
            let found = price(listed, 0, Tier::Standard, time);
            assert_eq!(found.as_deref(), Some(usd), "{time}");
        }
        let later = r#"[{"output":1,"from":"2026-09-01"}]"#;
        assert_eq!(
            price(later, 0, Tier::Standard, "2026-08-01T00:00:00Z"),
            None
        );
    }

    #[test]
    fn a_service_tier_has_its_own_price() {
        let listed =
            r#"[{"output":4,"service_tiers":{"flex":{"times":0.5},"priority":{"output":9}}}]"#;
        for (tier, usd) in [
            (Tier::Standard, "4"),
            (Tier::Flex, "2"),
            (Tier::Priority, "9"),
            (Tier::Batch, "4"),
        ] {
            let found = price(listed, 0, tier, "2026-08-01T00:00:00Z");
            assert_eq!(found.as_deref(), Some(usd), "{tier:?}");
        }
    }

    #[test]
    fn other_figures_are_another_price() {
        let used = |listed: &str| {
            let listed: Vec<Listed> = serde_json::from_str(listed).unwrap();
            let tariff = Tariff::new("a/b", &listed, &Change::default());
            let priced = tariff.price(&Usage::default(), Tier::Standard, Utc::now());
            priced.unwrap().used.id.clone()
        };
        let first = used(r#"[{"output":4}]"#);
        assert!(first.starts_with("a/b#"), "{first}");
        assert_eq!(first, used(r#"[{"output":4.0}]"#));
        assert_ne!(first, used(r#"[{"output":5}]"#));
    }
}
