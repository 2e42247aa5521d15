#![allow(missing_docs, unused_variables, clippy::all)]
macro_rules! room {
    ($name:ident, $read:ident ( $($extra:ident : $type:ty),* ), ( $($wextra:ident : $wtype:ty),* ), ( $($eextra:ident : $etype:ty),* )) => {
        pub mod $name {
            use crate::dialect::common::*;
            use crate::dialect::{Error, translate::Framing};
            use bytes::Bytes;
            pub const fn carries(feature: Feature) -> Carry { Carry::Whole }
            pub fn carries_with(accent: &crate::dialect::Accent, feature: Feature) -> Carry { Carry::Whole }
            pub fn $read(body: &[u8], $($extra: $type),*) -> Result<Request, Error> { todo!() }
            pub fn write_request(request: &Request, to: &Outgoing<'_>, dropped: &mut Dropped) -> Result<Vec<u8>, Error> { todo!() }
            pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> { todo!() }
            pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> { todo!() }
            pub struct Reader;
            impl Reader { pub fn new(context: &Context) -> Self { Self } }
            impl ReadStream for Reader { fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> { todo!() } fn end(&mut self, out: &mut Vec<Delta>) {} }
            pub struct Writer;
            impl Writer { pub fn new(request: &Request, context: &Context, $($wextra: $wtype),*) -> Self { Self } }
            impl WriteStream for Writer { fn write(&mut self, delta: Delta, out: &mut Vec<u8>) { todo!() } }
            pub fn usage(answer: &[u8]) -> Option<Usage> { crate::dialect::openai::read_answer(answer).ok().flatten() }
            pub fn failure(answer: &[u8]) -> Option<Error> { None }
            pub fn read_error(status: http::StatusCode, body: &[u8], $($eextra: $etype),*) -> Error { Error::of_provider(status, None, "stub") }
            pub fn error_body(error: &Error) -> Bytes { crate::dialect::openai::error_body(error) }
            pub fn error_event(error: &Error) -> Bytes { crate::dialect::openai::error_event(error) }
            pub fn error_type(error: &Error) -> &'static str { "stub" }
            pub fn write_count_request(request: &Request, to: &Outgoing<'_>, dropped: &mut Dropped) -> Result<Vec<u8>, Error> { todo!() }
            pub fn read_count_answer(body: &[u8]) -> Result<u64, Malformed> { todo!() }
            pub fn write_count_answer(tokens: u64) -> Vec<u8> { todo!() }
            pub fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> Bytes { crate::dialect::openai::model_list(names) }
            pub fn model(name: &str) -> Bytes { crate::dialect::openai::model(name) }
        }
    };
}

room!(responses, read_request(), (), ());

room!(gemini, read_request(model: &str, stream: bool), (framing: Framing), ());
room!(bedrock, read_request(model: &str, stream: bool), (), (kind: Option<&str>));
room!(cohere, read_request(), (), ());
pub mod eventstream {
    pub use crate::dialect::sse::{Frames, next};
}
pub mod embedding {
    #[derive(Clone, Copy)]
    pub enum Encoding {
        Float,
    }
}
pub mod count {
    use crate::dialect::common::*;
    use crate::dialect::{Dialect, Error};
    pub fn is_nested(body: &[u8]) -> bool {
        false
    }
    pub fn read_request(dialect: Dialect, body: &[u8], model: &str) -> Result<Request, Error> {
        todo!()
    }
    pub fn write_request(
        dialect: Dialect,
        request: &Request,
        to: &Outgoing<'_>,
    ) -> Result<Vec<u8>, Error> {
        todo!()
    }
    pub fn read_answer(dialect: Dialect, body: &[u8]) -> Result<u64, Malformed> {
        todo!()
    }
    pub fn write_answer(dialect: Dialect, tokens: u64) -> Vec<u8> {
        todo!()
    }
}
