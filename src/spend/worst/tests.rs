use proptest::prelude::*;

use super::*;
use crate::dialect::{Unbounded, Usage};
use crate::spend::prices::Change;

fn tariff(listed: &str) -> Tariff {
    Tariff::new(
        "a/b",
        &serde_json::from_str::<Vec<_>>(listed).unwrap(),
        &Change::default(),
    )
}

fn time() -> DateTime<Utc> {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

/// So much text for a model that nothing is known of, without the allowance for a request.
fn demand(text_tokens: u64) -> Demand {
    let allowance = Allowance::of(Family::Other).request;
    Demand {
        text_tokens: text_tokens - allowance,
        ..Demand::default()
    }
}

fn worst(demand: &Demand, listed: &str) -> Result<Worst, NoBound> {
    Worst::of(demand, "m", &tariff(listed), time(), Some(1_000), &[])
}

fn usd(demand: &Demand, listed: &str) -> String {
    worst(demand, listed).unwrap().usd().to_string()
}

#[test]
fn it_is_all_of_the_input_and_the_longest_answer() {
    let listed = r#"[{"input":1,"output":4,"requests":7}]"#;
    let asked = Demand {
        output_max: Some(500),
        choices: 2,
        ..demand(10_000)
    };
    // 10,000 at 1 and 1,000 at 4, and a request at 7: in millionths.
    assert_eq!(usd(&asked, listed), "0.014007");
    let unlimited = Demand {
        output_max: None,
        ..asked.clone()
    };
    assert_eq!(usd(&unlimited, listed), "0.018007");
    let worst = worst(&asked, listed).unwrap();
    assert_eq!((worst.output_max(), worst.input_max()), (500, 10_000));
    assert_eq!(worst.usd_for(1).to_string(), "0.010015");
}

#[test]
fn every_part_is_taken_at_its_dearest() {
    let listed = r#"[{"input":1,"cache_read":0.1,"cache_write":1.25,"cache_write_1h":2,"output":4,"output_reasoning":6}]"#;
    let asked = Demand {
        output_max: Some(100),
        ..demand(10_000)
    };
    assert_eq!(usd(&asked, listed), "0.0131");
    let hour = Demand {
        caches_for_an_hour: true,
        ..asked
    };
    assert_eq!(usd(&hour, listed), "0.0206");
}

#[test]
fn a_large_request_is_taken_at_the_price_of_its_size() {
    let listed = r#"[{"input":1,"output":4,"above":[{"tokens":20000,"input":2,"output":6}]}]"#;
    let asked = |tokens| Demand {
        output_max: Some(100),
        ..demand(tokens)
    };
    assert_eq!(usd(&asked(20_000), listed), "0.0204");
    assert_eq!(usd(&asked(20_001), listed), "0.040602");
}

#[test]
fn a_tier_may_be_served_below_but_not_above() {
    let listed =
        r#"[{"input":1,"output":0,"service_tiers":{"flex":{"times":0.5},"priority":{"times":2}}}]"#;
    for (tier, expected) in [
        (Tier::Standard, "0.01"),
        (Tier::Flex, "0.01"),
        (Tier::Priority, "0.02"),
    ] {
        let asked = Demand {
            tier,
            output_max: Some(1),
            ..demand(10_000)
        };
        assert_eq!(usd(&asked, listed), expected, "{tier:?}");
    }
    let asked = Demand {
        tier: Tier::Priority,
        output_max: Some(1),
        ..demand(10_000)
    };
    let refused = worst(&asked, r#"[{"input":1,"output":4}]"#).unwrap_err();
    assert_eq!(refused, NoBound::new("service_tier", Why::Paid(Paid::Tier)));
}

#[test]
fn what_has_no_bound_is_refused_unless_the_window_bounds_it_or_it_is_allowed() {
    let tariff = tariff(r#"[{"input":1,"output":4}]"#);
    let of = |what, model, allowed: &[Paid]| {
        let unbounded = vec![Unbounded {
            param: "x".to_owned(),
            what,
        }];
        let asked = Demand {
            unbounded,
            output_max: Some(100),
            ..demand(10_000)
        };
        Worst::of(&asked, model, &tariff, time(), None, allowed).map(|worst| worst.input_max())
    };
    let refused = |what| Err(NoBound::new("x", Why::Paid(what)));
    assert_eq!(of(Paid::Tools, "gpt-4o", &[]), refused(Paid::Tools));
    assert_eq!(of(Paid::Tools, "m", &[Paid::Tools]), Ok(10_000));
    assert_eq!(of(Paid::Media, "m", &[]), refused(Paid::Media));
    assert_eq!(of(Paid::Media, "gpt-4o", &[]), Ok(128_000));
    assert_eq!(of(Paid::Stored, "claude-opus-4-1", &[]), Ok(200_000));
    let asked = Demand {
        output_max: Some(100),
        ..demand(10_000)
    };
    let refused = Worst::of(&asked, "sonar-pro", &tariff, time(), None, &[]).unwrap_err();
    assert_eq!(refused, NoBound::new("model", Why::Paid(Paid::Tools)));
}

#[test]
fn an_answer_without_a_limit_has_no_bound() {
    let tariff = tariff(r#"[{"input":1,"output":4}]"#);
    let refused = Worst::of(&demand(10_000), "m", &tariff, time(), None, &[]).unwrap_err();
    assert_eq!(refused, NoBound::new("max_tokens", Why::Answer));
    assert!(
        refused
            .to_string()
            .starts_with("`max_tokens` has no upper bound")
    );
    let never = Tariff::new("a/b", &[], &Change::default());
    let refused = Worst::of(&demand(10_000), "m", &never, time(), Some(9), &[]).unwrap_err();
    assert_eq!(refused, NoBound::new("model", Why::Price));
}

#[test]
fn no_request_is_larger_than_its_window() {
    let tariff = tariff(r#"[{"input":1,"output":0}]"#);
    let asked = Demand {
        output_max: Some(100),
        ..demand(9_000_000)
    };
    let worst = Worst::of(&asked, "gpt-4o", &tariff, time(), None, &[]).unwrap();
    assert_eq!(worst.usd().to_string(), "0.128");
}

#[test]
fn embeddings_have_no_answer_and_counts_cost_nothing() {
    let listed = r#"[{"input":1,"output":4}]"#;
    let embedded = Demand {
        choices: 0,
        ..demand(10_000)
    };
    let worst = worst(&embedded, listed).unwrap();
    assert_eq!(
        (worst.output_max(), worst.usd().to_string()),
        (0, "0.009872".to_owned())
    );
    assert_eq!(worst.fitting(worst.usd()), Some(0));
    assert_eq!(worst.fitting(worst.usd() - Usd::from_pico(1)), None);
    let free = Demand {
        is_free: true,
        choices: 0,
        ..demand(10_000)
    };
    let never = Tariff::new("a/b", &[], &Change::default());
    assert_eq!(
        Worst::of(&free, "m", &never, time(), None, &[]),
        Ok(Worst::NOTHING)
    );
    assert_eq!(Worst::NOTHING.fitting(Usd::ZERO), Some(0));
}

prop_compose! {
    fn rate()(micro in 0..50_000_000_u64) -> String {
        format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
    }
}

/// Prices of any shape.
fn prices() -> impl Strategy<Value = String> {
    const NAMES: [&str; 17] = [
        "input",
        "output",
        "output_reasoning",
        "cache_read",
        "cache_write",
        "cache_write_5m",
        "cache_write_1h",
        "input_audio",
        "input_image",
        "input_video",
        "cache_audio_read",
        "cache_image_read",
        "cache_video_read",
        "output_audio",
        "output_image",
        "requests",
        "images",
    ];
    let rates = || {
        let one = proptest::option::of(rate());
        proptest::collection::vec(one, NAMES.len()).prop_map(|rates| {
            let named = NAMES.iter().zip(rates);
            let named = named.filter_map(|(name, rate)| Some(format!("\"{name}\":{}", rate?)));
            named.collect::<Vec<_>>().join(",")
        })
    };
    let above = proptest::option::of((1_000..20_000_u64, rates()));
    let tier = proptest::option::of(rates());
    (rates(), above, tier).prop_map(|(rates, above, tier)| {
        let mut members = vec![r#""from":"2020-01-01""#.to_owned()];
        members.extend((!rates.is_empty()).then_some(rates));
        members.extend(above.map(|(tokens, rates)| {
            let comma = if rates.is_empty() { "" } else { "," };
            format!(r#""above":[{{"tokens":{tokens}{comma}{rates}}}]"#)
        }));
        members.extend(tier.map(|rates| format!(r#""service_tiers":{{"flex":{{{rates}}}}}"#)));
        format!("[{{{}}}]", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_usage_within_the_bounds_costs_more(
        listed in prices(),
        text in 1_000..30_000_u64,
        images in 0..3_u64,
        audio_bytes in 0..100_000_u64,
        choices in 1..4_u64,
        asked in 1..2_000_u64,
        hour in any::<bool>(),
        is_flex in any::<bool>(),
        is_served_flex in any::<bool>(),
        parts in proptest::array::uniform12(0.0..=1.0_f64),
    ) {
        let demand = Demand {
            images, audio_bytes, choices,
            output_max: Some(asked),
            caches_for_an_hour: hour,
            tier: if is_flex { Tier::Flex } else { Tier::Standard },
            ..demand(text)
        };
        let tariff = tariff(&listed);
        let worst = Worst::of(&demand, "m", &tariff, time(), Some(1_000), &[]).unwrap();
        let of = |whole: u64, at: usize| (whole as f64 * parts[at]) as u64;
        let input_tokens = of(worst.input_max(), 0);
        let cache_read_tokens = of(input_tokens, 1);
        let cache_write_tokens = of(input_tokens - cache_read_tokens, 2);
        let image_max = images * image_tokens("m", Family::Other, false);
        let input_image_tokens = of(image_max.min(input_tokens), 3);
        let input_audio_tokens = of(audio_tokens(audio_bytes).min(input_tokens - input_image_tokens), 4);
        let output_tokens = of(worst.output_max() * choices, 5);
        let reasoning_tokens = of(output_tokens, 6);
        let usage = Usage {
            input_tokens, cache_read_tokens, cache_write_tokens, input_image_tokens, input_audio_tokens,
            output_tokens, reasoning_tokens,
            cache_write_1h_tokens: if hour { of(cache_write_tokens, 7) } else { 0 },
            cache_image_read_tokens: of(input_image_tokens.min(cache_read_tokens), 8),
            cache_audio_read_tokens: of(input_audio_tokens.min(cache_read_tokens), 9),
            output_image_tokens: of(output_tokens - reasoning_tokens, 10),
            images: of(images, 11),
            ..Usage::default()
        };
        let tier = if is_flex && is_served_flex { Tier::Flex } else { Tier::Standard };
        let cost = tariff.price(&usage, tier, time()).unwrap().cost.usd();
        prop_assert!(cost <= worst.usd(), "{cost} > {} {usage:?}", worst.usd());
    }

    #[test]
    fn what_fits_is_the_longest_that_costs_no_more(
        listed in prices(),
        text in 1_000..30_000_u64,
        choices in 1..4_u64,
        share in 0.0..1.2_f64,
    ) {
        let demand = Demand { choices, ..demand(text) };
        let worst = Worst::of(&demand, "m", &tariff(&listed), time(), Some(1_000), &[]).unwrap();
        let money = Usd::from_pico((worst.usd().pico() as f64 * share) as i128);
        match worst.fitting(money) {
            None => prop_assert!(worst.usd_for(1) > money),
            Some(longest) => {
                prop_assert!((1..=worst.output_max()).contains(&longest));
                prop_assert!(worst.usd_for(longest) <= money);
                prop_assert!(longest == worst.output_max() || worst.usd_for(longest + 1) > money);
            }
        }
        prop_assert!(worst.usd_for(1) <= worst.usd_for(2) && worst.usd_for(1_000) == worst.usd());
        prop_assert_eq!(worst.fitting(worst.usd()), Some(worst.output_max()));
    }
}
