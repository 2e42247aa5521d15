//! Listening to a stream that is held back, so that its beginning can be judged before the caller has any of it.

use crate::dialect::common::{Answer, Collector, Context, Delta, ReadStream};
use crate::dialect::{Dialect, ToolNames};

/// Bytes of text that are taken for a token, where a provider puts several into one piece.
const TOKEN_BYTES: u64 = 4;

/// What a stream has said so far.
pub struct Tap {
    reader: Box<dyn ReadStream>,
    tool_names: Option<ToolNames>,
    deltas: Vec<Delta>,
    collector: Collector,
    pieces: u64,
    bytes: u64,
}

impl Tap {
    /// Listens to a stream of a provider's dialect, whose tools have other names for the caller.
    pub fn new(dialect: Dialect, tool_names: Option<ToolNames>) -> Self {
        Self {
            reader: dialect.reader(&Context::default()),
            tool_names,
            deltas: Vec::new(),
            collector: Collector::default(),
            pieces: 0,
            bytes: 0,
        }
    }

    /// Listens to one frame. What cannot be read says nothing.
    pub fn listen(&mut self, frame: &[u8]) {
        // The stream's own way tells of what is no frame.
        let _ = self.reader.read(frame, &mut self.deltas);
        self.collect();
    }

    /// The connection has ended.
    pub fn end(&mut self) {
        self.reader.end(&mut self.deltas);
        self.collect();
    }

    /// About how many tokens of the answer have come; thoughts are none of it.
    pub fn tokens(&self) -> u64 {
        self.pieces.max(self.bytes / TOKEN_BYTES)
    }

    /// The answer so far.
    pub const fn answer(&self) -> &Answer {
        self.collector.so_far()
    }

    fn collect(&mut self) {
        for mut delta in self.deltas.drain(..) {
            let said = match &delta {
                Delta::Text { text, .. } | Delta::Refusal { text, .. } => text.len(),
                Delta::Arguments { json, .. } => json.len(),
                _ => 0,
            };
            self.pieces += u64::from(said > 0);
            self.bytes += said as u64;
            if let Some(names) = &self.tool_names {
                names.restore_delta(&mut delta);
            }
            self.collector.push(delta);
        }
    }
}
