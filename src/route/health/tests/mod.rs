//! The machine by hand, one fault at a time.

mod measured;
mod operators;

use super::wards::Wards;
use super::*;
use crate::config::units;
use crate::provider::{CircuitSection, HealthSection};

const SETTINGS: HealthSettings = HealthSettings {
    open_after: 3,
    probe_every: Duration::from_secs(10),
    slow: Some(8.0),
};

const WELL: Ended = Ended::Well {
    output_tokens: None,
};

const FAILED: Ended = Ended::Fault(Fault::Failed("status"));

/// Two models of one provider with one credential, and the time.
struct Scene {
    wards: Wards,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self {
            wards: Wards::default(),
            now: Instant::now(),
        }
    }

    fn health(&self, model: &str) -> Arc<Health> {
        self.wards.of("p", [0; 32], model)
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn look(&self, model: &str) -> Standing {
        self.health(model).look(Some(&SETTINGS), self.now)
    }

    fn enter(&self, model: &str) -> Result<Entered, Closed> {
        self.health(model).enter(Some(&SETTINGS), self.now)
    }

    /// A call that takes a millisecond.
    fn call(&mut self, model: &str, ended: Ended) {
        let mut entered = self.enter(model).unwrap();
        self.pass(1);
        entered.ended(ended, self.now);
        self.pass(1);
    }

    /// Why it is left alone, and for how many seconds more.
    fn closed(&self, model: &str) -> Option<(Why, f64)> {
        match self.look(model) {
            Standing::Closed(closed) => Some((closed.why, (closed.until - self.now).as_secs_f64())),
            Standing::Well | Standing::Probing => None,
        }
    }

    /// Lets all the time pass that a target is left alone.
    fn wait(&mut self, model: &str) {
        while let Standing::Closed(closed) = self.look(model) {
            self.now = closed.until;
        }
    }

    fn circuit(&self, model: &str) -> CircuitState {
        self.health(model).state(self.now).circuit
    }
}

fn is_near(closed: Option<(Why, f64)>, why: Why, seconds: f64) -> bool {
    closed.is_some_and(|(found, left)| found == why && (left - seconds).abs() < 0.1)
}

#[test]
fn failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
    let mut scene = Scene::new();
    for ended in [FAILED, FAILED, WELL, FAILED, FAILED] {
        scene.call("a", ended);
    }
    assert_eq!(scene.look("a"), Standing::Well);
    scene.call("a", FAILED);
    assert!(is_near(scene.closed("a"), Why::Failing, 10.0));
    assert_eq!(scene.circuit("a"), CircuitState::Open);
    assert_eq!(scene.look("b"), Standing::Well);
    scene.wait("a");
    assert_eq!(scene.look("a"), Standing::Probing);
    assert_eq!(scene.circuit("a"), CircuitState::HalfOpen);
    // One who looks only takes nothing; one who goes keeps the others out, and fails.
    let mut probe = scene.enter("a").unwrap();
    assert!(probe.is_probe());
    assert_eq!(scene.enter("a").unwrap_err().why, Why::Failing);
    scene.pass(5);
    probe.ended(FAILED, scene.now);
    assert!(is_near(scene.closed("a"), Why::Failing, 10.0));
    scene.wait("a");
    // One who leaves makes room for another.
    drop(scene.enter("a").unwrap());
    scene.call("a", WELL);
    assert_eq!(scene.look("a"), Standing::Well);
    assert_eq!(scene.health("a").state(scene.now).opened_total, 1);
}

#[test]
fn the_first_token_of_a_probe_lets_others_through_but_on_trial() {
    for ended in [WELL, FAILED] {
        let mut scene = Scene::new();
        (0..3).for_each(|_| scene.call("a", FAILED));
        scene.wait("a");
        let mut probe = scene.enter("a").unwrap();
        scene.pass(5);
        probe.first_token(scene.now);
        assert_eq!(scene.look("a"), Standing::Well);
        scene.pass(5);
        probe.ended(ended, scene.now);
        let expected = match ended {
            WELL => CircuitState::Closed,
            _ => CircuitState::Open,
        };
        assert_eq!(scene.circuit("a"), expected);
    }
}

#[test]
fn what_was_sent_before_the_circuit_opened_says_nothing_after() {
    let mut scene = Scene::new();
    let mut late: Vec<_> = (0..9).map(|_| scene.enter("a").unwrap()).collect();
    scene.pass(1);
    (0..3).for_each(|_| scene.call("a", FAILED));
    let opened = scene.closed("a");
    for (n, entered) in late.iter_mut().enumerate() {
        entered.ended(if n % 2 == 0 { WELL } else { FAILED }, scene.now);
    }
    assert_eq!(scene.closed("a"), opened);
}

#[test]
fn a_target_that_fails_every_other_time_is_left_alone_too() {
    let mut scene = Scene::new();
    for n in 0..19 {
        scene.call("a", if n % 2 == 0 { FAILED } else { WELL });
    }
    assert_eq!(scene.look("a"), Standing::Well);
    scene.call("a", FAILED);
    assert!(is_near(scene.closed("a"), Why::Failing, 10.0));
    // But not where that is spread over a long time, or is one time of three.
    for (every, pause) in [(2, 600), (3, 0)] {
        let mut scene = Scene::new();
        for n in 0..200 {
            scene.call("a", if n % every == 0 { FAILED } else { WELL });
            scene.pass(pause);
        }
        assert_eq!(scene.look("a"), Standing::Well);
    }
}

#[test]
fn a_refused_credential_benches_all_that_is_called_with_it() {
    let mut scene = Scene::new();
    scene.call("a", WELL);
    scene.call("a", Ended::Fault(Fault::Credential));
    for model in ["a", "b"] {
        assert!(is_near(scene.closed(model), Why::Credential, 10.0));
    }
    let other = scene.wards.of("p", [1; 32], "a");
    assert_eq!(other.look(Some(&SETTINGS), scene.now), Standing::Well);
    // One of all targets finds out, and longer each time.
    scene.wait("b");
    let mut probe = scene.enter("b").unwrap();
    assert_eq!(scene.enter("a").unwrap_err().why, Why::Credential);
    scene.pass(1);
    probe.ended(Ended::Fault(Fault::Credential), scene.now);
    assert!(is_near(scene.closed("a"), Why::Credential, 20.0));
    scene.wait("a");
    scene.call("a", WELL);
    assert_eq!(scene.look("b"), Standing::Well);
}

#[test]
fn many_refusals_at_once_are_one() {
    let mut scene = Scene::new();
    let mut all: Vec<_> = (0..50).map(|_| scene.enter("a").unwrap()).collect();
    let limited = Fault::Limited { retry_after: None };
    for (n, entered) in all.iter_mut().enumerate() {
        scene.pass(1);
        let fault = if n % 2 == 0 {
            Fault::Credential
        } else {
            limited
        };
        entered.ended(Ended::Fault(fault), scene.now);
    }
    assert!(is_near(scene.closed("a"), Why::Credential, 10.0));
    scene.wait("b");
    scene.call("b", WELL);
    scene.call("a", Ended::Fault(limited));
    assert!(is_near(scene.closed("a"), Why::Limited, 2.0));
}

#[test]
fn a_forbidden_model_is_no_forbidden_credential_where_that_is_known_to_be_good() {
    let mut scene = Scene::new();
    let forbidden = Ended::Fault(Fault::Forbidden);
    scene.call("a", forbidden);
    assert!(is_near(scene.closed("b"), Why::Credential, 10.0));
    let mut scene = Scene::new();
    scene.call("b", WELL);
    (0..3).for_each(|_| scene.call("a", forbidden));
    assert_eq!(scene.look("b"), Standing::Well);
    assert!(is_near(scene.closed("a"), Why::Model, 10.0));
}

#[test]
fn an_unknown_model_is_benched_and_a_caller_who_names_what_is_not_there_benches_none() {
    let mut scene = Scene::new();
    let unknown = Ended::Fault(Fault::Model);
    scene.call("a", unknown);
    assert!(is_near(scene.closed("a"), Why::Model, 10.0));
    assert_eq!(scene.look("b"), Standing::Well);
    scene.wait("a");
    scene.call("a", unknown);
    assert!(is_near(scene.closed("a"), Why::Model, 20.0));
    for ended in [WELL, unknown, unknown, WELL, unknown, unknown] {
        scene.call("b", ended);
    }
    assert_eq!(scene.look("b"), Standing::Well);
    scene.call("b", unknown);
    assert!(is_near(scene.closed("b"), Why::Model, 10.0));
}

#[test]
fn who_has_had_too_much_is_left_alone_as_long_as_he_says() {
    let mut scene = Scene::new();
    let limited = |seconds: Option<u64>| {
        let retry_after = seconds.map(Duration::from_secs);
        Ended::Fault(Fault::Limited { retry_after })
    };
    scene.call("a", limited(Some(37)));
    assert!(is_near(scene.closed("a"), Why::Limited, 37.0));
    assert_eq!(scene.look("b"), Standing::Well);
    scene.wait("a");
    assert_eq!(scene.look("a"), Standing::Well);
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        scene.call("a", limited(None));
        assert!(is_near(scene.closed("a"), Why::Limited, seconds));
        scene.wait("a");
    }
    scene.call("a", WELL);
    scene.call("a", limited(Some(0)));
    assert!(is_near(scene.closed("a"), Why::Limited, 1.0));
    scene.call("b", limited(Some(1_000_000)));
    assert!(is_near(scene.closed("b"), Why::Limited, 600.0));
}

#[test]
fn a_callers_fault_says_that_the_target_is_well() {
    let mut scene = Scene::new();
    for _ in 0..10 {
        scene.call("a", FAILED);
        scene.call("a", FAILED);
        scene.call("a", Ended::Fault(Fault::Caller));
        scene.pass(2_000);
    }
    (0..3).for_each(|_| scene.call("a", FAILED));
    scene.wait("a");
    scene.call("a", Ended::Fault(Fault::Caller));
    assert_eq!(scene.look("a"), Standing::Well);
}

#[test]
fn without_settings_nothing_is_in_the_way_and_all_is_measured() {
    let mut scene = Scene::new();
    (0..3).for_each(|_| scene.call("a", FAILED));
    let health = scene.health("a");
    assert_eq!(health.look(None, scene.now), Standing::Well);
    let mut entered = health.enter(None, scene.now).unwrap();
    assert!(!entered.is_probe());
    assert_eq!(health.readings(scene.now).in_flight, 1);
    scene.pass(50);
    entered.ended(WELL, scene.now);
    drop(entered);
    // What went through is a good sign all the same.
    assert_eq!(scene.look("a"), Standing::Well);
    let readings = health.readings(scene.now);
    let latency = Some(Duration::from_millis(50));
    assert_eq!((readings.in_flight, readings.latency), (0, latency));
}

#[test]
fn an_ending_counts_once() {
    let mut scene = Scene::new();
    let mut entered = scene.enter("a").unwrap();
    scene.pass(1);
    (0..9).for_each(|_| entered.ended(FAILED, scene.now));
    assert_eq!(scene.health("a").state(scene.now).failures_in_row, 1);
}

#[test]
fn statuses_are_somebodys_fault() {
    let second = Some(Duration::from_secs(1));
    let fault = Fault::of_status;
    assert_eq!(fault(200, None), None);
    for status in [401, 402] {
        assert_eq!(fault(status, second), Some(Fault::Credential));
    }
    assert_eq!(fault(403, None), Some(Fault::Forbidden));
    assert_eq!(fault(404, None), Some(Fault::Model));
    for status in [400, 409, 413, 422] {
        assert_eq!(fault(status, second), Some(Fault::Caller));
    }
    for status in [429, 503, 529] {
        let limited = Fault::Limited {
            retry_after: second,
        };
        assert_eq!(fault(status, second), Some(limited));
    }
    for status in [408, 424, 500, 502, 503, 504, 529] {
        assert_eq!(fault(status, None), Some(Fault::Failed("status")));
    }
    assert_eq!(fault(307, None), Some(Fault::Failed("redirect")));
}

#[test]
fn the_narrowest_section_that_says_something_wins() {
    let off: HealthSection = serde_json::from_str("\"off\"").unwrap();
    let on = |open_after, slow| {
        HealthSection::Collection(CircuitSection {
            open_after,
            probe_every: None,
            slow,
        })
    };
    let never = Some(units::Factor(None));
    let usual = HealthSettings::default();
    let resolve = HealthSettings::resolve;
    assert_eq!(resolve([None, None, None]), Some(usual));
    assert_eq!(resolve([None, Some(&off), Some(&on(None, None))]), None);
    let (model, defaults) = (on(Some(7), None), on(Some(9), never));
    let expected = HealthSettings {
        open_after: 7,
        slow: None,
        ..usual
    };
    assert_eq!(
        resolve([Some(&model), None, Some(&defaults)]),
        Some(expected)
    );
    let expected = HealthSettings {
        open_after: 7,
        ..usual
    };
    assert_eq!(
        resolve([Some(&model), Some(&off), Some(&defaults)]),
        Some(expected)
    );
}
