//! The durable record of every attempt's usage and cost.

mod row;

pub use row::{CacheResult, METADATA_MAX, PriceUsed, Row, USER_MAX};
