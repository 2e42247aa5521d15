//! Which of several targets is picked.

use std::collections::BTreeMap;

use serde_json::json;

use super::Stage;
use crate::raw::{Request, chat};

const CONVERSATIONS: usize = 24;
const TURNS: usize = 8;
const REQUESTS: usize = 400;

#[tokio::test]
async fn a_conversation_stays_with_its_target() {
    let models = "  m: { any_of: [up/good, up/refuses, up/says-todo], pick: sticky }\n";
    let stage = Stage::set(models).await;
    let mut conversations = BTreeMap::<String, usize>::new();
    for conversation in 0..CONVERSATIONS {
        let mut turns = vec![json!({"role": "user", "content": format!("It is {conversation}.")})];
        stage.upstream.forget();
        for turn in 0..TURNS {
            let body = json!({"model": "m", "messages": turns});
            let request = Request::post("/v1/chat/completions", body.to_string());
            assert_eq!(stage.gateway.ask(request).await.status, 200);
            turns.push(json!({"role": "assistant", "content": format!("Answer {turn}.")}));
            turns.push(json!({"role": "user", "content": format!("And {turn}?")}));
        }
        let asked = stage.asked();
        assert_eq!(asked, vec![asked[0].clone(); TURNS]);
        *conversations.entry(asked[0].clone()).or_default() += 1;
    }
    assert_eq!(
        conversations.len(),
        3,
        "each target has some: {conversations:?}"
    );
}

#[tokio::test]
async fn weights_are_shares_of_the_requests() {
    let models = "  m: { any_of: [{ target: up/good, weight: 3 }, up/refuses] }\n";
    let stage = Stage::set(models).await;
    for _ in 0..REQUESTS {
        assert_eq!(stage.gateway.ask(chat("m")).await.status, 200);
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), REQUESTS);
    let good = asked.iter().filter(|model| *model == "good").count();
    // Six deviations of the binomial distribution: the square root of 400 · 3/4 · 1/4 is 8.7.
    assert!((248..=352).contains(&good), "{good} of {REQUESTS}");
}
