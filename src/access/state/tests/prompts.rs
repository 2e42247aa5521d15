//! What a script asks all replicas.

use super::*;

static PROMPT: LazyLock<Script> = LazyLock::new(|| {
    let text = "return redis.call('PUBLISH', ARGV[1], ARGV[2])";
    Script::new("prompt.lua", text)
});

/// What a store is prompted for of a kind, from now on.
fn told(store: &Store, kind: &'static str) -> mpsc::Receiver<String> {
    let (sender, names) = mpsc::channel();
    let told = move |name: &str| drop(sender.send(name.to_owned()));
    store.on_prompt(kind, Box::new(told));
    names
}

fn next(names: &mpsc::Receiver<String>) -> String {
    let name = names.recv_timeout(Duration::from_secs(60));
    name.expect("a prompt")
}

#[test]
fn a_prompt_reaches_all_replicas_and_the_handlers_of_its_kind() {
    let redis = Redis::start();
    let stores: [_; 3] = std::array::from_fn(|_| connected(&redis));
    let handlers = stores
        .each_ref()
        .map(|store| (told(store, "b"), told(store, "l")));
    let asker = &stores[0];
    for name in ["b:team/one", "l:team/two", "b:team/three"] {
        let arguments = [asker.prompts_channel(), name];
        assert_eq!(ask(asker, &PROMPT, "k", &arguments), number(3));
    }
    for (budgets, limits) in &handlers {
        assert_eq!(next(budgets), "b:team/one");
        assert_eq!(next(budgets), "b:team/three");
        assert_eq!(next(limits), "l:team/two");
    }
}

#[test]
fn all_are_prompted_after_a_new_connection() {
    let mut redis = Redis::start();
    let store = connected(&redis);
    let budgets = told(&store, "b");
    redis.restart();
    assert_eq!(next(&budgets), "*");
    let arguments = [store.prompts_channel(), "b:one"];
    eventually("a call", || ask(&store, &PROMPT, "k", &arguments).is_ok());
    eventually("the prompt", || next(&budgets) == "b:one");
}

#[test]
fn a_handler_with_a_bug_harms_no_other() {
    let redis = Redis::start();
    let store = connected(&redis);
    store.on_prompt("b", Box::new(|_| panic!("a bug")));
    let budgets = told(&store, "b");
    let arguments = [store.prompts_channel(), "b:one"];
    assert_eq!(ask(&store, &PROMPT, "k", &arguments), number(1));
    assert_eq!(next(&budgets), "b:one");
    assert!(!store.is_lost());
}
