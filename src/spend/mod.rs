//! What requests and answers cost.

mod allowance;
mod estimate;
mod family;
pub mod ledger;
mod limits;
#[cfg(test)]
mod measured;
mod memo;
mod output;
pub mod prices;
#[cfg(test)]
mod proved;
pub mod report;
mod tokens;
mod unreported;
mod usd;
mod worst;

pub use estimate::input_tokens;
pub use family::Family;
pub use limits::Limits;
pub use output::{Output, output_tokens};
pub use unreported::Unreported;
pub use usd::Usd;
pub use worst::{NoBound, Why, Worst};
