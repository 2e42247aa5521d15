//! The script on a real Redis.

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use super::log::{Answer, Ask, Batch, Counted, PARTS, Told};
use crate::access::state::{Script, Value};

/// What it runs.
pub static RATE: LazyLock<Script> = LazyLock::new(|| Script::new("rate", TEXT));

const TEXT: &str = include_str!("rate.lua");

/// The arguments of an ask.
pub fn arguments(
    replica: &str,
    ask: &Ask,
    length: u64,
    channel: &str,
    name: &str,
    others: &[Arc<str>],
) -> Vec<String> {
    let Batch {
        seq: batch,
        amendments,
        uses,
    } = &ask.batch;
    let need = ask.need.map_or(-1, u64::cast_signed);
    let pairs = |pairs: Vec<String>| pairs.join(",");
    let amendments = amendments
        .iter()
        .map(|(at, amount)| format!("{at}:{amount}"));
    let uses = uses.iter().map(|(at, amount)| format!("{at}:{amount}"));
    let mut arguments = vec![
        replica.to_owned(),
        length.to_string(),
        PARTS.to_string(),
        ask.seq.to_string(),
        ask.heard.to_string(),
        ask.limit.to_string(),
        need.to_string(),
        ask.largest.to_string(),
        ask.want.to_string(),
        ask.welcome.to_string(),
        ask.life.to_string(),
        batch.to_string(),
        u8::from(ask.is_anew).to_string(),
        ask.born.to_string(),
        ask.most.to_string(),
        ask.clock.to_string(),
        channel.to_owned(),
        name.to_owned(),
        pairs(amendments.collect()),
        pairs(uses.collect()),
    ];
    arguments.extend(others.iter().map(|other| other.to_string()));
    arguments
}

/// What the script says; None if that is no answer of it.
pub fn answer(reply: &[Value]) -> Option<Answer> {
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Text(_) => None,
    };
    let numbers: Option<Vec<u64>> = reply.iter().map(number).collect();
    let [state, born, granted, part, total, wait, wait_largest, reset] = numbers?[..] else {
        return None;
    };
    let told = match state {
        0 => Told::Counted(Counted {
            granted,
            part,
            total,
            wait,
            wait_largest,
            reset,
        }),
        1 => Told::Report,
        2 => Told::Wait,
        _ => return None,
    };
    Some(Answer { born, told })
}
