//! What is accepted, what is refused, and where things are found.

use super::*;

#[test]
fn values_are_found_where_they_stand() {
    let body =
        br#" { "a" : [1, {"model":"inner"}] , "mod\u0065l":"x\"y" ,"n":-0.5E+3,"e":{},"t":true } "#;
    let object = object(body).unwrap();
    assert_eq!(object.value("a").unwrap(), br#"[1, {"model":"inner"}]"#);
    assert_eq!(object.value("model").unwrap(), br#""x\"y""#);
    assert_eq!(object.value("n").unwrap(), b"-0.5E+3");
    assert_eq!(object.value("e").unwrap(), b"{}");
    assert_eq!(object.value("t").unwrap(), b"true");
    assert!(object.value("inner").is_none());
    assert_eq!(body[object.end()], b'}');
}

#[test]
fn what_serde_accepts_is_accepted_and_what_it_refuses_is_refused() {
    let samples = [
        "{}",
        "{ }",
        r#"{"a":1}"#,
        r#"{"a":[]}"#,
        r#"{"a":[[],{}]}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        "{",
        "}",
        "[]",
        "1",
        "",
        " ",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{a:1}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e5}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u1234"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":tru}"#,
        r#"{"a":nul}"#,
        r#"{"a":"b}"#,
        r#"{"a":1}{"#,
        r#"{"a":1} x"#,
        r#"{"a":[1}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":1 "b":2}"#,
        r#"{,}"#,
        r#"{"a":NaN}"#,
        r#"{"a":{"b":[{"c":null}]},"d":false}"#,
        "\u{feff}{}",
        r#"{"a":+1}"#,
        r#"{"é":"ü"}"#,
    ];
    for sample in samples {
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(sample);
        let ours = object(sample.as_bytes());
        assert_eq!(
            ours.is_ok(),
            theirs.is_ok(),
            "{sample:?}: {ours:?} {theirs:?}"
        );
    }
}

#[test]
fn depth_is_bounded_exactly() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(object(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
    assert_eq!(
        object(nested(DEPTH_MAX).as_bytes()).unwrap_err(),
        Fault::Depth
    );
    let brackets = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(object(brackets.as_bytes()).unwrap_err(), Fault::Depth);
}

#[test]
fn a_repeated_name_is_named_even_when_escaped() {
    let fault = object(br#"{"model":"a","x":1,"mod\u0065l":"b"}"#).unwrap_err();
    assert_eq!(fault, Fault::Repeated("model".into()));
}

#[test]
fn bad_utf8_is_told_from_bad_json() {
    assert_eq!(
        object(b"{\"a\":\"\xff\"}").unwrap_err(),
        Fault::Utf8 { at: 6 }
    );
}

#[test]
fn a_member_is_found_by_its_name() {
    let object = br#" { "a":{"b":1}, "b" : 2 ,"c":[3]}"#;
    assert_eq!(member(object, "a"), Some(&br#"{"b":1}"#[..]));
    assert_eq!(member(object, "b"), Some(&b"2"[..]));
    assert_eq!(member(object, "c"), Some(&b"[3]"[..]));
    assert_eq!(member(object, "d"), None);
    assert_eq!(member(b"{}", "d"), None);
    assert_eq!(member(b"7", "d"), None);
}

#[test]
fn a_plain_stretch_ends_at_the_first_special_byte() {
    let filler = "aé~\u{7f}€ß 0\u{20}xyzÿ".repeat(3);
    for special in 0..=u8::MAX {
        let is_special = special < 0x20 || special == b'"' || special == b'\\';
        for length in 0..filler.len() {
            let mut bytes = filler.as_bytes()[..length].to_vec();
            bytes.push(special);
            bytes.extend_from_slice(b"tail\"");
            let expected = if is_special { length } else { length + 5 };
            assert_eq!(plain_length(&bytes), expected, "{special} at {length}");
        }
    }
}

#[test]
fn too_many_members_are_refused() {
    let members: Vec<_> = (0..=MEMBERS_MAX).map(|n| format!("\"k{n}\":0")).collect();
    let body = format!("{{{}}}", members.join(","));
    assert_eq!(object(body.as_bytes()).unwrap_err(), Fault::Members);
}

#[test]
fn escapes_are_resolved_as_a_parser_does() {
    for raw in [
        "",
        "plain",
        r#"a\"b\\c\/d\b\f\n\r\t"#,
        r"\u00e9\u20AC\\u00e9",
        r"\ud83d\ude00\ud83d\udE00x",
        "é\\né",
    ] {
        let mut said = String::from("before ");
        unescape(raw.as_bytes(), &mut said);
        let parsed: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
        assert_eq!(said, format!("before {parsed}"));
    }
    for (raw, said) in [
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00a", "\u{fffd}a"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\", ""),
        (r"\u12", "\u{fffd}"),
    ] {
        let mut out = String::new();
        unescape(raw.as_bytes(), &mut out);
        assert_eq!(out, said, "{raw}");
    }
}
