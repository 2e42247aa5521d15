#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::dialect::common::Outgoing;
use tollgate::dialect::{Accent, Dialect, count, embedding};

const MODELS: [&str; 4] = [
    "gemini-3.1-pro-preview",
    "claude-opus-4-8",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.amazon.nova-pro-v1:0",
];

fuzz_target!(|input: &[u8]| {
    let [choice, body @ ..] = input else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*choice) % Dialect::ALL.len()];
    let _ = count::read_request(dialect, body, "m");
    let _ = embedding::read_request(body);
    count::is_nested(body);
    let Ok(request) = dialect.read_request(body, "m", true) else {
        return;
    };
    for model in MODELS {
        for target in Dialect::ALL {
            let to = Outgoing {
                model,
                accent: if choice & 0x80 == 0 {
                    &Accent::OPENAI
                } else {
                    &Accent::OTHER
                },
                is_vertex: choice & 0x40 != 0,
                auto_cache: choice & 0x20 != 0,
            };
            let written = target.write_request(&request, &to).ok();
            let again = target.write_request(&request, &to).ok();
            assert_eq!(written, again, "the same request is the same bytes");
            let _ = count::write_request(target, &request, &to);
        }
    }
});
