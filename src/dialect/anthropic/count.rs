//! Counts of tokens: the answers of `POST /v1/messages/count_tokens`.

use serde::{Deserialize, Serialize};

use crate::dialect::common::Malformed;

#[derive(Deserialize, Serialize)]
struct Count {
    input_tokens: u64,
}

/// Reads a provider's count.
///
/// # Errors
/// It is none.
pub fn read_count_answer(body: &[u8]) -> Result<u64, Malformed> {
    let count: Count = serde_json::from_slice(body)?;
    Ok(count.input_tokens)
}

/// Writes a count for a caller.
pub fn write_count_answer(tokens: u64) -> Vec<u8> {
    let count = Count {
        input_tokens: tokens,
    };
    serde_json::to_vec(&count).unwrap_or_default()
}
