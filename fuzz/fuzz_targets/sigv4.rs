#![no_main]

use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tollgate::access::sigv4::{Claim, SignedHead, is_signed};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut fields = HeaderMap::new();
    fields.insert("host", HeaderValue::from_static("gateway.example"));
    for name in ["authorization", "x-amz-date"] {
        if let Some(value) = lines
            .next()
            .and_then(|line| HeaderValue::from_bytes(line).ok())
        {
            fields.append(name, value);
        }
    }
    let mut text = || {
        lines
            .next()
            .and_then(|line| std::str::from_utf8(line).ok())
            .unwrap_or("")
    };
    let (path, query) = (text(), text());
    for line in input.split(|byte| *byte == b'\n').skip(4) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts
            .next()
            .and_then(|value| HeaderValue::from_bytes(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    let head = SignedHead {
        method: "POST",
        path,
        query,
        authority: None,
        fields: &fields,
    };
    is_signed(&head);
    let now = DateTime::from_timestamp(1_795_521_600, 0).expect("a time");
    if let Ok(claim) = Claim::parse(&head, now) {
        assert!(
            claim.check(&head, b"{}", "secret").is_err(),
            "nobody has signed it"
        );
    }
});
