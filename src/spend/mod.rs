//! What requests and answers cost.

mod estimate;
mod family;
mod tokens;

pub use estimate::input_tokens;
pub use family::Family;
