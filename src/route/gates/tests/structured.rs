//! `empty`, `invalid_json`, `invalid_tool_call`, and the schemas behind them.

use serde_json::{Value, json};

use super::super::schema::{Fit, fit};
use super::*;
use crate::chance::Chance;
use crate::dialect::common::{Format, Function, Json, Source, Thinking, Tool, ToolChoice};

fn schema(schema: &Value) -> Request {
    Request {
        format: Format::Schema {
            name: None,
            description: None,
            schema: Json::of(schema),
            strict: None,
        },
        ..request("?")
    }
}

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        description: None,
        parameters: parameters.map(|schema| Json::of(&schema)),
        strict: None,
        cache: None,
    })
}

#[test]
fn nothing_but_thoughts_and_blanks_is_empty() {
    let thought = || {
        Part::from(Content::Thinking(Thinking {
            text: "Hm.".into(),
            ..Thinking::default()
        }))
    };
    let image = Part::from(Content::Image {
        source: Source::Url {
            url: "https://example.com/a.png".into(),
            media_type: None,
        },
        detail: None,
    });
    let empty = |parts| outcome("empty", &request("?"), &of_parts(parts)) == Outcome::Fired;
    assert!(empty(vec![]));
    assert!(empty(vec![thought(), Part::text(" \n")]));
    assert!(!empty(vec![thought(), Part::text("0")]));
    assert!(!empty(vec![call("f", "")]));
    assert!(!empty(vec![image]));
    assert!(!empty(vec![Part::from(Content::Refusal("No.".into()))]));
    let without_choices = Answer::default();
    assert_eq!(
        outcome("empty", &request("?"), &without_choices),
        Outcome::Fired
    );
}

#[test]
fn an_end_is_what_the_provider_says() {
    for (gate, finish) in [
        ("truncated", Finish::Length),
        ("content_filter", Finish::ContentFilter),
    ] {
        assert_eq!(
            outcome(gate, &request("?"), &ended("x", finish)),
            Outcome::Fired
        );
        assert_eq!(said(gate, "x"), Outcome::Passed);
    }
}

#[test]
fn json_that_was_asked_for_must_be_json() {
    let json = Request {
        format: Format::Json,
        ..request("?")
    };
    let judge = |text| outcome("invalid_json", &json, &answer(text));
    assert_eq!(judge(" {\"a\": 1}\n"), Outcome::Passed);
    for text in [
        "",
        "no",
        "{\"a\": 1",
        "```json\n{\"a\": 1}\n```",
        "{} and more",
        "[1]",
        "1",
        "{'a': 1}",
    ] {
        assert_eq!(judge(text), Outcome::Fired, "{text}");
    }
    assert_eq!(said("invalid_json", "no"), Outcome::Passed);
    let calls = of_parts(vec![call("f", "{}")]);
    assert_eq!(outcome("invalid_json", &json, &calls), Outcome::Passed);
    let gemini = Request {
        source: Dialect::Gemini,
        ..json
    };
    assert_eq!(
        outcome("invalid_json", &gemini, &answer("[1]")),
        Outcome::Passed
    );
}

#[test]
fn json_must_fit_the_requests_schema() {
    let request = schema(&json!({
        "type": "object",
        "properties": { "age": { "type": "integer", "minimum": 0 }, "next": { "$ref": "#" } },
        "required": ["age"],
        "additionalProperties": false,
    }));
    let judge = |text| outcome("invalid_json", &request, &answer(text));
    assert_eq!(
        judge(r#"{"age": 4, "next": {"age": 5.0}}"#),
        Outcome::Passed
    );
    for text in [
        r#"{"age": "4"}"#,
        r#"{"age": -1}"#,
        "{}",
        r#"{"age": 4, "x": 1}"#,
        r#"{"age": 4, "next": {}}"#,
    ] {
        assert_eq!(judge(text), Outcome::Fired, "{text}");
    }
}

#[test]
fn a_schema_that_is_not_understood_decides_nothing() {
    let deep = (0..40).fold(json!({}), |schema, _| json!({ "allOf": [schema] }));
    let wide: serde_json::Map<_, _> = (0..30)
        .map(|level| {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            (format!("d{level}"), json!({ "allOf": [next, next] }))
        })
        .chain([("d30".to_owned(), json!({}))])
        .collect();
    let unknown = [
        json!({ "$ref": "#" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "$ref": "#/nowhere" }),
        json!({ "$ref": "#/$defs/d0", "$defs": wide }),
        json!({ "type": "string-or-so" }),
        json!({ "pattern": "(?=a)" }),
        json!({ "pattern": "(((a{100}){100}){100})" }),
        json!({ "unevaluatedProperties": false }),
        json!({ "enum": 1 }),
        json!("object"),
        json!({ "description": "x".repeat(300 << 10) }),
    ];
    for schema in unknown {
        let fit = fit(&Json::of(&schema), &json!("a"));
        assert_eq!(fit, Fit::Unknown, "{:.80}", schema.to_string());
    }
    assert_eq!(fit(&Json::of(&deep), &json!("a")), Fit::Fits);
}

/// Values that any schema below may or may not take.
fn value(chance: &mut Chance, depth: u64) -> Value {
    match chance.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(chance.one_in(2)),
        2 => json!(chance.below(4)),
        3 => json!(chance.below(8) as f64 / 2.0),
        4 => json!(["", "a", "ab", "b1"][chance.below(4) as usize]),
        5 => json!(-1),
        6 => (0..chance.below(4))
            .map(|_| value(chance, depth - 1))
            .collect(),
        _ => {
            let names = ["a", "b", "c"];
            let members = names
                .into_iter()
                .filter(|_| chance.one_in(2))
                .collect::<Vec<_>>();
            let members = members
                .into_iter()
                .map(|name| (name.to_owned(), value(chance, depth - 1)));
            Value::Object(members.collect())
        }
    }
}

/// Schemas of every keyword that is understood.
fn some_schema(chance: &mut Chance, depth: u64) -> Value {
    const TYPES: [&str; 7] = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let mut keywords = serde_json::Map::new();
    for _ in 0..=chance.below(3) {
        let inner = |chance: &mut Chance| match depth {
            0 => json!(true),
            _ => some_schema(chance, depth - 1),
        };
        let (keyword, wanted) = match chance.below(27) {
            0..4 => ("type", json!(TYPES[chance.below(7) as usize])),
            4 => ("type", json!([TYPES[chance.below(4) as usize], "string"])),
            5 => ("enum", json!([value(chance, 1), value(chance, 1)])),
            6 => ("const", value(chance, 1)),
            7 => ("allOf", json!([inner(chance), inner(chance)])),
            8 => ("anyOf", json!([inner(chance), inner(chance)])),
            9 => ("oneOf", json!([inner(chance), inner(chance)])),
            10 => ("not", inner(chance)),
            11 => {
                keywords.insert("then".into(), inner(chance));
                keywords.insert("else".into(), inner(chance));
                ("if", inner(chance))
            }
            12 => ("minimum", json!(chance.below(3))),
            13 => ("maximum", json!(chance.below(3))),
            14 => ("exclusiveMinimum", json!(0.5)),
            15 => ("exclusiveMaximum", json!(2)),
            16 => (
                "multipleOf",
                json!([1.0, 0.5, 2.0][chance.below(3) as usize]),
            ),
            17 => ("minLength", json!(1)),
            18 => ("pattern", json!("^a")),
            19 => ("items", inner(chance)),
            20 => ("prefixItems", json!([inner(chance)])),
            21 => ("uniqueItems", json!(true)),
            22 => ("maxItems", json!(2)),
            23 => (
                "properties",
                json!({ "a": inner(chance), "b": inner(chance) }),
            ),
            24 => ("required", json!(["a"])),
            25 => ("additionalProperties", inner(chance)),
            _ => match chance.below(4) {
                0 => ("patternProperties", json!({ "^b": inner(chance) })),
                1 => ("propertyNames", json!({ "pattern": "^[ab]" })),
                2 => ("minProperties", json!(1)),
                _ => ("maxProperties", json!(1)),
            },
        };
        keywords.insert(keyword.into(), wanted);
    }
    Value::Object(keywords)
}

#[test]
fn it_fits_if_the_reference_library_says_so() {
    let mut chance = Chance::new(1);
    let (mut fitting, mut not) = (0, 0);
    for _ in 0..3000 {
        let schema = some_schema(&mut chance, 2);
        let reference = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&schema)
            .unwrap();
        for _ in 0..6 {
            let value = value(&mut chance, 3);
            let expected = match reference.is_valid(&value) {
                true => Fit::Fits,
                false => Fit::Misfits,
            };
            let found = fit(&Json::of(&schema), &value);
            assert_eq!(found, expected, "{schema} and {value}");
            match expected {
                Fit::Fits => fitting += 1,
                _ => not += 1,
            }
        }
    }
    assert!(fitting > 2000 && not > 2000, "{fitting} {not}");
}

#[test]
fn a_call_must_be_of_a_tool_and_fit_it() {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let request = Request {
        tools: vec![tool("weather", Some(parameters)), tool("now", None)],
        ..request("?")
    };
    let judge = |name, arguments| {
        outcome(
            "invalid_tool_call",
            &request,
            &of_parts(vec![call(name, arguments)]),
        )
    };
    assert_eq!(judge("weather", r#"{"city": "Rome"}"#), Outcome::Passed);
    assert_eq!(judge("now", ""), Outcome::Passed);
    assert_eq!(judge("now", "{}"), Outcome::Passed);
    for (name, arguments) in [
        ("wheather", r#"{"city": "Rome"}"#),
        ("weather", r#"{"city": 1}"#),
        ("weather", r#"{"city": "Ro"#),
        ("weather", ""),
        ("now", "[]"),
        ("now", "null"),
    ] {
        assert_eq!(judge(name, arguments), Outcome::Fired, "{name} {arguments}");
    }
    let answer = ended("", Finish::MalformedCall);
    assert_eq!(
        outcome("invalid_tool_call", &request, &answer),
        Outcome::Fired
    );
}

#[test]
fn a_hosted_tools_call_may_have_any_name() {
    let mut request = Request {
        tools: vec![tool("now", None)],
        ..request("?")
    };
    let answer = of_parts(vec![call("bash", r#"{"command": "ls"}"#)]);
    assert_eq!(
        outcome("invalid_tool_call", &request, &answer),
        Outcome::Fired
    );
    request.tools.push(Tool::Hosted {
        dialect: Dialect::Anthropic,
        kind: "bash_20250124".into(),
        json: Json::empty_object(),
    });
    assert_eq!(
        outcome("invalid_tool_call", &request, &answer),
        Outcome::Unknown
    );
}

#[test]
fn a_tool_that_must_be_called_is_called() {
    let mut request = Request {
        tools: vec![tool("now", None), tool("then", None)],
        ..request("?")
    };
    let text = answer("It is noon.");
    let called = of_parts(vec![call("now", "{}")]);
    let named = |name: &str| ToolChoice::Named(name.into());
    let allowed = |name: &str, required| ToolChoice::Allowed {
        names: vec![name.into()],
        required,
    };
    for (choice, without, with) in [
        (ToolChoice::Auto, Outcome::Passed, Outcome::Passed),
        (ToolChoice::Required, Outcome::Fired, Outcome::Passed),
        (named("now"), Outcome::Fired, Outcome::Passed),
        (named("then"), Outcome::Fired, Outcome::Fired),
        (allowed("now", true), Outcome::Fired, Outcome::Passed),
        (allowed("then", true), Outcome::Fired, Outcome::Fired),
        (allowed("now", false), Outcome::Passed, Outcome::Passed),
    ] {
        request.tool_choice = Some(choice);
        assert_eq!(
            outcome("invalid_tool_call", &request, &text),
            without,
            "{request:?}"
        );
        assert_eq!(
            outcome("invalid_tool_call", &request, &called),
            with,
            "{request:?}"
        );
    }
}
