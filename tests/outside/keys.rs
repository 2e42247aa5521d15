//! Who may ask for what: keys in every form in which an SDK sends them, and the models that they may use.

use crate::harness::{ADMIN_TOKEN, Gateway, KEY, sha256_hex};
use crate::raw::{Answer, Request, chat};
use crate::upstream::{COMPLETION, Upstream};

#[tokio::test]
async fn a_key_is_accepted_in_every_form_in_which_an_sdk_sends_it() {
    let (gateway, upstream) = gateway().await;
    let bare = || chat("fast").without("authorization");
    let mut in_query = bare();
    in_query.path += &format!("?key={KEY}");
    let forms = [
        bare().header("authorization", &format!("Bearer {KEY}")),
        bare().header("authorization", &format!("bearer {KEY}")),
        bare().header("x-api-key", KEY),
        bare().header("x-goog-api-key", KEY),
        bare().header("api-key", KEY),
        in_query,
        bare()
            .header("api-key", KEY)
            .header("authorization", &format!("Bearer {KEY}")),
    ];
    for request in forms {
        upstream.forget();
        let answer = gateway.ask(request.clone()).await;
        assert_eq!(answer.text(), COMPLETION, "{request:?}");
        let arrived = upstream.only_request();
        assert!(
            !format!("{:?} {:?}", arrived.headers, arrived.path).contains(KEY),
            "{arrived:?}"
        );
        assert_eq!(
            arrived.header("authorization"),
            Some("Bearer provider-secret")
        );
    }
}

#[tokio::test]
async fn no_key_unknown_keys_and_expired_ones_are_refused_alike() {
    let (gateway, upstream) = gateway().await;
    let bare = || chat("fast").without("authorization");
    let refused = [
        bare(),
        bare().header("authorization", "Bearer "),
        bare().header("authorization", KEY),
        bare().header("authorization", &format!("Basic {KEY}")),
        bare().header("authorization", "Bearer nobody-knows-me"),
        bare().header("x-api-key", "tg_demo"),
        bare().header("api-key", &sha256_hex(KEY)),
        bare().header("api-key", "expired-key"),
        bare().header("api-key", &"x".repeat(10_000)),
        bare().header("api-key", KEY).header("x-api-key", "another"),
        bare()
            .header("api-key", KEY)
            .header("x-api-key", "only-fast-key"),
        bare()
            .header("authorization", &format!("Bearer {KEY}"))
            .also("authorization", "Bearer another"),
    ];
    for request in refused {
        let answer = gateway.ask(request.clone()).await;
        let error = answer.assert_error(401, "invalid_api_key");
        assert_eq!(error["type"], "invalid_request_error", "{request:?}");
        assert!(!answer.text().contains(KEY), "{request:?}");
    }
    let models = gateway
        .ask(Request::get("/v1/models").without("authorization"))
        .await;
    models.assert_error(401, "invalid_api_key");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn two_keys_of_one_name_both_work_while_one_replaces_the_other() {
    let (gateway, _upstream) = gateway().await;
    for key in ["rotated-old-key", "rotated-new-key"] {
        assert_eq!(
            gateway.ask(with_key(chat("fast"), key)).await.text(),
            COMPLETION
        );
    }
}

#[tokio::test]
async fn a_model_that_the_key_may_not_use_is_forbidden() {
    let (gateway, upstream) = gateway().await;
    assert_eq!(
        gateway
            .ask(with_key(chat("fast"), "only-fast-key"))
            .await
            .text(),
        COMPLETION
    );
    upstream.forget();
    for model in ["smart", "up/m-9", "open/a/b"] {
        let answer = gateway.ask(with_key(chat(model), "only-fast-key")).await;
        let error = answer.assert_error(403, "model_not_allowed");
        assert_eq!(error["type"], "permission_error");
    }
    for (model, allowed) in [("fast", true), ("up/m-9", true), ("smart", false)] {
        let answer = gateway.ask(with_key(chat(model), "narrow-team-key")).await;
        match allowed {
            true => assert_eq!(answer.text(), COMPLETION, "{model}"),
            false => drop(answer.assert_error(403, "model_not_allowed")),
        }
    }
}

#[tokio::test]
async fn an_unknown_model_is_answered_with_the_nearest_that_this_key_may_use() {
    let (gateway, _upstream) = gateway().await;
    let error = gateway
        .ask(chat("smrt"))
        .await
        .assert_error(404, "model_not_found");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.contains("smart")),
        "{error}"
    );
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(error["param"], "model");
    // The other one is a neighbour's secret.
    let error = gateway
        .ask(with_key(chat("smrt"), "only-fast-key"))
        .await
        .assert_error(404, "model_not_found");
    assert!(
        !error["message"]
            .as_str()
            .is_some_and(|message| message.contains("smart")),
        "{error}"
    );
}

#[tokio::test]
async fn models_lists_the_exact_names_that_this_key_may_use() {
    let (gateway, _upstream) = gateway().await;
    let all = gateway.ask(Request::get("/v1/models")).await;
    assert_eq!(all.header("content-type"), Some("application/json"));
    assert_eq!(all.json()["object"], "list");
    assert!(
        all.json()["data"]
            .as_array()
            .is_some_and(|data| data.iter().all(|model| model["object"] == "model"))
    );
    assert_eq!(listed(&all), ["fast", "slash/a:b", "smart"]);
    assert_eq!(
        listed(
            &gateway
                .ask(with_key(Request::get("/v1/models"), "only-fast-key"))
                .await
        ),
        ["fast"]
    );
    assert_eq!(
        listed(
            &gateway
                .ask(with_key(Request::get("/v1/models"), "narrow-team-key"))
                .await
        ),
        ["fast"]
    );
}

#[tokio::test]
async fn a_single_model_is_found_by_its_name_raw_or_percent_encoded() {
    let (gateway, _upstream) = gateway().await;
    for (path, id) in [
        ("fast", "fast"),
        ("slash/a:b", "slash/a:b"),
        ("slash%2Fa%3Ab", "slash/a:b"),
        ("up/anything", "up/anything"),
        ("up%2fany-thing", "up/any-thing"),
    ] {
        let answer = gateway
            .ask(Request::get(&format!("/v1/models/{path}")))
            .await;
        assert_eq!(
            (answer.status, &answer.json()["id"]),
            (200, &id.into()),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["object"], "model");
    }
    gateway
        .ask(Request::get("/v1/models/nope"))
        .await
        .assert_error(404, "model_not_found");
    gateway
        .ask(with_key(Request::get("/v1/models/smart"), "only-fast-key"))
        .await
        .assert_error(403, "model_not_allowed");
}

#[tokio::test]
async fn a_wildcard_hands_what_it_matched_to_its_target() {
    let (gateway, upstream) = gateway().await;
    for (asked, target) in [
        ("fast", "m-1"),
        ("up/a/b:c", "a/b:c"),
        ("open/x/y", "vendor/x/y"),
        ("slash/a:b", "m-3"),
    ] {
        upstream.forget();
        let answer = gateway.ask(chat(asked)).await;
        assert_eq!(answer.text(), COMPLETION, "{asked}");
        assert_eq!(upstream.only_request().model(), target, "{asked}");
        assert_eq!(
            answer.header("x-tollgate-model"),
            Some(format!("up/{target}").as_str())
        );
    }
}

fn with_key(request: Request, key: &str) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}

fn listed(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let data = json["data"].as_array().expect("a list");
    let mut ids: Vec<_> = data
        .iter()
        .map(|model| model["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::healthy().await;
    let address = upstream.address;
    let digest = sha256_hex;
    let yaml = format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models:
  fast: {{ target: up/m-1 }}
  smart: {{ target: up/m-2 }}
  slash/a:b: {{ target: up/m-3 }}
  "up/*": {{}}
  "open/*": {{ target: "up/vendor/*" }}
teams:
  search:
    models: "*"
    keys:
      - {{ name: prod, sha256: "{}" }}
      - {{ name: only-fast, sha256: "{}", models: [fast] }}
      - {{ name: rotated, sha256: "{}", expires: 2199-01-01 }}
      - {{ name: rotated, sha256: "{}" }}
      - {{ name: expired, sha256: "{}", expires: 2020-01-01 }}
  narrow:
    models: [fast, "up/*"]
    keys:
      - {{ name: prod, sha256: "{}" }}
"#,
        digest(KEY),
        digest("only-fast-key"),
        digest("rotated-old-key"),
        digest("rotated-new-key"),
        digest("expired-key"),
        digest("narrow-team-key"),
    );
    (Gateway::start(&yaml).await, upstream)
}
