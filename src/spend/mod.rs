//! What requests and answers cost.

mod estimate;
mod family;
pub mod ledger;
#[cfg(test)]
mod measured;
mod output;
pub mod prices;
pub mod report;
mod tokens;
mod unreported;
mod usd;

pub use estimate::input_tokens;
pub use family::Family;
pub use output::{Output, output_tokens};
pub use unreported::Unreported;
pub use usd::Usd;
