//! What operators hear and do.

use super::*;

#[test]
fn states_are_told_by_name() {
    let mut scene = Scene::new();
    scene.call("b", FAILED);
    scene.call("a", Ended::Fault(Fault::Model));
    let told = |name| serde_json::to_value(scene.health(name).state(scene.now)).unwrap();
    assert_eq!(told("a")["model"], "a");
    assert_eq!(told("a")["why"], "model");
    assert_eq!(told("b")["circuit"], "closed");
    assert_eq!(told("b")["last_fault"], "status");
}

#[test]
fn who_opens_or_closes_a_circuit_knows_it_and_nobody_else() {
    let mut scene = Scene::new();
    let turns = |scene: &mut Scene, ended| {
        let mut entered = scene.enter("a").unwrap();
        scene.pass(1);
        entered.ended(ended, scene.now);
        scene.pass(1);
        entered.turn()
    };
    let failed: Vec<_> = (0..3).map(|_| turns(&mut scene, FAILED)).collect();
    assert_eq!(failed, [None, None, Some(Turn::Opened("status"))]);
    scene.wait("a");
    assert_eq!(turns(&mut scene, FAILED), None);
    scene.wait("a");
    assert_eq!(turns(&mut scene, WELL), Some(Turn::Closed));
    assert_eq!(turns(&mut scene, WELL), None);
}

#[test]
fn after_a_reset_nothing_that_was_is_held_against_a_target() {
    for fault in [
        Fault::Failed("status"),
        Fault::Model,
        Fault::Credential,
        Fault::Limited { retry_after: None },
    ] {
        let mut scene = Scene::new();
        let under_way: Vec<_> = (0..3).map(|_| scene.enter("a").unwrap()).collect();
        scene.pass(1);
        while scene.look("a") == Standing::Well {
            scene.call("a", Ended::Fault(fault));
        }
        scene.health("a").reset(scene.now);
        assert_eq!(scene.look("a"), Standing::Well, "{fault:?}");
        assert_eq!(scene.circuit("a"), CircuitState::Closed);
        // Nor what was sent before.
        for mut entered in under_way {
            entered.ended(FAILED, scene.now);
        }
        assert_eq!(scene.look("a"), Standing::Well, "{fault:?}");
    }
}
