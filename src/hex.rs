//! Bytes in lower-case hexadecimal.

/// Writes them.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// Reads a SHA-256 digest.
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_goes_there_and_back() {
        let bytes = std::array::from_fn(|place| (place * 9) as u8);
        let text = encode(&bytes);
        assert_eq!(digest(&text), Some(bytes));
        for wrong in [&text.to_uppercase(), &text[1..], "\u{e9}"] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
    }
}
