//! The store against a real Redis that is killed, stopped, emptied and failed over.

mod calls;
mod connecting;
mod membership;
mod prompts;
mod section;
mod sentinels;
#[allow(dead_code)] // the tests from outside use the rest
pub(in crate::access) mod server;

use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use super::{NoAnswer, Reply, Script, Settings, StateSection, Store, Value};
use crate::config::{Document, ProcessEnvironment};
use crate::telemetry::{Log, LogFormat, Metrics};
use server::{Redis, eventually};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct File {
    state: StateSection,
}

/// Adds to a number, and says what it is now.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    let text = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    Script::new("add.lua", text)
});

/// What a line of the file comes to, and what is said about it.
fn resolve(line: &str) -> (Option<Settings>, String) {
    let text = format!("state: {line}\n");
    let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
    let file: Option<File> = document.read();
    let settings = file.and_then(|file| Settings::resolve(&file.state, &["state"], &mut document));
    (settings, document.finish().to_string())
}

/// A store on what a line of the file says.
fn store(line: &str) -> Arc<Store> {
    store_of(line, &uuid::Uuid::now_v7().simple().to_string())
}

/// The store of a replica of that name.
fn store_of(line: &str, replica: &str) -> Arc<Store> {
    let (settings, said) = resolve(line);
    let metrics = Metrics::new();
    let log = Log::start(LogFormat::Off, metrics.log_lines_dropped());
    let settings = settings.expect(&said);
    let store = Store::start(settings, replica.into(), metrics.state(), log);
    store.opened();
    store
}

/// A store that is connected to `redis`.
pub(in crate::access) fn connected(redis: &Redis) -> Arc<Store> {
    connected_with(&redis.url())
}

/// A store that is connected as a line of the file says.
pub(in crate::access) fn connected_with(line: &str) -> Arc<Store> {
    let store = store(line);
    reached(&store);
    store
}

/// A store that is connected to `redis`, of a replica of that name.
pub(in crate::access) fn connected_as(replica: &str, redis: &Redis) -> Arc<Store> {
    let store = store_of(&redis.url(), replica);
    reached(&store);
    store
}

fn reached(store: &Store) {
    eventually("a connection", || !store.is_lost());
}

/// Calls, and waits for the answer, which comes whatever happens.
fn ask(
    store: &Store,
    script: &'static Script,
    name: &str,
    arguments: &[&str],
) -> Result<Reply, NoAnswer> {
    let (sender, answer) = mpsc::channel();
    let arguments = arguments.iter().map(ToString::to_string).collect();
    let answered = move |answer| sender.send(answer).expect("the test waits");
    store.call(script, name, arguments, Box::new(answered));
    let answer = answer.recv_timeout(Duration::from_secs(60));
    answer.expect("every call is answered")
}

fn number(number: i64) -> Result<Reply, NoAnswer> {
    Ok(vec![Value::Int(number)])
}
