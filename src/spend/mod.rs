//! What requests and answers cost.

mod estimate;
mod family;
pub mod ledger;
mod tokens;
mod usd;

pub use estimate::input_tokens;
pub use family::Family;
pub use usd::Usd;
