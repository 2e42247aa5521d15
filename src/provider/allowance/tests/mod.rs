//! The machine, by hand and beside providers of which it knows only what they say.

mod told;

use super::told::Quota;
use super::*;
use crate::chance::Chance;

const OK: StatusCode = StatusCode::OK;
const REFUSED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// A request of ten tokens in and five out.
const ONE: Amounts = [1, 15, 10, 5];

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is left of one unit, all of which is back after so long.
fn told(unit: Unit, limit: u64, remaining: u64, reset: Duration, is_steady: bool) -> Told {
    let mut told = Told::default();
    told.quotas[unit as usize] = Some(Quota {
        limit: Some(limit),
        remaining,
        reset: Reset::After(reset),
        is_steady,
    });
    told
}

/// What is left of the requests of a window.
fn window(remaining: u64, reset: Duration) -> Told {
    told(Unit::Requests, 10, remaining, reset, false)
}

/// A refusal that says when to come again.
fn busy(retry_after: Duration) -> Told {
    Told {
        retry_after: Some(retry_after),
        ..Told::default()
    }
}

fn left(allowance: &Allowance, now: Instant) -> Vec<u64> {
    allowance.left(now).map(|left| left.remaining).collect()
}

#[test]
fn what_is_not_known_refuses_nobody() {
    let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
    for _ in 0..1_000 {
        let taken = allowance.take(ONE, now).unwrap();
        taken.learn(OK, &Told::default(), now);
    }
    assert!(left(&allowance, now).is_empty());
}

#[test]
fn what_was_sent_since_counts() {
    let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
    let before = allowance.take(ONE, now).unwrap();
    let first = allowance.take(ONE, now).unwrap();
    let after = allowance.take(ONE, now).unwrap();
    first.learn(OK, &window(3, seconds(30)), now + seconds(1));
    assert_eq!(left(&allowance, now + seconds(1)), [2]);
    drop((before, after));
    let now = now + seconds(2);
    let second = allowance.take(ONE, now).unwrap();
    let lost = allowance.take(ONE, now).unwrap();
    let refused = allowance.take(ONE, now).unwrap_err();
    let expected = Refused {
        status: REFUSED,
        limit: Some((Unit::Requests, Some(10))),
        retry_after: seconds(28),
    };
    assert_eq!(refused, expected);
    // What never left is no loss, and is given back once.
    lost.give_back();
    lost.give_back();
    assert_eq!(left(&allowance, now), [1]);
    second.learn(OK, &window(7, seconds(28)), now);
    assert_eq!(left(&allowance, now), [7]);
}

#[test]
fn each_unit_is_counted_and_named() {
    for (unit, sent, words) in [
        (Unit::Requests, 1, "20 requests"),
        (Unit::Tokens, 15, "20 tokens"),
        (Unit::InputTokens, 10, "20 input tokens"),
        (Unit::OutputTokens, 5, "20 output tokens"),
    ] {
        let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
        let first = allowance.take(ONE, now).unwrap();
        first.learn(OK, &told(unit, 20, 20, seconds(9), false), now);
        let mut room = 20_u64;
        while let Ok(taken) = allowance.take(ONE, now) {
            assert!(room > 0, "{unit:?} is overrun");
            room = room.saturating_sub(sent);
            drop(taken);
        }
        assert_eq!(room, 0, "{unit:?} had room");
        let refused = allowance.take(ONE, now).unwrap_err();
        let message = refused.message("openai", "gpt");
        for word in ["`openai`", "`gpt`", words, "9.000s"] {
            assert!(message.contains(word), "{message}");
        }
    }
}

#[test]
fn at_the_reset_it_is_open() {
    for (is_steady, reset, believed) in [
        (false, seconds(5), seconds(5)),
        (true, seconds(5), seconds(5)),
        (false, seconds(86_400), BELIEVED_MAX),
    ] {
        let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
        let first = allowance.take(ONE, now).unwrap();
        let told = told(Unit::Requests, 1, 0, reset, is_steady);
        first.learn(OK, &told, now + seconds(1));
        let before = now + believed - Duration::from_nanos(1);
        let refused = allowance.take(ONE, before).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_nanos(1));
        for _ in 0..100 {
            assert!(allowance.take(ONE, now + believed).is_ok());
        }
        assert!(left(&allowance, now + believed).is_empty());
    }
}

#[test]
fn what_comes_back_little_by_little_is_used() {
    let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
    let first = allowance.take(ONE, now).unwrap();
    // One every 100 ms.
    first.learn(OK, &told(Unit::Requests, 500, 0, seconds(50), true), now);
    for n in 1..100 {
        let refused = allowance.take(ONE, now + Duration::from_millis(100 * n - 1));
        let refused = refused.unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(1));
        assert!(
            allowance
                .take(ONE, now + Duration::from_millis(100 * n))
                .is_ok()
        );
    }
}

#[test]
fn of_answers_that_cross_the_true_one_counts() {
    let (early, late) = (window(8, seconds(30)), window(5, seconds(30)));
    for (first, second) in [(early, late), (late, early)] {
        for is_crossed in [false, true] {
            let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
            let taken = [(); 2].map(|()| allowance.take(ONE, now).unwrap());
            let told = [first, second];
            let order = if is_crossed { [1, 0] } else { [0, 1] };
            for at in order {
                taken[at].learn(OK, &told[at], now);
            }
            assert_eq!(
                left(&allowance, now),
                [5],
                "{first:?} {second:?} {is_crossed}"
            );
        }
    }
}

#[test]
fn an_old_answer_does_not_bring_its_window_back() {
    let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
    let old = allowance.take(ONE, now).unwrap();
    let new = allowance.take(ONE, now + seconds(20)).unwrap();
    let now = now + seconds(21);
    new.learn(OK, &window(9, seconds(30)), now);
    old.learn(OK, &window(0, seconds(40)), now);
    assert_eq!(left(&allowance, now), [9]);
    // Nor does it open a new one that is used up.
    let newest = allowance.take(ONE, now).unwrap();
    newest.learn(OK, &window(0, seconds(30)), now);
    old.learn(OK, &window(9, seconds(30)), now);
    assert_eq!(left(&allowance, now), [0]);
}

#[test]
fn who_is_told_to_come_again_later_does() {
    for status in [429, 503, 529] {
        let status = StatusCode::from_u16(status).unwrap();
        let (allowance, now) = (Arc::<Allowance>::default(), Instant::now());
        let [early, first, late] = [(); 3].map(|()| allowance.take(ONE, now).unwrap());
        first.learn(status, &busy(seconds(17)), now);
        let refused = allowance.take(ONE, now + seconds(2)).unwrap_err();
        let expected = Refused {
            status,
            limit: None,
            retry_after: seconds(15),
        };
        assert_eq!(refused, expected);
        let message = refused.message("claude", "opus");
        assert!(
            message.contains(status.as_str()) && message.contains("15.000s"),
            "{message}"
        );
        // A request that was sent before says nothing; one that was sent later, and got through, does.
        early.learn(OK, &Told::default(), now);
        assert!(allowance.take(ONE, now).is_err());
        late.learn(OK, &Told::default(), now);
        let next = allowance.take(ONE, now).unwrap();
        first.learn(status, &busy(seconds(17)), now);
        assert!(allowance.take(ONE, now).is_ok(), "that was heard before");
        // Whoever says a day is asked again after a minute.
        next.learn(status, &busy(seconds(86_400)), now);
        assert!(
            allowance
                .take(ONE, now + BELIEVED_MAX - seconds(1))
                .is_err()
        );
        assert!(allowance.take(ONE, now + BELIEVED_MAX).is_ok());
    }
}

/// A provider that has one limit of requests, and nobody else to serve.
struct Provider {
    limit: u64,
    window: Duration,
    /// Whether it refills little by little.
    is_steady: bool,
    began: Instant,
    /// What was used of this window; or when, had nothing more come, it would be full.
    used: (u128, u64),
    full: Instant,
}

impl Provider {
    fn room(&mut self, now: Instant) -> u64 {
        if self.is_steady {
            let lacking = self.full.saturating_duration_since(now).as_nanos();
            let lacking = (lacking * u128::from(self.limit)).div_ceil(self.window.as_nanos());
            return self.limit - lacking as u64;
        }
        let number = (now - self.began).as_nanos() / self.window.as_nanos();
        if self.used.0 != number {
            self.used = (number, 0);
        }
        self.limit - self.used.1
    }

    /// Serves a request, or refuses it, and says what is left.
    fn serve(&mut self, now: Instant) -> (StatusCode, Told) {
        let status = match self.room(now) {
            0 => REFUSED,
            _ => OK,
        };
        if status == OK {
            self.used.1 += 1;
            self.full = self.full.max(now) + self.window / self.limit as u32;
        }
        let reset = match self.is_steady {
            true => self.full.saturating_duration_since(now),
            false => {
                let passed = (now - self.began).as_nanos() % self.window.as_nanos();
                self.window - Duration::from_nanos(passed as u64)
            }
        };
        let remaining = self.room(now);
        let told = told(Unit::Requests, self.limit, remaining, reset, self.is_steady);
        (status, told)
    }
}

/// Whatever comes in whatever order: what the provider would take is not refused, what it would refuse is not sent where that is
/// known, and who waits as told gets in.
#[test]
fn it_knows_what_the_provider_does() {
    let (mut refusals, mut openings, mut exact) = (0, 0, 0);
    for seed in 0..400 {
        let mut chance = Chance::new(seed);
        let mut now = Instant::now();
        let mut provider = Provider {
            limit: 1 + chance.below(20),
            window: seconds([2, 10, 50, 600][chance.below(4) as usize]),
            is_steady: chance.one_in(2),
            began: now,
            used: (0, 0),
            full: now,
        };
        let allowance = Arc::<Allowance>::default();
        let mut was_refused = false;
        let mut under_way: Vec<(Instant, Taken, StatusCode, Told)> = Vec::new();
        let pace = provider.window.as_micros() as u64 / provider.limit;
        for _ in 0..300 {
            now += chance.micros(1 + pace);
            for (_, taken, status, told) in under_way.extract_if(.., |(due, ..)| *due <= now) {
                taken.learn(status, &told, now);
            }
            let is_known = allowance.left(now).next().is_some();
            match allowance.take(ONE, now) {
                Ok(taken) => {
                    let (status, told) = provider.serve(now);
                    // One that was refused is given back, to whose favour nobody knows.
                    let is_exact = is_known && !provider.is_steady && !was_refused;
                    assert!(!is_exact || status == OK, "{seed}: it was known to refuse");
                    was_refused |= status != OK;
                    exact += u64::from(is_exact);
                    let most = 1 + pace * chance.below(5);
                    let delay = chance.micros(most);
                    under_way.push((now + delay, taken, status, told));
                }
                Err(refused) => {
                    refusals += 1;
                    // It says whole numbers: of what refills steadily there may be a part of one more. And what it refused
                    // counts until that is heard.
                    let unheard = under_way.iter().filter(|(.., status, _)| *status != OK);
                    let most = u64::from(provider.is_steady) + unheard.count() as u64;
                    let room = provider.room(now);
                    assert!(room <= most, "{seed}: there was room for {room}");
                    if chance.one_in(5) {
                        now += refused.retry_after;
                        let taken = allowance.take(ONE, now);
                        let taken = taken.unwrap_or_else(|_| panic!("{seed}: {refused:?}"));
                        let (status, told) = provider.serve(now);
                        was_refused |= status != OK;
                        under_way.push((now, taken, status, told));
                        openings += 1;
                    }
                }
            }
        }
    }
    let seen = [refusals, openings, exact];
    assert!(seen.iter().all(|count| *count > 1_000), "{seen:?}");
}
