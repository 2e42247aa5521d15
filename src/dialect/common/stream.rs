//! What reads and writes streams, whatever their dialect.

use super::delta::Delta;

/// Reads one stream of a provider, frame by frame.
pub trait ReadStream: Send {
    /// Reads one whole frame and adds what it says to `out`. What it does not know it passes over.
    ///
    /// # Errors
    /// The frame is not of this dialect.
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed>;

    /// The connection ended as HTTP ends one: adds [`Delta::End`] if the answer is whole, and nothing if it was cut.
    fn end(&mut self, out: &mut Vec<Delta>);
}

/// Writes one stream for a caller.
pub trait WriteStream: Send {
    /// Adds the frames that say `delta` to `out`; some pieces wait for those behind them. The dialect's ending is
    /// written for [`Delta::End`] and at no other time; for [`Delta::Error`] an error event, and no ending.
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>);
}

/// What came is not what its dialect allows. The text says where and quotes nothing: it goes to the log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl From<serde_json::Error> for Malformed {
    /// Without the library's own text, which may quote content.
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape",
            _ => "no JSON",
        };
        Self(format!(
            "{what}, at line {}, column {}",
            error.line(),
            error.column()
        ))
    }
}

/// Where a JSON object that arrives in pieces ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectEnd {
    depth: usize,
    has_begun: bool,
    in_string: bool,
    is_escaped: bool,
}

impl ObjectEnd {
    /// Takes the next piece.
    pub fn push(&mut self, json: &[u8]) {
        for byte in json {
            match (byte, self.in_string) {
                _ if self.is_escaped => self.is_escaped = false,
                (b'\\', true) => self.is_escaped = true,
                (b'"', in_string) => self.in_string = !in_string,
                (b'{' | b'[', false) => {
                    self.depth += 1;
                    self.has_begun = true;
                }
                (b'}' | b']', false) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether all of it has come.
    pub fn is_reached(&self) -> bool {
        self.has_begun && self.depth == 0
    }
}
