//! Pieces that wait for their turn: blocks are written one after the other, and calls may arrive interleaved.

use std::collections::VecDeque;

use crate::dialect::common::{Delta, ObjectEnd};

/// Brings the pieces of an answer into an order in which each call's arguments follow it without a break.
///
/// A call is held to be at its end when its arguments are a whole object. What arrives before that, and is not of it,
/// waits. It holds no more than arrived.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pieces: VecDeque<Delta>,
    /// The call whose arguments are being written.
    call: Option<u32>,
    object: ObjectEnd,
}

impl Waiting {
    /// Takes a piece, and gives those whose turn it is to `write`.
    pub fn push(&mut self, piece: Delta, write: &mut impl FnMut(Delta)) {
        if self.is_next(&piece) && (self.pieces.is_empty() || self.is_of_call(&piece)) {
            self.pass(piece, write);
        } else {
            self.pieces.push_back(piece);
        }
        while self.advance(write) {}
    }

    /// Nothing more will come: gives all that waits.
    pub fn flush(&mut self, write: &mut impl FnMut(Delta)) {
        while !self.pieces.is_empty() {
            // The call that all wait for has ended short of an object.
            self.call = None;
            self.advance(write);
        }
    }

    /// Gives what can be given in one pass; whether that was anything.
    fn advance(&mut self, write: &mut impl FnMut(Delta)) -> bool {
        if !self.pieces.front().is_some_and(|piece| self.is_next(piece)) {
            return false;
        }
        let mut kept = VecDeque::new();
        for piece in std::mem::take(&mut self.pieces) {
            let is_turn = match kept.is_empty() {
                true => self.is_next(&piece),
                false => self.is_of_call(&piece),
            };
            match is_turn {
                true => self.pass(piece, write),
                false => kept.push_back(piece),
            }
        }
        self.pieces = kept;
        true
    }

    fn pass(&mut self, piece: Delta, write: &mut impl FnMut(Delta)) {
        match &piece {
            Delta::ToolCall { call, .. } => {
                self.call = Some(*call);
                self.object = ObjectEnd::default();
            }
            Delta::Arguments { json, .. } => self.object.push(json.as_bytes()),
            _ => self.call = None,
        }
        write(piece);
    }

    fn is_next(&self, piece: &Delta) -> bool {
        self.call.is_none() || self.object.is_reached() || self.is_of_call(piece)
    }

    fn is_of_call(&self, piece: &Delta) -> bool {
        matches!(piece, Delta::Arguments { call, .. } if Some(*call) == self.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(call: u32) -> Delta {
        Delta::ToolCall {
            choice: 0,
            call,
            id: String::new(),
            name: String::new(),
            signature: None,
        }
    }

    fn arguments(call: u32, json: &str) -> Delta {
        Delta::Arguments {
            choice: 0,
            call,
            json: json.to_owned(),
        }
    }

    fn text(text: &str) -> Delta {
        Delta::Text {
            choice: 0,
            text: text.to_owned(),
        }
    }

    fn told(pieces: Vec<Delta>) -> (Vec<Delta>, usize) {
        let mut waiting = Waiting::default();
        let mut told = Vec::new();
        for piece in pieces {
            waiting.push(piece, &mut |piece| told.push(piece));
        }
        let before = told.len();
        waiting.flush(&mut |piece| told.push(piece));
        (told, before)
    }

    #[test]
    fn calls_one_after_the_other_do_not_wait() {
        let pieces = vec![
            text("a"),
            call(0),
            arguments(0, r#"{"x":"}"#),
            arguments(0, r#"\""}"#),
            call(1),
            arguments(1, "{}"),
            text("b"),
        ];
        assert_eq!(told(pieces.clone()), (pieces, 7));
    }

    #[test]
    fn interleaved_calls_are_told_apart() {
        let (told, before) = told(vec![
            call(0),
            call(1),
            call(2),
            arguments(2, "{"),
            arguments(1, "{}"),
            arguments(0, "{"),
            arguments(2, "}"),
            text("b"),
            arguments(0, "}"),
        ]);
        let expected = [
            call(0),
            arguments(0, "{"),
            arguments(0, "}"),
            call(1),
            arguments(1, "{}"),
            call(2),
            arguments(2, "{"),
            arguments(2, "}"),
            text("b"),
        ];
        assert_eq!(told, expected);
        assert_eq!(before, 9);
    }

    #[test]
    fn a_call_that_is_cut_holds_nothing_up_at_the_end() {
        let pieces = vec![
            call(0),
            arguments(0, "{"),
            call(1),
            arguments(1, "{"),
            text("b"),
        ];
        assert_eq!(told(pieces.clone()), (pieces, 2));
    }
}
