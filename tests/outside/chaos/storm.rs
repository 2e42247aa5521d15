//! Three targets, each of which fails three of ten calls in every way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::caller::{Asked, Ending, Told};
use super::faults::Fault;
use super::from_environment;
use super::rows::{Row, rows_of};
use super::upstream::{Call, Scene, Upstream};
use crate::harness::{Gateway, config};

/// `TOLLGATE_CHAOS` sets another number of requests, `TOLLGATE_SEED` another seed.
const REQUESTS: u64 = 400;
const SEED: u64 = 4;
/// How many callers ask at a time.
const CALLERS: usize = 32;
/// How many calls of a thousand fail.
const FAULTS_OF_1000: u64 = 300;
/// The three targets.
const TARGETS: [&str; 3] = ["one/m", "two/m", "three/m"];
/// Calls that a request can have: two of each target.
const CALLS_MAX: usize = 6;
/// What an answer costs, in millionths of a dollar: that many tokens at a dollar for a million.
const COST_MICRO: i64 = 20;
/// How long a request may take.
const TOTAL: Duration = Duration::from_secs(20);
/// For how long a machine that runs other tests, too, may keep it besides.
const SLACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_targets_that_fail_three_of_ten_calls_answer_every_request_but_those_that_all_failed()
{
    let storm = Storm::run("off", false, false).await;
    for told in storm.told.iter().filter(|told| told.status != 200) {
        let calls = storm.scene.calls_of(told.asked.number);
        assert_eq!(calls.len(), CALLS_MAX, "{told:?} {calls:?}");
    }
    let share = storm.summary("health off");
    assert!(share >= 0.998, "{share} of the requests were answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_circuits_and_cooldowns_only_those_fail_for_whom_nobody_else_is_well() {
    let storm = Storm::run("{ open_after: 5, probe_every: 200ms }", true, false).await;
    let share = storm.summary("health on");
    assert!(share >= 0.9, "{share} of the requests were answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_break_are_gone_on_with() {
    let storm = Storm::run("off", false, true).await;
    storm.summary("continue");
    let is_whole = |told: &&Told| told.ending == Ending::Complete;
    let whole = storm.told.iter().filter(is_whole).count();
    let share = whole as f64 / storm.told.len() as f64;
    assert!(share >= 0.99, "{share} of the requests were answered whole");
    let is_continued = |told: &&Told| {
        let calls = storm.scene.calls_of(told.asked.number);
        let has_broken = |call: &Call| call.fault.is_some_and(Fault::is_in_answer);
        told.asked.stream && is_whole(told) && calls.iter().any(has_broken)
    };
    assert!(
        storm.told.iter().any(|told| is_continued(&told)),
        "nobody went on"
    );
}

/// What a run has left.
struct Storm {
    scene: Arc<Scene>,
    told: Vec<Told>,
}

// === impl Storm ===

impl Storm {
    /// With this section on health, providers whose `retry-after` is gone by if the gateway `learns`, and models that say so
    /// if it `continues`: asks all requests, and holds what callers were told and what the ledger says against what the
    /// upstreams saw.
    async fn run(health: &str, learns: bool, continues: bool) -> Self {
        let requests = from_environment("TOLLGATE_CHAOS").unwrap_or(REQUESTS);
        let seed = from_environment("TOLLGATE_SEED").unwrap_or(SEED);
        println!("TOLLGATE_CHAOS={requests} TOLLGATE_SEED={seed}");
        let scene = Scene::new(seed, FAULTS_OF_1000);
        let mut upstreams = Vec::new();
        for target in TARGETS {
            upstreams.push(Upstream::start(&scene, target).await);
        }
        let home = TempDir::new().expect("a temporary directory");
        let ledger = home.path().join("tollgate.db");
        let text = configuration(&upstreams, &ledger, health, learns);
        let text = match continues {
            true => text
                .replace("provider-secret,", "provider-secret, prefill: true,")
                .replace("{ any_of: [one/m", "{ continue: true, any_of: [one/m")
                .replace("    chain:\n", "    continue: true\n    chain:\n"),
            false => text,
        };
        let gateway = Arc::new(Gateway::start(&text).await);
        let told = ask_all(requests, &gateway).await;
        let mut gateway = Arc::into_inner(gateway).expect("all callers are done");
        gateway.signal("TERM");
        assert_eq!(gateway.exit().await.code(), Some(0));

        let mut rows = rows_of(&ledger);
        for told in &told {
            let calls = scene.calls_of(told.asked.number);
            check_answer(told, &calls);
            check_route(told, &calls);
            check_rows(told, &calls, rows.remove(&told.request_id));
        }
        assert!(
            rows.is_empty(),
            "rows of requests that nobody made: {rows:?}"
        );
        Self { scene, told }
    }

    /// Prints what there was, and returns which share of the requests was answered whose faults came before the caller's first
    /// byte.
    fn summary(&self, name: &str) -> f64 {
        let calls = self.scene.calls();
        let failed = calls.iter().filter(|call| call.fault.is_some()).count();
        let count = |is: fn(&Told) -> bool| self.told.iter().filter(|told| is(told)).count();
        let answered = count(|told| told.status == 200 && told.ending == Ending::Complete);
        let cut = count(|told| told.status == 200 && told.ending == Ending::Error);
        let mut refused = BTreeMap::<u16, usize>::new();
        for told in self.told.iter().filter(|told| told.status != 200) {
            *refused.entry(told.status).or_default() += 1;
        }
        let longest = self.told.iter().map(|told| told.took).max();
        let share = answered as f64 / (self.told.len() - cut) as f64;
        println!(
            "{name}: {} requests, {} calls, {failed} of them failed; {answered} were answered ({:.2} %), {cut} streams cut, {refused:?} refused; the longest took {:?}",
            self.told.len(),
            calls.len(),
            share * 100.0,
            longest.unwrap_or_default(),
        );
        share
    }
}

fn configuration(upstreams: &[Upstream], ledger: &Path, health: &str, learns: bool) -> String {
    let [one, two, three] = upstreams else {
        unreachable!("as many as targets")
    };
    let [one, two, three] = [one.address, two.address, three.address];
    let ledger = ledger.display();
    config(&format!(
        r#"
ledger: "sqlite:{ledger}"
defaults:
  retry: {{ attempts: 2, budget: 100%, backoff: 1ms..5ms }}
  health: {health}
  timeout: {{ total: {}s, attempt: 2s, first_token: 2s, between_tokens: 2s }}
providers:
  one: {{ dialect: openai, base_url: "http://{one}/v1", api_key: provider-secret, limits: {{ learn: {learns} }} }}
  two: {{ dialect: openai, base_url: "http://{two}/v1", api_key: provider-secret, limits: {{ learn: {learns} }} }}
  three: {{ dialect: openai, base_url: "http://{three}/v1", api_key: provider-secret, limits: {{ learn: {learns} }} }}
models:
  pool: {{ any_of: [one/m, two/m, three/m] }}
  chain:
    chain:
      - {{ target: one/m, escalate_when: [refusal, empty] }}
      - {{ any_of: [two/m, three/m], pick: least_loaded }}
prices: {{ overrides: [{{ target: "*/m", input: 1, output: 1 }}] }}
"#,
        TOTAL.as_secs()
    ))
}

async fn ask_all(requests: u64, gateway: &Arc<Gateway>) -> Vec<Told> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (next, gateway) = (next.clone(), gateway.clone());
        callers.spawn(async move {
            let mut told = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return told;
                }
                told.push(Asked::numbered(number).ask(&gateway).await);
            }
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

/// The text is that of the last call, in order and once; a stream ends as it should, and in time.
#[track_caller]
fn check_answer(told: &Told, calls: &[Call]) {
    let shown = || format!("{told:?}\n{calls:?}");
    assert!(told.took <= TOTAL + SLACK, "{}", shown());
    assert_ne!(told.ending, Ending::Silent, "{}", shown());
    if told.status != 200 {
        let are_failed = calls.iter().all(|call| call.fault.is_some());
        assert!(are_failed, "{}", shown());
        return;
    }
    // Behind the one that broke, others may have been asked in vain to go on.
    let broken = told.attempts.expect("a number") - 1;
    let last = match told.ending {
        Ending::Complete => calls.last().expect("somebody has answered"),
        _ => &calls[broken],
    };
    match told.ending {
        Ending::Complete => {
            assert_eq!(last.fault, None, "{}", shown());
            assert_eq!(told.text, last.text, "{}", shown());
        }
        _ => {
            assert!(
                last.fault.is_some_and(|fault| fault.is_in_answer()),
                "{}",
                shown()
            );
            assert!(!told.text.is_empty(), "{}", shown());
            assert!(last.text.starts_with(&told.text), "{}", shown());
        }
    }
}

/// The caller is told of each call, in order, and how it ended.
#[track_caller]
fn check_route(told: &Told, calls: &[Call]) {
    let shown = || format!("{told:?}\n{calls:?}");
    let seen: Vec<_> = calls.iter().map(|call| call.target.as_str()).collect();
    let route: Vec<_> = told
        .route
        .iter()
        .map(|(target, _)| target.as_str())
        .collect();
    // Whoever was asked in vain to go on with a broken stream stands in the ledger alone.
    let is_cut = told.status == 200 && told.ending == Ending::Error;
    let count = match is_cut {
        true => route.len(),
        false => seen.len(),
    };
    assert_eq!(route, seen[..count], "{}", shown());
    assert_eq!(told.attempts.unwrap_or_default(), count, "{}", shown());
    let ok = told.route.iter().filter(|(_, word)| word == "ok").count();
    let is_last = told.route.last().is_some_and(|(_, word)| word == "ok");
    let is_answered = told.status == 200;
    assert_eq!(
        (ok, is_last),
        (usize::from(is_answered), is_answered),
        "{}",
        shown()
    );
}

/// Each call is in the ledger once, with the status that it ended with and for what it cost.
#[track_caller]
fn check_rows(told: &Told, calls: &[Call], rows: Option<Vec<Row>>) {
    let rows = rows.unwrap_or_default();
    let seen: Vec<_> = calls.iter().map(|call| &call.target).collect();
    let booked: Vec<_> = rows.iter().map(|row| &row.target).collect();
    assert_eq!(booked, seen, "{told:?}");
    for (at, row) in rows.iter().enumerate() {
        let is_answer = told.status == 200 && at + 1 == rows.len();
        let is_whole = told.ending == Ending::Complete;
        if is_whole || told.status != 200 || told.attempts == Some(rows.len()) {
            assert_eq!(row.status == 200, is_answer, "{told:?}\n{rows:?}");
        }
        match calls[at].fault {
            None if is_answer => assert_eq!(row.cost_micro, Some(COST_MICRO), "{told:?}"),
            Some(Fault::Status(_) | Fault::Limited(_)) => {
                assert_eq!(row.cost_micro, Some(0), "{told:?}\n{calls:?}");
            }
            _ => {}
        }
    }
}
