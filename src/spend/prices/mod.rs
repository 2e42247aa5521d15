//! What models cost: the catalogue, what the configuration changes of it, and a target's price.

mod catalogue;
mod decimal;
mod matching;
mod rates;
mod section;
mod tariff;

pub use catalogue::{BUILT_IN, Catalogue, Form, Reporting, Seller};
pub use decimal::Decimal;
pub use matching::Match;
pub use rates::{Atto, Cost, Highest, Rates};
pub use section::{OverrideSection, PricesSection, Unknown};
pub use tariff::{Change, Priced, Tariff, Unpriced};

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::{Document, nearest};
use catalogue::Listed;

/// How many targets' prices are remembered. Names that a pattern stands for come from callers.
const REMEMBERED_MAX: usize = 4096;

/// The largest catalogue that is read, in bytes.
const CATALOGUE_MAX: u64 = 16 << 20;

/// The prices in force.
pub struct Prices {
    /// What happens with a target that has no price.
    pub unknown: Unknown,
    catalogue: Arc<Catalogue>,
    overrides: Vec<OverrideSection>,
    /// By target.
    found: RwLock<HashMap<String, Option<Arc<Tariff>>>>,
}

/// A model at a provider, as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// Where it is, with scheme, host and path; empty where it is nowhere.
    pub address: &'a str,
    /// Whose API it is by its kind, as the catalogue calls it: of dialects that only one company speaks.
    pub house: Option<&'a str>,
    /// Whether it is known to be nobody's: a simulation, or a server of one's own.
    pub is_own: bool,
    /// The model's name there.
    pub model: &'a str,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            unknown: Unknown::default(),
            catalogue: BUILT_IN.clone(),
            overrides: Vec::new(),
            found: RwLock::default(),
        }
    }
}

impl Prices {
    /// Reads the section; mistakes go to `document`.
    pub fn resolve(
        section: PricesSection,
        provider_names: &[String],
        document: &mut Document,
    ) -> Self {
        let own = section.catalogue.and_then(|file| read(file, document));
        let catalogue = own.map_or_else(|| BUILT_IN.clone(), Arc::new);
        for (index, one) in section.overrides.iter().enumerate() {
            check(
                one,
                index,
                &section.overrides,
                &catalogue,
                provider_names,
                document,
            );
        }
        let mut overrides = section.overrides;
        // A name wins over patterns, a longer pattern over a shorter.
        overrides.sort_by_key(|one| {
            (
                one.target.contains('*'),
                std::cmp::Reverse(one.target.len()),
            )
        });
        Self {
            unknown: section.unknown,
            catalogue,
            overrides,
            found: RwLock::default(),
        }
    }

    /// What a model costs at a place; None if nobody says.
    pub fn of(&self, place: &Place<'_>) -> Option<Arc<Tariff>> {
        let target = [place.provider, "/", place.model].concat();
        if let Some(found) = self.found.read().get(&target) {
            return found.clone();
        }
        let tariff = self.look_up(place, &target).map(Arc::new);
        let mut found = self.found.write();
        if found.len() < REMEMBERED_MAX {
            found.insert(target, tariff.clone());
        }
        tariff
    }

    fn look_up(&self, place: &Place<'_>, target: &str) -> Option<Tariff> {
        let own = self
            .overrides
            .iter()
            .find(|one| is_meant(&one.target, target));
        let seller = match own.and_then(|own| own.sold_as.as_deref()) {
            Some(other) => self.catalogue.seller(other),
            None => self.seller(place),
        };
        let entry = seller.and_then(|seller| self.catalogue.entry(seller, place.model));
        let change = own.map(|own| Change {
            times: own.times,
            rates: own.rates.clone(),
        });
        match (entry, change) {
            (Some((seller, entry)), change) => {
                let name = [seller.id.as_str(), "/", entry.id.as_str()].concat();
                let change = change.unwrap_or_default();
                Some(Tariff::new(&name, &entry.prices, &change))
            }
            // A discount on nothing is no price.
            (None, Some(change)) if change.rates != Rates::default() => {
                Some(Tariff::new(target, &[Listed::default()], &change))
            }
            (None, _) => None,
        }
    }

    /// Whose prices a place has: of who is at the address, else by the kind of the API, else by what the configuration
    /// calls it, else of the only one who would sell such a model.
    fn seller(&self, place: &Place<'_>) -> Option<&Seller> {
        if place.is_own {
            return None;
        }
        let catalogue = &self.catalogue;
        catalogue
            .seller_at(place.address)
            .or_else(|| catalogue.seller(place.house?))
            .or_else(|| catalogue.seller_called(place.provider))
            .or_else(|| catalogue.seller_of(place.model))
    }
}

/// Whether `target` is what is written, or what a `*` in it stands for.
fn is_meant(written: &str, target: &str) -> bool {
    match written.split_once('*') {
        None => written == target,
        Some((before, behind)) => target
            .strip_prefix(before)
            .is_some_and(|rest| rest.ends_with(behind)),
    }
}

fn read(file: PathBuf, document: &mut Document) -> Option<Catalogue> {
    let path = ["prices", "catalogue"];
    let text = match std::fs::metadata(&file) {
        Ok(metadata) if metadata.len() > CATALOGUE_MAX => {
            Err(format!("it is larger than {} MiB", CATALOGUE_MAX >> 20))
        }
        Ok(_) => std::fs::read_to_string(&file).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    document.depends_on(&file);
    let read =
        text.map_err(|error| format!("cannot read the catalogue {}: {error}", file.display()));
    let read = read.and_then(|text| {
        let wrong = |error| {
            format!(
                "the catalogue {} is not in its form: {error}",
                file.display()
            )
        };
        Catalogue::read(&text).map_err(wrong)
    });
    read.map_err(|error| document.error(&path, error)).ok()
}

fn check(
    one: &OverrideSection,
    index: usize,
    all: &[OverrideSection],
    catalogue: &Catalogue,
    provider_names: &[String],
    document: &mut Document,
) {
    let place = index.to_string();
    let path = |field| ["prices", "overrides", &place, field];
    let target = &one.target;
    let provider = target.split_once('/').map(|(provider, _)| provider);
    match provider {
        _ if target.matches('*').count() > 1 => {
            document.error(&path("target"), "a target may hold one `*`");
        }
        None if target != "*" => {
            document
                .error(&path("target"), format!("`{target}` is no target"))
                .help("it has the form provider/model-name, or provider/*");
        }
        Some(name) if !name.contains('*') && !provider_names.iter().any(|known| known == name) => {
            let mistake = document.error(&path("target"), format!("there is no provider `{name}`"));
            if let Some(nearest) = nearest(name, provider_names.iter().map(String::as_str)) {
                mistake.help(format!("did you mean `{nearest}`?"));
            }
        }
        _ => {}
    }
    if all[..index].iter().any(|earlier| earlier.target == *target) {
        document.error(&path("target"), format!("`{target}` has a price already"));
    }
    if let Some(other) = &one.sold_as
        && catalogue.seller(other).is_none()
    {
        let names = catalogue.providers.iter().map(|seller| seller.id.as_str());
        let nearest = nearest(other, names.clone()).map(str::to_owned);
        let known = nearest.map_or_else(
            || format!("it knows {}", names.collect::<Vec<_>>().join(", ")),
            |nearest| format!("did you mean `{nearest}`?"),
        );
        document
            .error(
                &path("as"),
                format!("the catalogue knows no provider `{other}`"),
            )
            .help(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Tier, Usage};

    fn place<'a>(provider: &'a str, address: &'a str, model: &'a str) -> Place<'a> {
        Place {
            provider,
            address,
            house: None,
            is_own: false,
            model,
        }
    }

    fn name(prices: &Prices, place: &Place<'_>) -> Option<String> {
        let at = "2026-08-01T12:00:00Z".parse().unwrap();
        let priced = prices
            .of(place)?
            .price(&Usage::default(), Tier::Standard, at)?;
        let (name, _) = priced.used.id.split_once('#')?;
        Some(name.to_owned())
    }

    fn overridden(yaml: &str) -> Prices {
        Prices {
            overrides: serde_yaml::from_str(yaml).unwrap(),
            ..Prices::default()
        }
    }

    #[test]
    fn a_place_has_the_prices_of_whoever_is_there() {
        for (place, found) in [
            (
                place("x", "https://api.openai.com/v1", "gpt-4o"),
                Some("openai/gpt-4o"),
            ),
            (place("x", "https://api.groq.com/openai/v1", "gpt-4o"), None),
            (
                place("openai", "http://127.0.0.1:4000/v1", "gpt-4o"),
                Some("openai/gpt-4o"),
            ),
            (
                place("x", "http://127.0.0.1:4000/v1", "gpt-4o-2024-08-06"),
                Some("openai/gpt-4o"),
            ),
            (
                place("x", "http://127.0.0.1:4000/v1", "no-such-model"),
                None,
            ),
            // What only looks like a known address is none.
            (
                place("x", "https://evil.example/https://api.groq.com", "gpt-4o"),
                Some("openai/gpt-4o"),
            ),
        ] {
            let prices = Prices::default();
            assert_eq!(name(&prices, &place).as_deref(), found, "{place:?}");
        }
        let prices = Prices::default();
        let vertex = Place {
            house: Some("google"),
            ..place("x", "http://127.0.0.1:1", "claude-opus-4-6")
        };
        assert_eq!(
            name(&prices, &vertex).as_deref(),
            Some("google/claude-opus-4-6")
        );
        let own = Place {
            is_own: true,
            ..place("ollama", "http://127.0.0.1:11434/v1", "deepseek-r1")
        };
        assert_eq!(name(&prices, &own), None);
    }

    #[test]
    fn an_override_keeps_what_it_does_not_name() {
        let prices = overridden(r#"[{target: "openai/gpt-4o", input: 2}]"#);
        let tariff = prices.of(&place("openai", "", "gpt-4o")).unwrap();
        let usage = Usage {
            input_tokens: 2_000_000,
            cache_read_tokens: 1_000_000,
            output_tokens: 1_000_000,
            ..Usage::default()
        };
        let priced = tariff
            .price(&usage, Tier::Standard, chrono::Utc::now())
            .unwrap();
        // 2 for what is fresh; the cache's 1.25 and the output's 10 are the catalogue's.
        assert_eq!(priced.cost.total().to_string(), "13.25");
    }

    #[test]
    fn the_narrowest_override_wins() {
        let yaml = r#"[{target: "a/*", input: 1}, {target: "a/b*", input: 2}, {target: "a/bc", input: 3}]"#;
        let mut document = Document::parse("f", "{}", &crate::config::ProcessEnvironment);
        let section = PricesSection {
            overrides: serde_yaml::from_str(yaml).unwrap(),
            ..PricesSection::default()
        };
        let prices = Prices::resolve(section, &["a".to_owned()], &mut document);
        for (model, usd) in [("bc", "3"), ("bd", "2"), ("c", "1")] {
            let tariff = prices.of(&place("a", "", model)).unwrap();
            let usage = Usage {
                input_tokens: 1_000_000,
                ..Usage::default()
            };
            let priced = tariff
                .price(&usage, Tier::Standard, chrono::Utc::now())
                .unwrap();
            assert_eq!(priced.cost.total().to_string(), usd, "{model}");
        }
    }

    #[test]
    fn a_discount_is_on_every_price() {
        let prices = overridden(r#"[{target: "proxy/*", as: openai, times: 0.8}]"#);
        let tariff = prices.of(&place("proxy", "", "gpt-4o")).unwrap();
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 1_000_000,
            ..Usage::default()
        };
        let priced = tariff
            .price(&usage, Tier::Standard, chrono::Utc::now())
            .unwrap();
        assert_eq!(priced.cost.total().to_string(), "10");
    }
}
