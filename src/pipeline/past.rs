//! What the caller of a stream has been told, kept so that another target can go on when it breaks.

use std::sync::Arc;

use super::seam::ALIKE_MIN;
use crate::dialect::Dialect;
use crate::dialect::common::{Context, Delta, ReadStream};

/// The longest text that is gone on with, in bytes: it is sent to the next target, and paid there, as input. It is some ten
/// thousand words, and kept only for models that say `continue`.
const TEXT_MAX: usize = 64 * 1024;

/// Listens to a stream.
pub struct Past {
    reader: Box<dyn ReadStream>,
    deltas: Vec<Delta>,
    /// What the caller had when it began, if it goes on with another.
    before: Option<Arc<str>>,
    /// Bytes of its own text that he had by then.
    left_out: usize,
    /// What it has said: pieces of one kind put together.
    said: Vec<Delta>,
    bytes: usize,
    /// Whether it has said nothing but thoughts, and then text.
    is_fit: bool,
}

/// What the caller has.
pub struct Told {
    /// The text.
    pub text: Arc<str>,
    /// What the stream that broke has said itself.
    pub said: Vec<Delta>,
}

impl Past {
    /// Listens to a stream of a provider's dialect, which goes on with what the caller had `before`, if it does.
    pub fn new(dialect: Dialect, before: Option<Arc<str>>) -> Self {
        Self {
            reader: dialect.reader(&Context::default()),
            deltas: Vec::new(),
            before,
            left_out: 0,
            said: Vec::new(),
            bytes: 0,
            is_fit: true,
        }
    }

    /// Listens to one frame. Tells whether it is the provider's error, which the caller need not hear if another goes on.
    pub fn hears_error(&mut self, frame: &[u8]) -> bool {
        // The stream's own way tells of what is no frame.
        let _ = self.reader.read(frame, &mut self.deltas);
        let is_error = self
            .deltas
            .iter()
            .any(|delta| matches!(delta, Delta::Error(_)));
        for delta in self.deltas.drain(..).filter(|_| !is_error) {
            self.is_fit = self.is_fit && add(&mut self.said, &mut self.bytes, delta);
        }
        if !self.is_fit || self.bytes > TEXT_MAX {
            self.is_fit = false;
            self.said = Vec::new();
        }
        is_error
    }

    /// So many bytes of its text are left out, because the caller has them.
    pub const fn leave_out(&mut self, bytes: usize) {
        self.left_out = bytes;
    }

    /// What the caller has, if another target can go on with it: text, behind thoughts that are complete.
    pub fn told(&mut self) -> Option<Told> {
        // Of an answer that has said why it ended, only the ending is missing.
        self.reader.end(&mut self.deltas);
        let is_whole = self.deltas.drain(..).next().is_some();
        if is_whole || !self.is_fit {
            return None;
        }
        let own = match self.said.last() {
            Some(Delta::Text { text, .. }) => text.get(self.left_out..)?,
            _ => "",
        };
        let before = self.before.as_deref().unwrap_or_default();
        let text = [before, own].concat();
        let is_long = text.trim().chars().count() >= ALIKE_MIN && text.len() <= TEXT_MAX;
        is_long.then(|| Told {
            text: text.into(),
            said: std::mem::take(&mut self.said),
        })
    }
}

/// Adds a piece to what was said; whether another target can still go on with that.
fn add(said: &mut Vec<Delta>, bytes: &mut usize, delta: Delta) -> bool {
    match (said.last_mut(), delta) {
        (_, Delta::Usage(_) | Delta::ServiceTier(_)) => return true,
        (
            Some(Delta::Text { text, .. }),
            Delta::Text {
                choice: 0,
                text: more,
            },
        )
        | (
            Some(Delta::Thinking { text, .. }),
            Delta::Thinking {
                choice: 0,
                text: more,
            },
        ) => {
            *bytes += more.len();
            text.push_str(&more);
        }
        // A thought behind the text is not complete before there is more text.
        (Some(Delta::Text { .. }), _) => return false,
        (_, delta) => {
            *bytes += match &delta {
                Delta::Start { .. } => 0,
                Delta::Text { choice: 0, text } | Delta::Thinking { choice: 0, text } => text.len(),
                Delta::Signature {
                    choice: 0,
                    signature,
                    ..
                } => signature.value.len(),
                _ => return false,
            };
            said.push(delta);
        }
    }
    true
}
