//! The scripts that run in Redis, step by step beside the model that the simulation runs, on a real Redis.

use std::sync::Arc;

use redis::{Connection, Value};

use super::account::{Account, Answer, Ask, Share, Shares};
use crate::access::state::tests::server::Redis;
use crate::chance::Chance;

const KEY: &str = "tollgate:{budget:team:search|day|UTC|2026-01-01}";

/// How many messages are compared.
const STEPS: usize = 3_000;

fn run(connection: &mut Connection, script: &str, arguments: &[String]) -> Vec<Value> {
    let script = redis::Script::new(script);
    let mut invocation = script.key(KEY);
    invocation.arg(arguments);
    invocation.invoke(connection).expect("the script runs")
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).expect("no amount is negative"),
        other => panic!("{other:?}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).expect("text"),
        other => panic!("{other:?}"),
    }
}

fn arguments(ask: &Ask, run_id: &str, is_settled: bool, shares: &Shares) -> Vec<String> {
    let settled = u8::from(is_settled).to_string();
    let mut arguments: Vec<String> = [
        run_id,
        &settled,
        "60000",
        "prompts",
        "budget:x",
        &ask.replica,
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(ask.numbers().map(|number| number.to_string()));
    for (name, share) in shares {
        arguments.push(name.to_string());
        arguments.extend([share.seq, share.settled, share.held].map(|number| number.to_string()));
    }
    arguments
}

/// Replicas that ask for more, give back, come too late, and tell what they know of each other: amounts small and as large as
/// nine million dollars.
#[test]
fn the_script_does_what_the_model_does() {
    let redis = Redis::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let connection = &mut client.get_connection().unwrap();
    let run_id = text(&run(connection, include_str!("shares.lua"), &[])[0]);
    for (seed, most) in [(1, 1_000), (2, 9_000_000_000_000_000)] {
        let chance = &mut Chance::new(seed);
        let mut model = Account::default();
        let names: [Arc<str>; 3] = ["sqlite-1", "pod-7:8080", "c"].map(Arc::from);
        let mut granted_in_all = 0_u64;
        for step in 0..STEPS {
            if step % 100 == 0 {
                let _: () = redis::cmd("FLUSHALL").query(connection).unwrap();
                model = Account::default();
            }
            let replica = names[chance.below(3) as usize].clone();
            let before = model.shares().get(&replica).copied().unwrap_or_default();
            let seq = (before.seq + chance.below(4)).saturating_sub(1);
            let amount = |chance: &mut Chance, part: u64| chance.below(most / part);
            let has = before.settled + before.held;
            let settled = before.settled + chance.below(before.held / 2 + 1);
            let ask = Ask {
                replica,
                seq,
                limit: most - amount(chance, 4),
                settled,
                held: chance.below((has - settled) + 1),
                need: amount(chance, 50),
                want: amount(chance, 20),
                spare: amount(chance, 20),
            };
            let mut shares = Shares::new();
            if chance.one_in(8) {
                let share = Share {
                    seq: before.seq + chance.below(3),
                    settled,
                    held: before.held / 2,
                };
                shares.insert(names[chance.below(3) as usize].clone(), share);
            }
            let (is_settled, is_of_here) = (!chance.one_in(6), !chance.one_in(6));
            let believed = if is_of_here { &*run_id } else { "abcdef" };
            model.hear(&shares);
            let expected = model.ask(&ask, is_settled && is_of_here);
            let given = arguments(&ask, believed, is_settled, &shares);
            let reply = run(connection, include_str!("account.lua"), &given);
            assert_eq!(text(&reply[0]), run_id);
            let answer = Answer {
                seq: ask.seq,
                heard: number(&reply[1]),
                is_open: number(&reply[2]) == 1,
                granted: number(&reply[3]),
                spent: number(&reply[4]),
                held: number(&reply[5]),
            };
            assert_eq!(answer, expected, "{ask:?}");
            granted_in_all += u64::from(answer.granted > 0);
        }
        assert!(granted_in_all > STEPS as u64 / 20, "{granted_in_all}");
        let mut shares = run(connection, include_str!("shares.lua"), &[]);
        shares.remove(0);
        let mut shares: Vec<_> = shares
            .chunks(2)
            .map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1])))
            .collect();
        shares.sort();
        let share = |(name, share): (&Arc<str>, &Share)| {
            format!("{name} {} {} {}", share.seq, share.settled, share.held)
        };
        let mut expected: Vec<_> = model.shares().iter().map(share).collect();
        expected.sort();
        assert_eq!(shares, expected);
        let lives: i64 = redis::cmd("PTTL").arg(KEY).query(connection).unwrap();
        assert!((1..=60_000).contains(&lives), "{lives}");
    }
}
