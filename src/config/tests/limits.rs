//! Files that are not meant well, and YAML that is not meant here.

use super::*;

#[test]
fn aliases_stand_for_their_values_but_not_without_end() {
    let gateway = good("models:\n  a: &m { target: x/y }\n  b: *m\n");
    assert_eq!(gateway.models["b"].target.0, "x/y");
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    assert_eq!(
        messages(&bomb)[0],
        "15:18: error: the file has more than 100000 values"
    );
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        tower += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(messages(&tower)[0].contains("nested more than 64 deep"));
    assert!(messages("models: &a { b: *a }")[0].contains("stands within what it is an alias of"));
    assert!(messages("models: *a")[0].contains("unknown anchor"));
}

#[test]
fn nesting_and_size_are_bounded() {
    assert!(messages(&"[".repeat(100_000))[0].contains("recursion limit"));
    assert!(messages(&"- ".repeat(100_000))[0].contains("nested"));
    assert_eq!(
        messages(&"#".repeat(FILE_BYTES_MAX + 1))[0],
        "1:1: error: the file is larger than 4 MiB"
    );
    let many: String = (0..60_000).map(|index| format!("k{index}: 1\n")).collect();
    assert!(messages(&many)[0].contains("more than 100000 values"));
    let many: String = (0..3000).map(|index| format!("k{index}: 1\n")).collect();
    assert!(diagnostics(&many).ends_with("2000 more are not shown\n3000 errors, 0 warnings"));
}

#[test]
fn what_yaml_has_beyond_plain_values_is_refused() {
    assert!(messages("log: !x json")[0].contains("the YAML tag `!x` has no meaning here"));
    assert!(messages("? [a]\n: b\n")[0].contains("a key must be a name"));
    assert!(messages("<<: {log: json}")[0].contains("merge keys"));
    assert!(messages("{log:json}")[0].contains("`log:` has no value, or no space before it"));
    assert_eq!(good("listen: !!str 12").listen.as_deref(), Some("12"));
}
