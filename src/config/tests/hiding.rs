//! What diagnostics never show.

use super::*;

#[test]
fn interpolated_values_are_never_shown() {
    let text = "server: { port: \"${KEY}\", drain: \"${KEY}\", workers: \"${EMPTY}\" }\nlog: ${KEY}\nmodels: { a: { target: \"${KEY}\" } }\n";
    let all = diagnostics(text);
    assert!(!all.contains("sk-from"), "{all}");
    assert!(
        all.contains(
            "`server.port` must be a whole number from 0 to 65535, not what `${KEY}` holds"
        ),
        "{all}"
    );
    assert!(all.contains("but `${EMPTY}` is empty"), "{all}");
    assert!(
        all.contains("error: `models.a.target` cannot be used\n"),
        "{all}"
    );
    assert!(all.ends_with("5 errors, 0 warnings"), "{all}");
}

#[test]
fn secrets_in_the_file_are_masked_in_source_lines() {
    for text in [
        "admin: { token: hunter2, x: 1 }",
        "admin: { token: hunter2, token: hunter2 }",
        "admin: { x: 1, token: [hunter2, {a: hunter2}] }",
        "admin: { x: 1, tokne: hunter2 }",
        "admin: { x: 1, headers: { a: hunter2 } }",
        "admn: { token: hunter2 }",
        "admin: { token:hunter2 }",
        "admin:\n  token:hunter2",
        "admin: { x: 1, secretKey: hunter2 }",
        "log: json\n--- { token: hunter2 }",
        "admin: { x: 1, token: \"${A:-hunter2}\" }",
        "admin: { x: 1, token: \"hunter2 ${WORD}\" }",
        "admin: &a { x: 1, token: hunter2 }\nadmni: *a",
        "admin: { x: 1, token: \"${hunter2-}\" }",
        "admin: { <<: { token: hunter2 } }",
        "admin: { ? { token: hunter2 } : { token: hunter2 } }",
        // Not YAML:
        "admin: { token: hunter2, : }}",
        "admin:\n  token: hunter2: x",
        "admin:\n  \"token\" : \"hunter2",
        "admin:\n  token: \"abc\n    hunter2\" x",
        "admin: { token: hunter2 }\n---\nlog: json",
    ] {
        let all = diagnostics(text);
        assert!(!all.contains("hunter2"), "{text}\n{all}");
        assert!(!all.ends_with("0 errors, 0 warnings"), "{text}\n{all}");
    }
}

#[test]
fn a_masked_line_keeps_its_caret_in_place() {
    assert_eq!(
        diagnostics("admin: { token: hunter2, x: 1 }"),
        "t.yaml:1:26: error: unknown field `x` in admin\n  admin: { token: ***, x: 1 }\n                       ^\n1 error, 0 warnings"
    );
}

#[test]
fn a_reference_to_a_secret_may_be_shown() {
    for text in [
        "admin: { token: \"${KEY}\", x: 1 }",
        "admin: { token: \"${NONE}\" }",
        "admin: { token: \"${file:/none}\" }",
    ] {
        assert!(
            diagnostics(text).contains(&format!("\n  {text}\n")),
            "{text}"
        );
    }
}

#[test]
fn names_from_the_file_cannot_write_to_the_terminal() {
    let all = diagnostics("\"a\\e[31m\\n\": x\nb: \u{1}\n");
    assert!(!all.contains('\u{1b}') && !all.contains('\u{1}'), "{all:?}");
    assert!(all.contains("unknown field `a\\u{1b}[31m\\n`"), "{all}");
}
