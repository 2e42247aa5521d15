//! Scripts and their answers.

use super::*;

/// What a script of this text answers.
fn answer(store: &Store, text: &str) -> Result<Reply, NoAnswer> {
    let script = Box::leak(Box::new(Script::new("test.lua", text)));
    ask(store, script, "k", &["a", "b"])
}

#[test]
fn a_script_has_its_key_and_its_arguments() {
    let redis = Redis::start();
    let store = connected(&redis);
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        answer(&store, "return { KEYS[1], #KEYS, ARGV[1], ARGV[2] }"),
        Ok(vec![
            text("tollgate:{k}"),
            Value::Int(1),
            text("a"),
            text("b")
        ])
    );
    assert_eq!(answer(&store, "return 7"), number(7));
    assert_eq!(answer(&store, "return 'x'"), Ok(vec![text("x")]));
    assert_eq!(
        answer(&store, "return redis.status_reply('FINE')"),
        Ok(vec![text("FINE")])
    );
    assert_eq!(answer(&store, "return {}"), Ok(vec![]));
}

#[test]
fn nothing_and_an_error_are_refusals() {
    let redis = Redis::start();
    let store = connected(&redis);
    for text in [
        "return nil",
        "return { 1, false }",
        "return redis.error_reply('NO')",
        "return nonsense(",
        "return redis.call('LPUSH', 'tollgate:{k}')",
        "return { { 1 } }",
    ] {
        assert_eq!(answer(&store, text), Err(NoAnswer::Refused), "{text}");
    }
    assert_eq!(ask(&store, &ADD, "n", &["1"]), number(1));
}

#[test]
fn a_script_that_redis_has_forgotten_is_loaded_again() {
    let redis = Redis::start();
    let store = connected(&redis);
    assert_eq!(ask(&store, &ADD, "n", &["2"]), number(2));
    assert!(redis.command(&["SCRIPT", "FLUSH"]).starts_with("+OK"));
    assert_eq!(ask(&store, &ADD, "n", &["3"]), number(5));
}

#[test]
fn ten_thousand_calls_at_once_are_each_answered_once() {
    const CALLS: i64 = 10_000;
    let redis = Redis::start();
    let store = connected(&redis);
    assert_eq!(ask(&store, &ADD, "n", &["0"]), number(0));
    let (sender, answers) = mpsc::channel();
    for _ in 0..CALLS {
        let sender = sender.clone();
        let answered = move |answer| sender.send(answer).expect("the test waits");
        store.call(&ADD, "n", vec!["1".to_owned()], Box::new(answered));
    }
    drop(sender);
    let answers: Vec<_> = answers.iter().collect();
    assert_eq!(answers.len(), CALLS as usize);
    // A slow machine may lose some; none runs twice.
    let answered = answers.iter().flatten().count() as i64;
    eventually("a calm store", || {
        let ran = ask(&store, &ADD, "n", &["0"]).ok();
        ran.is_some_and(
            |ran| matches!(ran[..], [Value::Int(ran)] if (answered..=CALLS).contains(&ran)),
        )
    });
}

#[test]
fn calls_beyond_what_may_wait_are_lost_at_once() {
    let redis = Redis::start();
    let store = connected(&redis);
    redis.stop();
    let (sender, answers) = mpsc::channel();
    let calls = super::super::call::OUTSTANDING_MAX * 2;
    for _ in 0..calls {
        let sender = sender.clone();
        let answered = move |answer: Result<Reply, _>| {
            sender.send(answer.is_err()).expect("the test waits");
        };
        store.call(&ADD, "n", vec!["1".to_owned()], Box::new(answered));
    }
    drop(sender);
    let lost = answers.iter().filter(|is_lost| *is_lost).count();
    redis.go_on();
    assert_eq!(lost, calls);
    reached(&store);
}

#[tokio::test]
async fn what_is_to_be_said_once_is_said_by_the_first() {
    let redis = Redis::start();
    let [a, b] = std::array::from_fn(|_| connected(&redis));
    let minute = Duration::from_secs(60);
    assert!(a.is_first("half is spent", minute).await);
    assert!(
        !b.is_first("half is spent", minute).await && !a.is_first("half is spent", minute).await
    );
    assert!(b.is_first("all is spent", minute).await);
    drop(redis);
    assert!(b.is_first("half is spent", minute).await);
}
