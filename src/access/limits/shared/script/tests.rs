use redis::aio::MultiplexedConnection;

use super::super::simulation::{Call, lived};
use super::*;
use crate::access::state::tests::server::Redis;

/// How many worlds are lived through again.
const SEEDS: u64 = 60;

/// The script, told the time and the server's life instead of asking for them.
fn told() -> redis::Script {
    let text = TEXT
        .replace("redis.call('TIME')", "{ KEYS[2], KEYS[3] }")
        .replace("redis.call('INFO', 'server')", "KEYS[4]");
    assert!(text.contains("KEYS[2]") && text.contains("KEYS[4]"));
    redis::Script::new(&text)
}

async fn ask(
    connection: &mut MultiplexedConnection,
    script: &redis::Script,
    key: &str,
    call: &Call,
    length: u64,
) -> Option<Answer> {
    let asking = Asking {
        replica: &call.replica,
        others: &call.others,
        channel: "prompts",
        key,
        part: Duration::from_micros(length),
    };
    let mut invocation = script.key(key);
    invocation
        .key(call.now / 1_000_000)
        .key(call.now % 1_000_000)
        .key(format!("run_id:{}", call.run))
        .arg(arguments(&asking, &call.ask));
    let reply: Vec<i64> = invocation.invoke_async(connection).await.expect("it runs");
    let values: Vec<Value> = reply.into_iter().map(Value::Int).collect();
    answer(&values)
}

#[tokio::test]
async fn the_script_says_step_by_step_what_the_log_does() {
    let redis = Redis::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let script = told();
    let mut calls = 0;
    for seed in 0..SEEDS {
        let (world, length) = lived(seed);
        let key = format!("rate:{seed}");
        for (step, call) in world.calls.iter().enumerate() {
            let Some(call) = call else {
                redis.command(&["DEL", &key]);
                continue;
            };
            let answer = ask(&mut connection, &script, &key, call, length).await;
            assert_eq!(
                answer,
                Some(call.answer),
                "seed {seed}, step {step}: {:?}",
                call.ask
            );
            calls += 1;
        }
    }
    assert!(calls > 5_000, "{calls}");
}

#[tokio::test]
async fn by_its_own_clock_it_grants_refuses_and_is_forgotten() {
    let redis = Redis::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let script = redis::Script::new(TEXT);
    let mut answers = Vec::new();
    for seq in 1..=3 {
        let ask = Ask {
            seq,
            heard: seq - 1,
            limit: 2,
            need: Some(1),
            largest: 1,
            want: 1,
            life: 2,
            is_anew: seq == 1,
            born: answers.last().map_or(0, |answer: &Answer| answer.born),
            ..Ask::default()
        };
        let mut invocation = script.key("k");
        let asking = Asking {
            replica: "a",
            others: &[],
            channel: "prompts",
            key: "k",
            part: Duration::from_millis(240),
        };
        invocation.arg(arguments(&asking, &ask));
        let reply: Vec<i64> = invocation.invoke_async(&mut connection).await.unwrap();
        let values: Vec<Value> = reply.into_iter().map(Value::Int).collect();
        answers.push(answer(&values).unwrap());
    }
    let counted = |at: usize| match answers[at].told {
        Told::Counted(counted) => counted,
        told => panic!("{told:?}"),
    };
    assert_eq!(
        [counted(0).granted, counted(1).granted, counted(2).granted],
        [1, 1, 0]
    );
    assert!((59_000_000..62_000_000).contains(&counted(2).wait));
    let expires = redis.command(&["PTTL", "k"]);
    let expires: i64 = expires.trim_start_matches(':').trim().parse().unwrap();
    assert!((60_000..700_000).contains(&expires), "{expires}");
}
