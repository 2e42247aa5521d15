//! A file in, its values and diagnostics out.

// Most fields are there to be checked, not to be looked at.
#![allow(dead_code)]

mod hiding;
mod limits;
mod publishing;
mod reading;
mod reporting;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Date, Duration, DurationRange, Percent, Size};
use super::*;

/// A small configuration with every kind of field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Gateway {
    /// Where callers connect.
    #[serde(default)]
    listen: Option<String>,
    #[serde(default)]
    admin: Option<Admin>,
    #[serde(default)]
    server: Server,
    #[serde(default)]
    models: BTreeMap<String, Model>,
    #[serde(default)]
    teams: BTreeMap<String, Team>,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    cache: Option<NotBuilt>,
    #[serde(default)]
    state: Option<State>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Admin {
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Server {
    port: u16,
    workers: u32,
    ratio: f64,
    http2: bool,
    max_body: Size,
    drain: Duration,
    backoff: Option<DurationRange>,
    budget: Option<Percent>,
    until: Option<Date>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            port: 8080,
            workers: 1,
            ratio: 0.5,
            http2: true,
            max_body: Size(32 << 20),
            drain: Duration(std::time::Duration::from_secs(30)),
            backoff: None,
            budget: None,
            until: None,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Model {
    target: Target,
    #[serde(default)]
    timeout: Option<Timeout>,
    #[serde(default)]
    escalate_when: Vec<Gate>,
    #[serde(default)]
    health: Option<Health>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Timeout {
    #[serde(default)]
    total: Option<Duration>,
}

/// Refuses more than its schema says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
struct Target(String);

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self(text));
        }
        Err(format!(
            "a target is `provider/model`, and `{text}` has no `/`"
        ))
    }
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Gate {
    Refusal,
    /// The answer has no text.
    Empty,
    LogprobBelow(f64),
    ShorterThan(u32),
}

type Health = ScalarOr<Switch, HealthSettings>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Switch {
    Off,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HealthSettings {
    open_after: u32,
    #[serde(default)]
    fallback: Option<Target>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Team {
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    #[serde(default)]
    models: Option<Names>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Log {
    #[default]
    Json,
    Human,
    Off,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum State {
    Memory {
        #[serde(default)]
        size: Option<Size>,
    },
    Redis {
        url: String,
    },
}

struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "PORT" => "9000",
            "EMPTY" => "",
            "WORD" => "sesame",
            "YAML" => "a\nport: 1\n- {x: [",
            "TRUE" => "true",
            "KEY" => "sk-from-the-environment",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/run/token") => Ok("sk-from-a-file\n\n".to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        }
    }
}

fn read(text: &str) -> (Option<Gateway>, Document) {
    let mut document = Document::parse("t.yaml", text, &Fake);
    let gateway = document.read();
    (gateway, document)
}

/// The value of a file without mistakes.
#[track_caller]
fn good(text: &str) -> Gateway {
    let (gateway, document) = read(text);
    let diagnostics = document.finish();
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    gateway.unwrap()
}

fn diagnostics(text: &str) -> String {
    read(text).1.finish().to_string()
}

/// The first lines of the diagnostics, without the file's name, and the help lines.
fn messages(text: &str) -> Vec<String> {
    let all = diagnostics(text);
    let lines = all.lines();
    lines
        .filter_map(|line| {
            line.strip_prefix("t.yaml:")
                .or(line.starts_with("help: ").then_some(line))
        })
        .map(str::to_owned)
        .collect()
}
