//! What is measured of a target, and what is slow by that.

use super::*;

impl Scene {
    /// A stream that takes so long to its first token, and then so long.
    fn stream(&mut self, first_token: u64, rest: u64, tokens: u64) {
        let mut entered = self.enter("a").unwrap();
        self.pass(first_token);
        entered.first_token(self.now);
        self.pass(rest);
        let output_tokens = Some(tokens);
        entered.ended(Ended::Well { output_tokens }, self.now);
        self.pass(1);
    }
}

#[test]
fn streams_that_are_far_slower_than_usual_open_the_circuit() {
    for (first_token, rest) in [(6_000, 1_000), (500, 40_000)] {
        let mut scene = Scene::new();
        for n in 0..100 {
            scene.stream(400 + n % 7 * 40, 900 + n % 5 * 50, 100);
        }
        for _ in 0..3 {
            scene.stream(first_token, rest, 100);
        }
        assert!(is_near(scene.closed("a"), Why::Slow, 10.0));
        scene.wait("a");
        // A slow probe is no recovery.
        scene.stream(first_token, rest, 100);
        assert!(is_near(scene.closed("a"), Why::Slow, 10.0));
        scene.wait("a");
        scene.stream(500, 1_000, 100);
        assert_eq!(scene.look("a"), Standing::Well);
    }
}

#[test]
fn what_varies_or_is_new_or_is_small_is_not_slow() {
    let mut scene = Scene::new();
    (0..20).for_each(|_| scene.stream(100, 100, 100));
    (0..5).for_each(|_| scene.stream(5_000, 100, 100));
    let mut scene_small = Scene::new();
    (0..100).for_each(|_| scene_small.stream(20, 100, 100));
    (0..9).for_each(|_| scene_small.stream(900, 100, 100));
    let mut varied = Scene::new();
    for n in 0..300 {
        varied.stream(if n % 6 == 0 { 30_000 } else { 300 }, 100, 100);
    }
    for scene in [scene, scene_small, varied] {
        assert_eq!(scene.look("a"), Standing::Well);
        assert_eq!(scene.health("a").state(scene.now).last_fault, None);
    }
}

#[test]
fn what_stays_slow_is_usual_in_the_end() {
    let mut scene = Scene::new();
    (0..100).for_each(|_| scene.stream(400, 100, 10));
    (0..3).for_each(|_| scene.stream(8_000, 100, 10));
    let mut probes = 0;
    while scene.closed("a").is_some() && probes < 100 {
        scene.wait("a");
        scene.stream(8_000, 100, 10);
        probes += 1;
    }
    assert!((10..60).contains(&probes), "{probes}");
}

#[test]
fn latency_goes_up_at_once_and_comes_down_slowly() {
    let mut scene = Scene::new();
    scene.stream(100, 1, 1);
    scene.stream(900, 1, 1);
    let latency = |scene: &Scene| {
        let readings = scene.health("a").readings(scene.now);
        readings.latency.unwrap().as_millis()
    };
    assert!(latency(&scene) > 890);
    scene.stream(100, 1, 1);
    assert!((850..=900).contains(&latency(&scene)));
    (0..100).for_each(|_| scene.stream(100, 1, 1));
    assert!((100..500).contains(&latency(&scene)));
    scene.pass(60_000);
    assert!(latency(&scene) < 10);
}

#[test]
fn who_fails_fast_does_not_look_fast() {
    let mut scene = Scene::new();
    scene.stream(400, 1, 1);
    scene.pass(20_000);
    let latency = |scene: &Scene| scene.health("a").readings(scene.now).latency.unwrap();
    let before = latency(&scene);
    scene.call("a", FAILED);
    assert!(latency(&scene) > before.mul_f64(0.99));
    // And who hangs looks slow.
    let mut entered = scene.enter("a").unwrap();
    scene.pass(9_000);
    entered.ended(FAILED, scene.now);
    assert_eq!(latency(&scene), Duration::from_secs(9));
}
