use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::config::{Document, ProcessEnvironment};
use crate::provider::{Dialer, Provider, ProviderSection};
use crate::route::health::Wards;
use crate::route::{DefaultsSection, ModelSection, Models, Providers};

/// A file that has models and nothing more.
#[derive(Deserialize, JsonSchema)]
struct File {
    providers: IndexMap<String, ProviderSection>,
    models: IndexMap<String, ModelSection>,
}

/// The models of these sections, in their order, as a file with one provider, `p`, has them.
pub(super) fn models(sections: impl IntoIterator<Item = String>) -> Vec<Arc<Model>> {
    static DIALER: LazyLock<Arc<Dialer>> = LazyLock::new(|| Arc::new(Dialer::new()));
    let mut text = "providers: { p: { dialect: simulated } }\nmodels:\n".to_owned();
    for (index, section) in sections.into_iter().enumerate() {
        text += &format!("  m{index}: {section}\n");
    }
    let mut document = Document::parse("models.yaml", &text, &ProcessEnvironment);
    let file = document.read::<File>();
    let File { providers, models } = file.unwrap_or_else(|| panic!("{text}"));
    let resolved = providers.into_iter().map(|(name, section)| {
        let provider = Provider::resolve(&name, section, &DIALER, None, &mut document);
        (name, Arc::new(provider.unwrap()))
    });
    let named = Providers {
        by_name: &resolved.collect(),
        names: &["p".to_owned()],
    };
    let models = Models::resolve(
        models.into_iter().collect(),
        &DefaultsSection::default(),
        &named,
        &Wards::default(),
        &mut document,
    );
    let diagnostics = document.finish();
    assert!(!diagnostics.has_errors(), "{diagnostics}\n{text}");
    models.all().to_vec()
}

fn model(section: &str) -> Arc<Model> {
    models([section.to_owned()]).remove(0)
}

/// Targets that are well, but for what a test says.
struct Scene {
    start: Instant,
    standings: [Standing; SPOTS_MAX],
    prices: [Option<Usd>; SPOTS_MAX],
}

impl Scene {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            standings: [Standing::Well; SPOTS_MAX],
            prices: [None; SPOTS_MAX],
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn close(&mut self, spot: usize, millis: u64, why: Why) {
        let until = self.at(millis);
        self.standings[spot] = Standing::Closed(Closed { until, why });
    }

    /// What is next, a second after the start, of a minute.
    fn next(&self, course: &mut Course<'_>) -> Next {
        course.next(self, self.at(1_000), self.at(60_000))
    }

    /// Who is asked next, and fails so.
    fn fails(&self, course: &mut Course<'_>, fault: Fault) -> Option<usize> {
        match self.next(course) {
            Next::Call(spot) | Next::Resort(spot) | Next::Repeat(spot, _) | Next::Wait(spot, _) => {
                course.called(spot);
                course.failed(spot, fault, self.at(1_000));
                Some(spot)
            }
            Next::End(_) => None,
        }
    }

    /// Everybody who is asked, where all of them fail so.
    fn asked(&self, course: &mut Course<'_>, fault: Fault) -> Vec<usize> {
        std::iter::from_fn(|| self.fails(course, fault)).collect()
    }
}

impl Surroundings for Scene {
    fn standing(&self, spot: usize) -> Standing {
        self.standings[spot]
    }

    fn readings(&self, _: usize) -> Readings {
        Readings::default()
    }

    fn price(&self, spot: usize) -> Option<Usd> {
        self.prices[spot]
    }
}

const FAILED: Fault = Fault::Failed("status");

const fn limited(seconds: u64) -> Fault {
    Fault::Limited {
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

/// Two steps, the second of two targets; each is asked twice at the most.
fn chain() -> Arc<Model> {
    model("{ chain: [ { target: p/a, escalate_when: [default] }, { any_of: [p/b, p/c] } ] }")
}

#[test]
fn all_of_a_step_are_asked_before_one_is_asked_again_and_all_of_that_before_the_next_step() {
    let (model, scene) = (chain(), Scene::new());
    for chance in 0..20 {
        let mut course = Course::new(&model, Start::default(), chance);
        let asked = scene.asked(&mut course, FAILED);
        assert_eq!(asked[..2], [0, 0]);
        assert_eq!(asked.len(), 6);
        assert_ne!(asked[2], asked[3]);
        assert_eq!(asked[2..4], asked[4..6]);
    }
}

#[test]
fn who_is_left_alone_is_not_asked() {
    let (model, mut scene) = (chain(), Scene::new());
    scene.close(0, 5_000, Why::Failing);
    scene.close(2, 5_000, Why::Credential);
    let mut course = Course::new(&model, Start::default(), 0);
    assert_eq!(scene.asked(&mut course, FAILED), [1, 1]);
}

#[test]
fn who_may_be_well_again_is_asked_first_and_but_once_so() {
    let model = model("{ any_of: [p/a, p/b, p/c] }");
    let mut scene = Scene::new();
    scene.standings[1] = Standing::Probing;
    for chance in 0..20 {
        let mut course = Course::new(&model, Start::default(), chance);
        let asked = scene.asked(&mut course, FAILED);
        assert_eq!((asked[0], asked.len()), (1, 6));
        assert!(!asked[1..3].contains(&1), "{asked:?}");
    }
}

#[test]
fn what_is_the_callers_fault_is_asked_nobody_else() {
    let (model, scene) = (chain(), Scene::new());
    let mut course = Course::new(&model, Start::default(), 0);
    assert_eq!(scene.asked(&mut course, Fault::Caller), [0]);
}

#[test]
fn what_a_repeat_does_not_mend_is_not_repeated() {
    let (model, scene) = (chain(), Scene::new());
    for fault in [Fault::Credential, Fault::Forbidden, Fault::Model] {
        let mut course = Course::new(&model, Start::default(), 0);
        let asked = scene.asked(&mut course, fault);
        assert_eq!(asked.len(), 3, "{fault:?}: {asked:?}");
    }
}

#[test]
fn an_answer_that_does_not_do_leads_to_the_next_step() {
    let (model, scene) = (chain(), Scene::new());
    let mut course = Course::new(&model, Start::default(), 0);
    assert_eq!(scene.next(&mut course), Next::Call(0));
    course.called(0);
    course.go_up();
    assert_eq!(course.step(), 1);
    assert!(!scene.asked(&mut course, FAILED).contains(&0));
}

#[test]
fn a_target_that_cannot_be_asked_this_is_passed_over() {
    let (model, scene) = (chain(), Scene::new());
    let mut course = Course::new(&model, Start::default(), 0);
    course.skip(0);
    course.skip(2);
    assert_eq!(scene.asked(&mut course, FAILED), [1, 1]);
}

#[test]
fn who_says_when_to_come_again_is_asked_no_sooner() {
    let model = model("{ target: p/a }");
    for seconds in [1, 30] {
        let (scene, mut course) = (Scene::new(), Course::new(&model, Start::default(), 7));
        scene.fails(&mut course, limited(seconds));
        let Next::Wait(0, pause) = scene.next(&mut course) else {
            panic!("is asked again");
        };
        assert!(pause >= Duration::from_secs(seconds), "{pause:?}");
    }
}

#[test]
fn nobody_waits_for_longer_than_a_minute() {
    let model = model("{ target: p/a }");
    let (scene, mut course) = (Scene::new(), Course::new(&model, Start::default(), 7));
    scene.fails(&mut course, limited(61));
    let end = course.next(&scene, scene.at(1_000), scene.at(600_000));
    assert_eq!(end, Next::End(Ended::default()));
}

#[test]
fn who_has_cooled_down_soon_is_waited_for_when_nobody_else_is_left() {
    let (model, mut scene) = (chain(), Scene::new());
    let mut course = Course::new(&model, Start::default(), 0);
    assert_eq!(scene.fails(&mut course, limited(4)), Some(0));
    scene.close(0, 5_000, Why::Limited);
    let others: Vec<_> = (0..4).map(|_| scene.fails(&mut course, FAILED)).collect();
    assert!(others.iter().all(|spot| spot.is_some_and(|spot| spot > 0)));
    let Next::Wait(0, pause) = scene.next(&mut course) else {
        panic!("is waited for");
    };
    assert!(pause >= Duration::from_secs(4), "{pause:?}");
}

#[test]
fn who_was_never_asked_is_not_waited_for_but_told_of() {
    let (model, mut scene) = (chain(), Scene::new());
    for (spot, millis) in [(0, 9_000), (1, 4_000), (2, 7_000)] {
        scene.close(spot, millis, Why::Limited);
    }
    let mut course = Course::new(&model, Start::default(), 0);
    let retry_after = Some(Duration::from_secs(3));
    let (is_limited, end) = (true, scene.next(&mut course));
    let expected = Ended {
        retry_after,
        is_limited,
    };
    assert_eq!(end, Next::End(expected));
    scene.close(2, 7_000, Why::Failing);
    let Next::End(ended) = scene.next(&mut course) else {
        panic!("nobody may be asked");
    };
    assert!(!ended.is_limited);
}

#[test]
fn nobody_is_asked_after_the_deadline_nor_waited_for_beyond_it() {
    let model = model("{ target: p/a, retry: { backoff: 5s..5s } }");
    let (scene, mut course) = (Scene::new(), Course::new(&model, Start::default(), 0));
    let deadline = scene.at(1_000);
    assert_eq!(
        course.next(&scene, deadline, deadline),
        Next::End(Ended::default())
    );
    assert_eq!(scene.fails(&mut course, FAILED), Some(0));
    let end = course.next(&scene, scene.at(1_000), scene.at(6_000));
    assert_eq!(end, Next::End(Ended::default()));
}

#[test]
fn where_a_request_is_too_long_unknown_windows_are_of_no_use() {
    let model = model("{ any_of: [p/gpt-4, p/unheard-of] }");
    let scene = Scene::new();
    let mut course = Course::new(&model, Start::default(), 0);
    course.called(0);
    course.too_long(0);
    assert_eq!(scene.asked(&mut course, FAILED), [0; 0]);
}

#[test]
fn a_larger_window_is_of_use_where_a_smaller_was_not() {
    let model = model("{ chain: [ { target: p/gpt-4 }, { any_of: [p/gpt-4-32k, p/gpt-4.1] } ] }");
    let (scene, mut course) = (Scene::new(), Course::new(&model, Start::default(), 0));
    course.called(1);
    course.too_long(1);
    assert_eq!(scene.asked(&mut course, FAILED), [2, 2]);
}

#[test]
fn the_cheapest_is_asked_first() {
    let model = model("{ any_of: [p/a, p/b, p/c], pick: cheapest, retry: { attempts: 1 } }");
    let mut scene = Scene::new();
    scene.prices[0] = Some(Usd::from_pico(3));
    scene.prices[2] = Some(Usd::from_pico(2));
    let mut course = Course::new(&model, Start::default(), 5);
    assert_eq!(scene.asked(&mut course, FAILED), [2, 0, 1]);
}

#[test]
fn a_call_leaves_time_for_those_that_were_not_asked() {
    let model = model("{ any_of: [p/a, p/b, p/c, p/d] }");
    let (mut scene, mut course) = (Scene::new(), Course::new(&model, Start::default(), 0));
    let due = |course: &Course<'_>, scene: &Scene| {
        let due = course.due(0, scene, scene.at(0), scene.at(60_000));
        (due - scene.start).as_millis()
    };
    assert_eq!(due(&course, &scene), 15_000);
    course.called(1);
    assert_eq!(due(&course, &scene), 20_000);
    course.skip(2);
    assert_eq!(due(&course, &scene), 30_000);
    scene.close(3, 9_000, Why::Failing);
    assert_eq!(due(&course, &scene), 60_000);
}

#[test]
fn a_call_has_as_long_as_is_said_and_who_fails_of_late_a_second() {
    let model = model("{ any_of: [p/a, p/b], timeout: { attempt: 7s } }");
    let (mut scene, course) = (Scene::new(), Course::new(&model, Start::default(), 0));
    let due = |scene: &Scene, deadline| {
        let due = course.due(0, scene, scene.at(0), scene.at(deadline));
        (due - scene.start).as_millis()
    };
    assert_eq!(due(&scene, 60_000), 7_000);
    assert_eq!(due(&scene, 5_000), 5_000);
    scene.standings[0] = Standing::Probing;
    assert_eq!(due(&scene, 60_000), 1_000);
}
