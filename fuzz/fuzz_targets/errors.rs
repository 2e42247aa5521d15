#![no_main]

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tollgate::dialect::Dialect;

fuzz_target!(|input: &[u8]| {
    let [choice, high, low, body @ ..] = input else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*choice) % Dialect::ALL.len()];
    let Ok(status) = StatusCode::from_u16(u16::from_be_bytes([*high, *low])) else {
        return;
    };
    let kind = body.split(|byte| *byte == b'\n').next();
    let kind = kind.and_then(|kind| std::str::from_utf8(kind).ok());
    for kind in [None, kind] {
        let error = dialect.read_error(status, body, kind);
        for caller in Dialect::ALL {
            assert!(!caller.error_body(&error).is_empty());
            assert!(!caller.error_event(&error).is_empty());
        }
    }
});
