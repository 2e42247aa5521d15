//! The list prices of providers' models, read from a file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono::{NaiveDate, NaiveTime};
use regex::Regex;
use serde::{Deserialize, Deserializer, de};

use super::decimal::Decimal;
use super::matching::Match;
use super::rates::Rates;
use crate::dialect::Tier;

/// The catalogue that is built in; `config/prices.py` renews it.
pub static BUILT_IN: LazyLock<Arc<Catalogue>> = LazyLock::new(|| {
    let json = include_str!("../../../config/prices.json");
    Arc::new(Catalogue::read(json).expect("a test reads it"))
});

/// What models cost where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The day that its figures are of.
    pub date: NaiveDate,
    /// Where they are from.
    pub source: String,
    /// Who sells.
    pub providers: Vec<Seller>,
}

/// Who sells models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Its name in the catalogue.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The addresses of its API.
    #[serde(deserialize_with = "expression")]
    pub api: Regex,
    /// Other names for it.
    pub names: Option<Match>,
    /// Names of models that only it would sell.
    pub models_like: Option<Match>,
    /// Whose models it sells besides, at their prices.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// How its APIs report usage.
    #[serde(default)]
    pub apis: BTreeMap<String, Reporting>,
    /// What it sells. The first that matches is meant.
    pub models: Vec<Entry>,
}

/// How an API reports usage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reporting {
    /// In the form of which dialect.
    pub dialect: Form,
    /// Which parts.
    pub parts: Vec<String>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// OpenAI's chat.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's embeddings.
    Embeddings,
    /// Anthropic's.
    Anthropic,
    /// Gemini's.
    Gemini,
    /// Bedrock's.
    Bedrock,
    /// Cohere's.
    Cohere,
}

/// A model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in the catalogue.
    pub id: String,
    /// Which names are meant.
    #[serde(rename = "match")]
    pub names: Match,
    /// Its prices. The last that applies is in force.
    pub prices: Vec<Listed>,
}

/// Prices, and when they apply.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// From this day on (UTC).
    pub from: Option<NaiveDate>,
    /// Each day from the first time to the second (UTC), which may be on the next day.
    #[serde(default, deserialize_with = "daily")]
    pub daily: Option<(NaiveTime, NaiveTime)>,
    /// What differs for requests with more tokens than so many.
    #[serde(default)]
    pub above: Vec<Above>,
    /// What differs for a service tier.
    #[serde(default)]
    pub service_tiers: BTreeMap<Tier, Tiered>,
    /// For the others.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Prices of large requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Above {
    /// The request has more tokens than these.
    pub tokens: u64,
    /// What differs.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Prices of a service tier.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiered {
    /// All prices times this.
    pub times: Option<Decimal>,
    /// Or these in the place of the standard ones.
    #[serde(flatten)]
    pub rates: Rates,
}

impl Catalogue {
    /// Reads a catalogue from JSON in the form of `config/prices.json`.
    ///
    /// # Errors
    /// It is not in that form; the error tells the line.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The seller of that name.
    pub fn seller(&self, id: &str) -> Option<&Seller> {
        self.providers.iter().find(|seller| seller.id == id)
    }

    /// The seller at an address (with scheme, host and path).
    pub fn seller_at(&self, address: &str) -> Option<&Seller> {
        let mut all = self.providers.iter();
        all.find(|seller| {
            seller
                .api
                .find(address)
                .is_some_and(|found| found.start() == 0)
        })
    }

    /// The seller that somebody calls so.
    pub fn seller_called(&self, name: &str) -> Option<&Seller> {
        let name = name.to_lowercase();
        self.seller(&name).or_else(|| {
            let is_called = |names: &Match| names.is_about(&name);
            let mut all = self.providers.iter();
            all.find(|seller| seller.names.as_ref().is_some_and(is_called))
        })
    }

    /// The only one that would sell such a model.
    pub fn seller_of(&self, model: &str) -> Option<&Seller> {
        let model = model.to_lowercase();
        let is_like = |like: &Match| like.is_about(&model);
        let mut all = self.providers.iter();
        all.find(|seller| seller.models_like.as_ref().is_some_and(is_like))
    }

    /// A seller's model, or that of whom it sells besides.
    pub fn entry<'a>(&'a self, seller: &'a Seller, model: &str) -> Option<(&'a Seller, &'a Entry)> {
        let model = model.to_lowercase();
        let others = seller.fallback.iter().filter_map(|id| self.seller(id));
        [seller].into_iter().chain(others).find_map(|seller| {
            let entry = seller
                .models
                .iter()
                .find(|entry| entry.names.is_about(&model));
            entry.map(|entry| (seller, entry))
        })
    }
}

fn expression<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(de::Error::custom)
}

fn daily<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<(NaiveTime, NaiveTime)>, D::Error> {
    let [from, to] = <[String; 2]>::deserialize(deserializer)?;
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").map_err(de::Error::custom);
    Ok(Some((time(&from)?, time(&to)?)))
}
