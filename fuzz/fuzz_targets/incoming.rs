#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate::dialect::{Dialect, Incoming, Operation, PathFacts, scan};

fuzz_target!(|input: &[u8]| {
    let [choice, body @ ..] = input else {
        return;
    };
    scan::member(body, "model");
    let is_object = scan::object(body).is_ok();
    let dialect = Dialect::ALL[usize::from(*choice & 0x1f) % Dialect::ALL.len()];
    let operation = match choice >> 5 {
        0 => Operation::CountTokens(dialect),
        1 => Operation::Embed(Dialect::Chat),
        _ => Operation::Generate(dialect),
    };
    // Paths of these name the model and whether there is to be a stream.
    let is_told = matches!(dialect, Dialect::Gemini | Dialect::Bedrock);
    let path = PathFacts {
        model: is_told.then(|| "m".to_owned()),
        stream: is_told.then_some(choice & 0x80 != 0),
    };
    let Ok(incoming) = Incoming::read(operation, Bytes::copy_from_slice(body), path) else {
        return;
    };
    assert!(is_object, "only an object is let through");
    for written in [
        incoming.body_for("another", true),
        incoming.body_for_vertex(),
        incoming.body_going_on("another", "resp_1"),
    ] {
        assert!(
            scan::object(&written.concat()).is_ok(),
            "it is still an object"
        );
    }
});
