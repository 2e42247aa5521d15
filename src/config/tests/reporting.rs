//! What diagnostics say, and where.

use super::*;

#[test]
fn ten_mistakes_give_ten_errors() {
    let text = "\
lissten: x
server:
  port: 70000
  drain: 5 minutes
  http2: yes
models:
  fast: { tmeout: 1s, target: a/b }
  slow: {}
  odd: { target: b }
teams:
  search:
    keys:
      - { name: [a] }
log: jsn
cache: { size: 1 }
";
    let expected = "\
t.yaml:1:1: error: unknown field `lissten`
  lissten: x
  ^
help: did you mean `listen`?
t.yaml:3:9: error: `server.port` must be a whole number from 0 to 65535, not `70000`
    port: 70000
          ^
t.yaml:4:10: error: `server.drain` must be a duration, not `5 minutes`
    drain: 5 minutes
           ^
help: a duration is a whole number and its unit: `200ms`, `5s`, `10m`, `1h`, `30d`
t.yaml:5:10: error: `server.http2` must be `true` or `false`, not `yes`
    http2: yes
           ^
help: write `true`
t.yaml:7:11: error: unknown field `tmeout` in models.fast
    fast: { tmeout: 1s, target: a/b }
            ^
help: did you mean `timeout`?
t.yaml:8:3: error: missing field `target` in models.slow
    slow: {}
    ^
t.yaml:9:18: error: `models.odd.target` cannot be used: a target is `provider/model`, and `b` has no `/`
    odd: { target: b }
                   ^
t.yaml:13:17: error: `teams.search.keys[0].name` must be a string, not a list
        - { name: [a] }
                  ^
t.yaml:14:6: error: `log` must be `json`, `human` or `off`, not `jsn`
  log: jsn
       ^
help: did you mean `json`?
t.yaml:15:1: error: `cache` is not built yet
  cache: { size: 1 }
  ^
help: remove it; this version would ignore it
10 errors, 0 warnings";
    assert_eq!(diagnostics(text), expected);
}

#[test]
fn rooms_report_at_values_keys_and_what_is_missing() {
    let (_, mut document) = read("log: json\nmodels:\n  fast:\n    target: a/b\n    timeout:\n");
    document
        .warning(&["models", "fast", "target"], "one")
        .help("so");
    document.error_at_key(&["models", "fast", "target"], "two");
    document.error(&["models", "fast", "weight"], "three");
    document.error(&["models", "fast", "timeout"], "four");
    document.error(&["nothing"], "five");
    let text = document.finish().to_string();
    let heads: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        heads,
        [
            "t.yaml:1:1: error: five",
            "t.yaml:3:3: error: three",
            "t.yaml:4:5: error: two",
            "t.yaml:4:13: warning: one",
            "help: so",
            "t.yaml:5:5: error: four",
            "4 errors, 1 warning",
        ]
    );
}

#[test]
fn counts_are_written_in_the_right_number() {
    assert_eq!(diagnostics("log: json").to_string(), "0 errors, 0 warnings");
    assert!(diagnostics("logg: json").ends_with("\n1 error, 0 warnings"));
}

#[test]
fn unresolved_references_are_all_reported() {
    let found = messages(
        "listen: ${ONE}-${TWO}\nlog: '${LOG'\nserver:\n  port: ${a b}\n  workers: ${A:-${B}}\n",
    );
    assert_eq!(
        found,
        [
            "1:9: error: the environment variable `ONE` is not set",
            "help: set it, or write `${ONE:-default}`",
            "1:9: error: the environment variable `TWO` is not set",
            "help: set it, or write `${TWO:-default}`",
            "2:6: error: `${` is never closed",
            "help: end it with `}`; a dollar sign is written `$$`",
            "4:9: error: this `${…}` names no environment variable",
            "help: write `${NAME}`, `${NAME:-default}` or `${file:/path}`; a dollar sign is written `$$`",
            "5:12: error: the default of `${A}` holds another `${…}`",
            "help: a default is plain text",
        ]
    );
}

#[test]
fn duplicates_name_the_first() {
    assert_eq!(
        messages("log: json\nmodels: { a: { target: x/y }, a: { target: z } }\nlog: off\n"),
        [
            "2:31: error: `a` stands twice in this mapping",
            "help: the first is at 2:11",
            "3:1: error: `log` stands twice in this mapping",
            "help: the first is at 1:1",
        ]
    );
}

#[test]
fn unions_are_reported_against_what_was_meant() {
    let cases = [
        (
            "models: { a: { target: x/y, health: of } }",
            "1:37: error: `models.a.health` must be `off` or a mapping, not `of`",
        ),
        (
            "models: { a: { target: x/y, health: { open_after: 1, fallback: z } } }",
            "1:64: error: `models.a.health.fallback` cannot be used: a target is `provider/model`, and `z` has no `/`",
        ),
        (
            "models: { a: { target: x/y, health: [] } }",
            "1:37: error: `models.a.health` must be `off` or a mapping, not a list",
        ),
        (
            "models: { a: { target: x/y, health: {open: 5} } }",
            "1:29: error: missing field `open_after` in models.a.health",
        ),
        (
            "models: { a: { target: x/y, escalate_when: [{logprob_blow: 1}] } }",
            "1:46: error: unknown field `logprob_blow` in models.a.escalate_when[0]",
        ),
        (
            "models: { a: { target: x/y, escalate_when: [{logprob_below: x}] } }",
            "1:61: error: `models.a.escalate_when[0].logprob_below` must be a number, not `x`",
        ),
        (
            "models: { a: { target: x/y, escalate_when: [refusl] } }",
            "1:45: error: `models.a.escalate_when[0]` must be `refusal`, `empty` or a mapping, not `refusl`",
        ),
        (
            "teams: { a: { keys: [{name: a, models: {}}] } }",
            "1:40: error: `teams.a.keys[0].models` must be a string or a list, not a mapping",
        ),
        (
            "state: { kind: rediss }",
            "1:16: error: `state.kind` must be `memory` or `redis`, not `rediss`",
        ),
        (
            "state: { url: x }",
            "1:1: error: missing field `kind` in state",
        ),
        (
            "state: { kind: redis }",
            "1:1: error: missing field `url` in state",
        ),
        (
            "state: { kind: redis, url: x, size: 1B }",
            "1:31: error: unknown field `size` in state",
        ),
        (
            "server: { port: \"80\" }",
            "1:17: error: `server.port` must be a whole number from 0 to 65535, not the string `80`",
        ),
        (
            "server:",
            "1:1: error: `server` must be a mapping, but it is empty",
        ),
        (
            "server: { workers: -1 }",
            "1:20: error: `server.workers` must be a whole number from 0 to 4294967295, not `-1`",
        ),
        (
            "server: { ratio: .inf }",
            "1:18: error: `server.ratio` must be a number, not `.inf`",
        ),
        (
            "server: { until: 2027-02-30 }",
            "1:18: error: `server.until` must be a date, not `2027-02-30`",
        ),
    ];
    for (text, expected) in cases {
        assert!(
            messages(text).iter().any(|message| message == expected),
            "{text}\n{:#?}",
            messages(text)
        );
    }
}

#[test]
fn a_file_that_is_no_mapping_says_so() {
    assert_eq!(messages(""), ["1:1: error: the file is empty"]);
    assert_eq!(messages("# nothing\n"), ["1:1: error: the file is empty"]);
    assert_eq!(
        messages("- a\n- b\n"),
        ["1:1: error: the file must be a mapping, not a list"]
    );
    assert_eq!(
        messages("hello"),
        ["1:1: error: the file must be a mapping, not a single value"]
    );
    assert_eq!(messages("log: json\n---\nlog: off\n").len(), 2);
}

#[test]
fn line_ends_tabs_and_other_scripts_keep_positions_right() {
    assert_eq!(
        messages("log: json\r\nlgo: x\r\n")[0],
        "2:1: error: unknown field `lgo`"
    );
    assert_eq!(
        messages("log: json\rlgo: x\r")[0],
        "2:1: error: unknown field `lgo`"
    );
    assert_eq!(
        messages("models: { \"日本é\": { x: 1, target: a/b } }"),
        ["1:20: error: unknown field `x` in models.日本é"]
    );
    assert_eq!(
        messages("\u{feff}lgo: x\n")[0],
        "1:1: error: unknown field `lgo`"
    );
    let all = diagnostics("server:\n\tport: 1\n");
    assert!(
        all.starts_with("t.yaml:2:2: error: this is not valid YAML: tabs disallowed"),
        "{all}"
    );
    assert!(all.contains("\n   port: 1\n   ^\n"), "{all}");
}

#[test]
fn syntax_errors_have_their_position() {
    assert_eq!(
        diagnostics("log: json\nserver: { port: 1\nlisten: x\n"),
        "t.yaml:3:7: error: this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'\n  listen: x\n        ^\n1 error, 0 warnings"
    );
}

#[test]
fn long_lines_are_cut_around_their_mistake() {
    let text = format!(
        "{{ listen: {}, lgo: x, models: {{ {} }} }}",
        "a".repeat(500),
        "b: {target: a/b}, ".repeat(9)
    );
    let all = diagnostics(&text);
    let lines: Vec<&str> = all.lines().collect();
    assert!(
        lines[1].starts_with("  …aaa") && lines[1].chars().count() < 130,
        "{all}"
    );
    let caret = lines[2].find('^').unwrap();
    assert_eq!(lines[1].chars().nth(caret), Some('l'), "{all}");
}
