use std::collections::HashMap;

use super::*;

const MILLIS_80: Option<Duration> = Some(Duration::from_millis(80));

fn candidate(name: &str, weight: u32) -> Candidate {
    Candidate {
        id: hash(name.as_bytes()),
        weight,
        price: None,
        readings: Readings::default(),
        closed_until: None,
    }
}

fn measured(name: &str, millis: u64, in_flight: u32) -> Candidate {
    let latency = Some(Duration::from_millis(millis));
    Candidate {
        readings: Readings {
            in_flight,
            latency,
            first_token: latency,
            tokens_per_second: None,
        },
        ..candidate(name, 1)
    }
}

fn places(pick: Pick, candidates: &[Candidate], key: u64, chance: u64) -> Vec<usize> {
    order(pick, candidates, key, chance).collect()
}

fn first(pick: Pick, candidates: &[Candidate], key: u64, chance: u64) -> usize {
    places(pick, candidates, key, chance)[0]
}

const REQUESTS: u64 = 20_000;

/// How large a share each gets of many requests.
fn shares(pick: Pick, candidates: &[Candidate]) -> Vec<f64> {
    let mut counts = vec![0; candidates.len()];
    for n in 0..REQUESTS {
        counts[first(pick, candidates, number(n, 7), number(n, 9))] += 1;
    }
    let share = |count: &u32| f64::from(*count) / REQUESTS as f64;
    counts.iter().map(share).collect()
}

fn is_near(share: f64, expected: f64) -> bool {
    (share - expected).abs() < 0.02
}

const PICKS: [Pick; 5] = [
    Pick::Weighted,
    Pick::LeastLoaded,
    Pick::Cheapest,
    Pick::Fastest,
    Pick::Sticky,
];

#[test]
fn every_order_has_all_and_is_the_same_again() {
    for pick in PICKS {
        for n in 0..=CANDIDATES_MAX + 2 {
            let candidates: Vec<_> = (0..n)
                .map(|n| candidate(&n.to_string(), n as u32 % 4))
                .collect();
            let order = places(pick, &candidates, 3, 4);
            assert_eq!(order, places(pick, &candidates, 3, 4));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n.min(CANDIDATES_MAX)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn those_that_are_left_alone_come_last_and_the_soonest_back_first() {
    let now = Instant::now();
    let closed = |name: &str, seconds| Candidate {
        closed_until: Some(now + Duration::from_secs(seconds)),
        price: Some(Usd::ZERO),
        ..candidate(name, 1_000)
    };
    let candidates = [
        closed("a", 9),
        candidate("b", 1),
        closed("c", 4),
        candidate("d", 1),
    ];
    for (pick, chance) in PICKS
        .into_iter()
        .flat_map(|pick| (0..200).map(move |n| (pick, n)))
    {
        let order = places(pick, &candidates, chance, chance);
        assert_eq!(order[2..], [2, 0], "{pick:?}");
    }
}

#[test]
fn weighted_is_by_weight_and_so_are_the_fallbacks() {
    let candidates = [candidate("a", 6), candidate("b", 3), candidate("c", 1)];
    let shares = shares(Pick::Weighted, &candidates);
    for (share, expected) in shares.into_iter().zip([0.6, 0.3, 0.1]) {
        assert!(is_near(share, expected), "{share}");
    }
    let after_a: Vec<_> = (0..REQUESTS)
        .map(|n| places(Pick::Weighted, &candidates, 0, n))
        .filter(|order| order[0] == 0)
        .collect();
    let b = after_a.iter().filter(|order| order[1] == 1).count();
    assert!(is_near(b as f64 / after_a.len() as f64, 0.75));
}

#[test]
fn who_has_no_weight_is_only_asked_when_all_others_fail() {
    let candidates = [candidate("a", 0), candidate("b", 1), candidate("c", 1)];
    for pick in [Pick::Weighted, Pick::Sticky, Pick::Cheapest] {
        for n in 0..200 {
            assert_eq!(places(pick, &candidates, n, n)[2], 0, "{pick:?}");
        }
    }
}

#[test]
fn a_conversation_stays_where_it_is() {
    let candidates = [candidate("a", 3), candidate("b", 1), candidate("c", 2)];
    let shares = shares(Pick::Sticky, &candidates);
    for (share, expected) in shares.into_iter().zip([3.0, 1.0, 2.0]) {
        assert!(is_near(share, expected / 6.0), "{share}");
    }
    for key in 0..1_000 {
        let turns = (0..20).map(|turn| first(Pick::Sticky, &candidates, hash(&[key as u8]), turn));
        assert_eq!(turns.collect::<std::collections::HashSet<_>>().len(), 1);
    }
}

#[test]
fn one_target_more_takes_only_its_share_of_the_conversations() {
    let before: Vec<_> = (0..4).map(|n| candidate(&format!("t{n}"), 1)).collect();
    // It stands first in the file: places are no part of it.
    let after = [vec![candidate("new", 1)], before.clone()].concat();
    let mut moved = 0;
    for n in 0..REQUESTS {
        let key = number(n, 1);
        let (old, new) = (
            first(Pick::Sticky, &before, key, 0),
            first(Pick::Sticky, &after, key, 0),
        );
        assert!(new == 0 || new == old + 1);
        moved += u32::from(new == 0);
    }
    assert!(is_near(f64::from(moved) / REQUESTS as f64, 0.2));
}

#[test]
fn conversations_leave_a_target_only_while_it_is_left_alone_and_spread_over_the_others() {
    let well: Vec<_> = (0..3).map(|n| candidate(&format!("t{n}"), 1)).collect();
    let mut ill = well.clone();
    ill[0].closed_until = Some(Instant::now());
    let mut fled = HashMap::<usize, u32>::new();
    for n in 0..REQUESTS {
        let key = number(n, 1);
        let (home, now) = (
            first(Pick::Sticky, &well, key, n),
            first(Pick::Sticky, &ill, key, n),
        );
        match home {
            0 => *fled.entry(now).or_default() += 1,
            _ => assert_eq!(home, now),
        }
    }
    assert!(is_near(
        f64::from(fled[&1]) / f64::from(fled[&1] + fled[&2]),
        0.5
    ));
}

#[test]
fn the_least_loaded_of_two_is_asked() {
    // The slow one is only asked where it is compared with itself, which is never.
    let candidates = [
        measured("a", 50, 0),
        measured("b", 900, 0),
        measured("c", 50, 0),
    ];
    let shares = shares(Pick::LeastLoaded, &candidates);
    assert_eq!(shares[1], 0.0);
    assert!(is_near(shares[0], 0.5));
    // Who has much to do is as good as slow, …
    let candidates = [measured("a", 50, 9), measured("b", 100, 0)];
    assert_eq!(first(Pick::LeastLoaded, &candidates, 0, 1), 1);
    // … unless that is its due.
    let mut heavy = measured("a", 50, 9);
    heavy.weight = 10;
    let candidates = [heavy, measured("b", 100, 0)];
    assert_eq!(first(Pick::LeastLoaded, &candidates, 0, 1), 0);
}

#[test]
fn load_is_shared_out_as_it_comes() {
    // All requests come at once, and none ends: each takes a place.
    let mut candidates = [
        measured("a", 100, 0),
        measured("b", 100, 0),
        measured("c", 400, 0),
    ];
    for n in 0..900 {
        let place = first(Pick::LeastLoaded, &candidates, 0, n);
        candidates[place].readings.in_flight += 1;
    }
    let [a, b, c] = candidates.map(|candidate| candidate.readings.in_flight);
    assert!(a.abs_diff(b) < 20 && c < 130 && c > 60, "{a} {b} {c}");
}

#[test]
fn nobody_is_flooded_because_he_was_never_measured() {
    let mut candidates = [measured("a", 500, 0), candidate("b", 1)];
    for n in 0..100 {
        let place = first(Pick::LeastLoaded, &candidates, 0, n);
        candidates[place].readings.in_flight += 1;
    }
    assert!((20..50).contains(&candidates[1].readings.in_flight));
}

#[test]
fn the_cheapest_is_asked_and_one_without_a_price_last() {
    let priced = |name: &str, nano| Candidate {
        price: Some(Usd::from_nano(nano)),
        ..candidate(name, 1)
    };
    let candidates = [
        candidate("a", 9),
        priced("b", 20),
        priced("c", 10),
        priced("d", 10),
    ];
    let orders = (0..200).map(|chance| places(Pick::Cheapest, &candidates, 0, chance));
    for order in orders {
        assert_eq!(order[2..], [1, 0]);
    }
    assert!(is_near(shares(Pick::Cheapest, &candidates)[2], 0.5));
}

#[test]
fn the_fastest_is_asked_and_the_others_now_and_then() {
    let candidates = [
        measured("a", 300, 0),
        measured("b", 80, 0),
        measured("c", 200, 0),
    ];
    let shares_measured = shares(Pick::Fastest, &candidates);
    assert!(is_near(shares_measured[1], 0.967), "{shares_measured:?}");
    assert!(shares_measured[0] > 0.0 && shares_measured[2] > 0.0);
    // One that nobody has measured is explored before all others, and else comes last.
    let candidates = [
        candidate("a", 1),
        measured("b", 80, 0),
        measured("c", 90, 0),
    ];
    let shares = shares(Pick::Fastest, &candidates);
    assert!(is_near(shares[0], 0.05) && shares[2] == 0.0, "{shares:?}");
    let whole = Candidate {
        readings: Readings {
            latency: MILLIS_80,
            ..Readings::default()
        },
        ..candidate("d", 1)
    };
    let orders = (0..200).map(|n| first(Pick::Fastest, &[measured("a", 300, 0), whole], 0, n));
    assert!(orders.sum::<usize>() > 150);
}
