#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::dialect::common::{Context, Request};
use tollgate::dialect::{Dialect, bedrock, cohere, count, gemini, openai};

fuzz_target!(|input: &[u8]| {
    let [choice, body @ ..] = input else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*choice) % Dialect::ALL.len()];
    let context = Context {
        id: "0123456789abcdef".to_owned(),
        now: 1_790_000_000,
    };
    let _ = count::read_answer(dialect, body);
    let _ = openai::read_answer(body);
    let _ = bedrock::read_embedding_answer(body);
    let _ = cohere::read_embedding_answer(body, 1);
    let _ = gemini::read_embedding_answer(body, 1);
    let usage = dialect.usage(body);
    let failure = dialect.failure(body);
    let Ok(answer) = dialect.read_answer(body, &context) else {
        return;
    };
    if failure.is_none() {
        assert_eq!(usage, answer.usage, "both looks see the same cost");
    }
    for caller in Dialect::ALL {
        let request = Request::new(caller, "m");
        let written = caller.write_answer(&answer, &request, &context);
        assert!(!written.is_empty());
    }
});
