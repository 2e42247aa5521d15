//! The script on a real Redis.

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::log::{Answer, Ask, Batch, Counted, PARTS, Told};
use crate::access::state::{Script, Value};

/// What it runs.
pub static RATE: LazyLock<Script> = LazyLock::new(|| Script::new("rate", TEXT));

const TEXT: &str = include_str!("rate.lua");

/// Who asks, and where.
pub struct Asking<'a> {
    /// Who asks.
    pub replica: &'a str,
    /// Who else may have used something.
    pub others: &'a [Arc<str>],
    /// Where they are prompted, …
    pub channel: &'a str,
    /// … and by which name.
    pub key: &'a str,
    /// How long a part of the window is.
    pub part: Duration,
}

/// The arguments of an ask.
pub fn arguments(asking: &Asking<'_>, ask: &Ask) -> Vec<String> {
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
        asking.replica.to_owned(),
        asking.part.as_micros().to_string(),
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
        asking.channel.to_owned(),
        asking.key.to_owned(),
        (asking.others.len() + 1).to_string(),
        pairs(amendments.collect()),
        pairs(uses.collect()),
    ];
    if !ask.is_whole {
        arguments.extend(asking.others.iter().map(ToString::to_string));
    }
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
