//! Courses of requests through models by chance, where targets fail, refuse, are left alone and come back. Each is made by its
//! seed, so a failure repeats.
//!
//! Held against the rules: a course ends; nobody is called more often than his attempts, nor while he is left alone, nor after
//! the deadline, nor sooner than he said; nobody is called again while another of his step has not been; steps only go up; nobody
//! is left out who could have answered; the same seed is the same course.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::tests::models;
use super::*;
use crate::chance::Chance;
use crate::route::Spot;

/// How many courses `cargo test` makes.
const SEEDS: u64 = 4_000;

/// Of how many models.
const MODELS: u64 = 60;

/// How often targets turn out to be left alone after they have been picked.
const TURNED_AWAY_MAX: usize = 10;

struct World<'m> {
    model: &'m Model,
    chance: Chance,
    now: Instant,
    deadline: Instant,
    closed: Vec<Option<Closed>>,
    calls: Vec<u32>,
    /// Who is of no use to the request.
    useless: Vec<bool>,
    /// Who is not to be called before a time.
    later: Vec<Option<Instant>>,
    /// The last step that was seen.
    step: usize,
    is_over: bool,
    turned_away: usize,
    /// A bug: calls are not counted.
    forgets: bool,
}

impl Surroundings for World<'_> {
    fn standing(&self, spot: usize) -> Standing {
        match self.closed[spot] {
            Some(closed) if closed.until > self.now => Standing::Closed(closed),
            Some(_) => Standing::Probing,
            None => Standing::Well,
        }
    }

    fn readings(&self, spot: usize) -> Readings {
        Readings {
            in_flight: spot as u32 % 3,
            first_token: spot
                .is_multiple_of(2)
                .then(|| Duration::from_millis(100 * spot as u64)),
            ..Readings::default()
        }
    }

    fn price(&self, spot: usize) -> Option<Usd> {
        (!spot.is_multiple_of(4)).then(|| Usd::from_pico(spot as i128 % 4))
    }
}

impl<'m> World<'m> {
    fn new(model: &'m Model, seed: u64, start: Instant) -> Self {
        let mut chance = Chance::new(seed);
        let spots = model.spots.len();
        let mut world = Self {
            model,
            now: start,
            deadline: start + chance.micros(90_000_000),
            chance,
            closed: vec![None; spots],
            calls: vec![0; spots],
            useless: vec![false; spots],
            later: vec![None; spots],
            step: 0,
            is_over: false,
            turned_away: 0,
            forgets: false,
        };
        (0..spots).for_each(|_| world.change());
        world
    }

    /// Runs a course to its end. Returns what was done.
    fn run(&mut self) -> Vec<Next> {
        let chance = self.chance.below(u64::MAX);
        let mut course = Course::new(self.model, Start::default(), chance);
        let attempts = self.model.spots.iter().map(|spot| spot.retry.attempts);
        let most = attempts.sum::<u32>() as usize + self.model.spots.len() + TURNED_AWAY_MAX + 1;
        let mut done = Vec::new();
        loop {
            assert!(done.len() < most, "does not end");
            let next = course.next(self, self.now, self.deadline);
            done.push(next);
            let (spot, pause) = match next {
                Next::Call(spot) | Next::Resort(spot) => (spot, None),
                Next::Repeat(spot, pause) => (spot, Some(pause)),
                Next::Wait(spot, pause) => {
                    self.check_wait(spot, pause);
                    self.now += pause;
                    self.closed[spot] = None;
                    self.act(spot, &mut course);
                    self.step = course.step();
                    continue;
                }
                Next::End(_) => {
                    self.check_end();
                    return done;
                }
            };
            self.check(spot, pause, course.step());
            self.now += pause.unwrap_or_default();
            self.act(spot, &mut course);
        }
    }

    /// A target is asked, or turns out not to be.
    fn act(&mut self, spot: usize, course: &mut Course<'m>) {
        if self.chance.one_in(12) {
            self.useless[spot] = true;
            return course.skip(spot);
        }
        if self.chance.one_in(12) && self.turned_away < TURNED_AWAY_MAX {
            self.turned_away += 1;
            return self.close(spot, Why::Failing);
        }
        let due = course.due(spot, self, self.now, self.deadline);
        assert!(self.now <= due && due <= self.deadline, "due at {due:?}");
        self.calls[spot] += 1;
        self.closed[spot] = None;
        if !self.forgets {
            course.called(spot);
        }
        self.now += self.chance.micros(4_000_000).min(due - self.now);
        self.change();
        let fault = match self.chance.below(9) {
            0 => {
                self.step = course.step() + 1;
                return course.go_up();
            }
            1 => {
                let Spot { window, .. } = self.model.spots[spot];
                for (useless, other) in self.useless.iter_mut().zip(&self.model.spots) {
                    *useless |= other.window <= window;
                }
                return course.too_long(spot);
            }
            2 if self.chance.one_in(3) => {
                self.is_over = true;
                Fault::Caller
            }
            3 => {
                self.useless[spot] = true;
                [Fault::Credential, Fault::Forbidden, Fault::Model][self.chance.below(3) as usize]
            }
            4 | 5 => self.limit(spot),
            _ => {
                if self.chance.one_in(3) {
                    self.close(spot, Why::Failing);
                }
                Fault::Failed("status")
            }
        };
        course.failed(spot, fault, self.now);
    }

    /// A target has had too much, and may say for how long.
    fn limit(&mut self, spot: usize) -> Fault {
        let delay = self.chance.micros(80_000_000);
        let retry_after = self.chance.one_in(2).then_some(delay);
        let until = self.now + retry_after.unwrap_or(Duration::from_secs(1));
        let why = Why::Limited;
        self.closed[spot] = Some(Closed { until, why });
        match retry_after {
            Some(delay) if delay > RETRY_AFTER_MAX => self.useless[spot] = true,
            Some(_) => self.later[spot] = Some(until),
            None => {}
        }
        Fault::Limited { retry_after }
    }

    /// Somebody else's requests fare well or ill, too.
    fn change(&mut self) {
        let spot = self.chance.below(self.model.spots.len() as u64) as usize;
        match self.chance.below(4) {
            0 => self.close(spot, Why::Failing),
            1 => self.close(spot, Why::Limited),
            _ => {}
        }
    }

    fn close(&mut self, spot: usize, why: Why) {
        let until = self.now + self.chance.micros(10_000_000);
        self.closed[spot] = Some(Closed { until, why });
    }

    /// Nobody waits who has not asked anybody, nor for whom he need not.
    fn check_wait(&self, spot: usize, pause: Duration) {
        let at = self.now + pause;
        assert!(
            self.calls.iter().any(|calls| *calls > 0),
            "waits for nothing"
        );
        assert!(at < self.deadline, "too late");
        assert!(!self.useless[spot], "{spot} is of no use");
        let most = self.model.spots[spot].retry.attempts;
        assert!(self.calls[spot] < most, "{spot} has no calls left");
        assert!(self.later[spot].is_none_or(|later| later <= at), "too soon");
        match self.standing(spot) {
            Standing::Closed(closed) => {
                assert!(closed.until <= at && closed.why == Why::Limited, "in vain");
            }
            _ => assert!(
                self.later[spot].is_some_and(|later| later > self.now),
                "for nobody"
            ),
        }
    }

    fn check(&mut self, spot: usize, pause: Option<Duration>, step: usize) {
        let at = self.now + pause.unwrap_or_default();
        assert!(!self.is_over, "goes on");
        assert!(at < self.deadline, "too late");
        assert!(!self.useless[spot], "{spot} is of no use");
        let most = self.model.spots[spot].retry.attempts;
        assert!(self.calls[spot] < most, "{spot} has no calls left");
        assert_eq!(pause.is_some(), self.calls[spot] > 0, "a repeat is one");
        assert!(self.later[spot].is_none_or(|later| later <= at), "too soon");
        assert!(self.step <= step, "goes down");
        self.step = step;
        let step = &self.model.steps[step];
        assert!(step.spots.contains(&spot), "{spot} is in another step");
        assert!(!self.is_closed(spot), "{spot} is left alone");
        if pause.is_some() {
            let fresh = step.spots.clone().find(|other| self.is_fresh(*other));
            assert_eq!(fresh, None, "is asked after {spot} again");
        }
    }

    fn check_end(&self) {
        let steps = self.model.steps.iter().skip(self.step);
        let mut spots = steps.flat_map(|step| step.spots.clone());
        if !self.is_over && self.now < self.deadline {
            let fresh = spots.find(|spot| self.is_fresh(*spot));
            assert_eq!(fresh, None, "is left out");
        }
    }

    fn is_fresh(&self, spot: usize) -> bool {
        let rests = self.later[spot].is_some_and(|later| later > self.now);
        self.calls[spot] == 0 && !self.useless[spot] && !self.is_closed(spot) && !rests
    }

    fn is_closed(&self, spot: usize) -> bool {
        matches!(self.standing(spot), Standing::Closed(_))
    }
}

/// A model by chance, as a file has it.
fn section(seed: u64) -> String {
    let mut chance = Chance::new(seed);
    let picks = ["weighted", "least_loaded", "cheapest", "fastest", "sticky"];
    let windows = ["gpt-4-32k", "gpt-4-turbo", "gpt-4.1", "gpt-5", "gpt-5.4"];
    let steps = chance.below(4) + 1;
    let steps = (0..steps).map(|step| {
        let targets = (0..=chance.below(4)).map(|target| {
            let window = windows[chance.below(5) as usize];
            format!("p/{window}-{step}-{target}")
        });
        let targets = targets.collect::<Vec<_>>().join(", ");
        let pick = picks[chance.below(5) as usize];
        let gates = if step + 1 < steps {
            ", escalate_when: [default]"
        } else {
            ""
        };
        format!("{{ any_of: [{targets}], pick: {pick}{gates} }}")
    });
    let steps = steps.collect::<Vec<_>>().join(", ");
    let attempts = chance.below(4) + 1;
    let attempt = if chance.one_in(2) {
        "attempt: 5s, "
    } else {
        ""
    };
    format!(
        "{{ chain: [{steps}], retry: {{ attempts: {attempts} }}, timeout: {{ {attempt}total: 90s }} }}"
    )
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn all() -> Vec<Arc<Model>> {
    models((0..MODELS).map(section))
}

#[test]
fn a_course_keeps_its_rules_whatever_happens() {
    let models = all();
    let first = number("TOLLGATE_SEED").unwrap_or(0);
    let (mut repeats, mut waits) = (0, 0);
    for seed in first..first + number("TOLLGATE_SEEDS").unwrap_or(SEEDS) {
        let model = &models[(seed % MODELS) as usize];
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let start = Instant::now();
            let done = World::new(model, seed, start).run();
            let again = World::new(model, seed, start + Duration::from_secs(3)).run();
            assert_eq!(done, again, "the same seed is the same course");
            done
        }));
        let Ok(done) = ended else {
            panic!("this was TOLLGATE_SEED={seed} TOLLGATE_SEEDS=1");
        };
        for next in done {
            repeats += u64::from(matches!(next, Next::Repeat(..)));
            waits += u64::from(matches!(next, Next::Wait(..)));
        }
    }
    println!("{repeats} repeats, {waits} waits");
    assert!(number("TOLLGATE_SEEDS").is_some() || (repeats > 500 && waits > 50));
}

#[test]
fn a_call_that_is_not_counted_is_noticed() {
    let models = all();
    let noticed = (0..40).filter(|seed| {
        let model = &models[*seed as usize];
        let run = || {
            let mut world = World::new(model, *seed, Instant::now());
            world.forgets = true;
            world.run()
        };
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    assert!(noticed.count() > 10);
}
