//! The ways in which an upstream fails.

use super::upstream::{Pieces, Then};
use crate::upstream::{chunk, stream_head, whole};

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends at once.
    Close,
    /// It breaks at once.
    Reset,
    /// A status without more.
    Status(u16),
    /// 429, with a `retry-after` if there is one.
    Limited(Option<&'static str>),
    /// Nothing comes.
    StallBeforeHead,
    /// Nothing comes behind the head.
    StallAfterHead,
    /// The connection ends behind the head.
    CutAfterHead,
    /// It ends in the answer: of a stream a few words have come.
    CutInAnswer,
    /// Nothing more comes in the answer.
    StallInAnswer,
    /// The provider ends a stream with an error after a few words; a whole answer is one.
    ErrorInAnswer,
    /// An error instead of an answer, with status 200.
    ErrorFirst,
    /// A page for people, with status 200.
    Html,
    /// What should be JSON is none.
    NotJson,
    /// No HTTP.
    NotHttp,
    /// Nothing, and that properly ended.
    Empty,
}

const ALL: [Fault; 20] = [
    Fault::Close,
    Fault::Reset,
    Fault::Status(500),
    Fault::Status(503),
    Fault::Status(529),
    Fault::Status(408),
    Fault::Status(409),
    Fault::Limited(None),
    Fault::Limited(Some("0")),
    Fault::Limited(Some("0.05")),
    Fault::StallBeforeHead,
    Fault::StallAfterHead,
    Fault::CutAfterHead,
    Fault::CutInAnswer,
    Fault::StallInAnswer,
    Fault::ErrorInAnswer,
    Fault::ErrorFirst,
    Fault::Html,
    Fault::NotJson,
    Fault::NotHttp,
];

/// A frame that is an error of the provider's.
const ERROR: &str =
    r#"{"error":{"message":"something broke","type":"server_error","param":null,"code":null}}"#;

/// Pieces of a stream that come before it fails in the answer: its head and two words.
const BEGUN: usize = 3;

// === impl Fault ===

impl Fault {
    /// One of them.
    pub fn chosen(by: u64) -> Self {
        let at = by % (ALL.len() as u64 + 1);
        ALL.get(at as usize).copied().unwrap_or(Self::Empty)
    }

    /// Whether the connection ends before any byte of an answer.
    pub const fn closes_at_once(self) -> bool {
        matches!(self, Self::Close | Self::Reset)
    }

    /// Whether words of a stream have come by then.
    pub const fn is_in_answer(self) -> bool {
        matches!(
            self,
            Self::CutInAnswer | Self::StallInAnswer | Self::ErrorInAnswer
        )
    }

    /// What is sent instead of a healthy answer, and what becomes of the connection.
    pub fn script(self, healthy: &Pieces, asks_for_stream: bool) -> (Vec<u8>, Then) {
        let Pieces(pieces) = healthy;
        let head = match asks_for_stream {
            true => stream_head(),
            false => {
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
                    .to_vec()
            }
        };
        let begun = || match asks_for_stream {
            true => pieces[..BEGUN].concat(),
            false => pieces[0][..pieces[0].len() / 2].to_vec(),
        };
        let in_place = |text: &str| match asks_for_stream {
            true => [stream_head(), chunk(format!("data: {text}\n\n")), chunk("")].concat(),
            false => whole(200, "application/json", text),
        };
        match self {
            Self::Close => (Vec::new(), Then::Close),
            Self::Reset => (Vec::new(), Then::Reset),
            Self::Status(status) => (whole(status, "application/json", ERROR), Then::Keep),
            Self::Limited(after) => (limited(after), Then::Keep),
            Self::StallBeforeHead => (Vec::new(), Then::Stall),
            Self::StallAfterHead => (head, Then::Stall),
            Self::CutAfterHead => (head, Then::Close),
            Self::CutInAnswer => (begun(), Then::Close),
            Self::StallInAnswer => (begun(), Then::Stall),
            Self::ErrorInAnswer if asks_for_stream => {
                let error = [chunk(format!("data: {ERROR}\n\n")), chunk("")];
                ([begun(), error.concat()].concat(), Then::Keep)
            }
            Self::ErrorFirst | Self::ErrorInAnswer => (in_place(ERROR), Then::Keep),
            Self::Html => (
                whole(200, "text/html", "<html><h1>Welcome</h1></html>"),
                Then::Keep,
            ),
            Self::NotJson => (in_place(r#"{"choices":[}"#), Then::Keep),
            Self::NotHttp => (b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n".to_vec(), Then::Close),
            Self::Empty if asks_for_stream => ([head, chunk("")].concat(), Then::Keep),
            Self::Empty => (whole(200, "application/json", ""), Then::Keep),
        }
    }
}

fn limited(after: Option<&str>) -> Vec<u8> {
    let field = after.map_or_else(String::new, |after| format!("retry-after: {after}\r\n"));
    let length = ERROR.len();
    format!("HTTP/1.1 429 Answer\r\ncontent-type: application/json\r\n{field}content-length: {length}\r\n\r\n{ERROR}")
        .into_bytes()
}

/// SplitMix64's finish.
pub fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
