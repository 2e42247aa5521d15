//! Fields as providers write them.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::provider::allowance::told::Quota;

/// What an answer with these fields says, `name: value` a line.
fn read(status: u16, fields: &str, now: Instant) -> Told {
    let mut map = HeaderMap::new();
    for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.trim().as_bytes()).unwrap();
        map.append(
            name,
            HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
        );
    }
    let utc = "2026-03-01T12:00:00.400Z".parse().unwrap();
    Told::read(StatusCode::from_u16(status).unwrap(), &map, now, utc)
}

fn steady(limit: u64, remaining: u64, after: Duration) -> Option<Quota> {
    Some(Quota {
        limit: Some(limit),
        remaining,
        reset: Reset::After(after),
        is_steady: true,
    })
}

fn window(limit: u64, remaining: u64, after: Duration) -> Option<Quota> {
    steady(limit, remaining, after).map(|quota| Quota {
        is_steady: false,
        ..quota
    })
}

fn at(quota: Option<Quota>, reset: Instant) -> Option<Quota> {
    quota.map(|quota| Quota {
        reset: Reset::At(reset),
        ..quota
    })
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn each_provider_is_understood() {
    let now = Instant::now();
    let openai = "
        x-ratelimit-limit-requests: 3500
        x-ratelimit-limit-tokens: 150000
        x-ratelimit-limit-tokens_usage_based: 1
        x-ratelimit-remaining-requests: 3499
        x-ratelimit-remaining-tokens: 149984
        x-ratelimit-remaining-tokens_usage_based: 0
        x-ratelimit-reset-requests: 17ms
        x-ratelimit-reset-tokens: 6m0s";
    let groq = "
        retry-after: 2
        x-ratelimit-limit-requests: 14400
        x-ratelimit-limit-tokens: 8000
        x-ratelimit-remaining-requests: 14370
        x-ratelimit-remaining-tokens: 7927
        x-ratelimit-reset-requests: 2m59.56s
        x-ratelimit-reset-tokens: 547ms";
    let azure = "
        x-ratelimit-limit-requests: 20000
        x-ratelimit-remaining-requests: 19999
        x-ratelimit-limit-tokens: 2000000
        x-ratelimit-remaining-tokens: 1999962
        x-ratelimit-renewalperiod-requests: 60
        x-ratelimit-renewalperiod-tokens: 60
        x-ratelimit-reset-requests: 3
        x-ratelimit-reset-tokens: 1
        x-ratelimit-abusepenalty-active: False";
    let cerebras = "
        x-ratelimit-limit-requests-day: 14400
        x-ratelimit-limit-tokens-day: 1000000
        x-ratelimit-limit-tokens-minute: 60000
        x-ratelimit-remaining-requests-day: 14399
        x-ratelimit-remaining-tokens-day: 999000
        x-ratelimit-remaining-tokens-minute: 59000
        x-ratelimit-reset-requests-day: 33011.5
        x-ratelimit-reset-tokens-day: 33011.5
        x-ratelimit-reset-tokens-minute: 11.25";
    let mistral = "
        ratelimitbysize-limit: 500000
        ratelimitbysize-query-cost: 32007
        ratelimitbysize-reset: 40
        x-ratelimitbysize-limit-minute: 500000
        x-ratelimitbysize-limit-month: 10000000000
        x-ratelimitbysize-remaining-minute: 467993
        x-ratelimitbysize-remaining-month: 1";
    let nothing = [None; UNITS];
    for (fields, expected) in [
        (
            openai,
            [
                steady(3_500, 3_499, ms(17)),
                steady(150_000, 149_984, ms(360_000)),
                None,
                None,
            ],
        ),
        (
            groq,
            [
                steady(14_400, 14_370, ms(179_560)),
                steady(8_000, 7_927, ms(547)),
                None,
                None,
            ],
        ),
        (
            azure,
            [
                window(20_000, 19_999, ms(3_000)),
                window(2_000_000, 1_999_962, ms(1_000)),
                None,
                None,
            ],
        ),
        (
            cerebras,
            [
                window(14_400, 14_399, ms(33_011_500)),
                window(60_000, 59_000, ms(11_250)),
                None,
                None,
            ],
        ),
        (
            mistral,
            [None, window(500_000, 467_993, ms(40_000)), None, None],
        ),
        // Nobody says when: Azure of old, and Mistral of late.
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-remaining-tokens: 0",
            nothing,
        ),
        (
            "x-ratelimit-limit-req-minute: 60\nx-ratelimit-remaining-req-minute: 0",
            nothing,
        ),
    ] {
        let told = read(200, fields, now);
        for (quota, expected) in told.quotas.iter().zip(expected) {
            assert_eq!(*quota, expected, "{fields}");
        }
        assert_eq!(told.retry_after, None, "nobody was refused");
    }
}

#[test]
fn dates_are_of_the_providers_clock() {
    let now = Instant::now();
    let anthropic = "
        anthropic-ratelimit-requests-limit: 4000
        anthropic-ratelimit-requests-remaining: 3999
        anthropic-ratelimit-requests-reset: 2026-03-01T12:00:01Z
        anthropic-ratelimit-tokens-limit: 480000
        anthropic-ratelimit-tokens-remaining: 471000
        anthropic-ratelimit-tokens-reset: 2026-03-01T12:00:02Z
        anthropic-ratelimit-input-tokens-limit: 400000
        anthropic-ratelimit-input-tokens-remaining: 0
        anthropic-ratelimit-input-tokens-reset: 2026-03-01T12:01:00+00:00
        anthropic-ratelimit-output-tokens-limit: 80000
        anthropic-ratelimit-output-tokens-remaining: 79000
        anthropic-ratelimit-output-tokens-reset: 2026-03-01T07:00:03-05:00";
    let told = |fields: &str| read(200, &[anthropic, fields].concat(), now).quotas;
    let expected = |late: u64| {
        [
            at(steady(4_000, 3_999, ms(0)), now + ms(600 + late)),
            at(steady(480_000, 471_000, ms(0)), now + ms(1_600 + late)),
            at(steady(400_000, 0, ms(0)), now + ms(59_600 + late)),
            at(steady(80_000, 79_000, ms(0)), now + ms(2_600 + late)),
        ]
    };
    assert_eq!(told(""), expected(0));
    let dated = |date: &str| told(&format!("\ndate: Sun, 01 Mar 2026 {date} GMT"));
    assert_eq!(dated("12:00:00"), expected(0));
    // Its clock is behind ours, by half a second at the least, or by an hour; or it is ahead.
    assert_eq!(dated("11:59:59"), expected(400));
    assert_eq!(
        dated("11:00:00")[2],
        at(steady(400_000, 0, ms(0)), now + ms(3_659_000))
    );
    assert_eq!(
        dated("12:00:30")[2],
        at(steady(400_000, 0, ms(0)), now + ms(30_000))
    );
    assert_eq!(dated("12:00:30")[0], at(steady(4_000, 3_999, ms(0)), now));
    assert_eq!(told("\ndate: yesterday"), expected(0));

    let openrouter = "
        x-ratelimit-limit: 50
        x-ratelimit-remaining: 0
        x-ratelimit-reset: 1772366460000";
    let seconds = openrouter.replace("460000", "460");
    for fields in [openrouter, &seconds] {
        let quota = at(window(50, 0, ms(0)), now + ms(59_600));
        assert_eq!(read(200, fields, now).quotas[0], quota, "{fields}");
    }
}

#[test]
fn what_a_refusal_says_is_when_to_come_again() {
    let now = Instant::now();
    for (status, fields, expected) in [
        (429, "retry-after: 17", Some(ms(17_000))),
        (503, "retry-after: 0.5", Some(ms(500))),
        (529, "retry-after-ms: 1250\nretry-after: 2", Some(ms(1_250))),
        (429, "retry-after-ms: soon\nretry-after: 2", Some(ms(2_000))),
        (
            429,
            "retry-after: Sun, 01 Mar 2026 12:00:10 GMT",
            Some(ms(9_600)),
        ),
        (
            429,
            "retry-after: Sun, 01 Mar 2026 11:00:10 GMT",
            Some(ms(0)),
        ),
        (429, "", None),
        (429, "retry-after: -1", None),
        (429, "retry-after: tomorrow", None),
        (500, "retry-after: 17", None),
        (200, "retry-after: 17", None),
    ] {
        assert_eq!(read(status, fields, now).retry_after, expected, "{fields}");
    }
    let long = read(429, "retry-after: 99999999999999999999999999", now).retry_after;
    assert!(long.unwrap() < Duration::from_secs(100 * 24 * 60 * 60));
}

#[test]
fn nonsense_is_not_there() {
    let now = Instant::now();
    for (remaining, reset) in [
        ("", "1s"),
        ("-1", "1s"),
        ("many", "1s"),
        ("1e3", "1s"),
        ("99999999999999999999", "1s"),
        ("0", ""),
        ("0", "s"),
        ("0", "."),
        ("0", "1.2.3s"),
        ("0", "5 minutes"),
        ("0", "1h2"),
        ("0", "1y"),
        ("0", "-3"),
        ("0", "NaN"),
        ("0", "inf"),
        ("0", "1e9"),
        ("0", "2026-03-01"),
        ("0", "\u{e9}"),
    ] {
        let fields =
            format!("x-ratelimit-remaining-tokens: {remaining}\nx-ratelimit-reset-tokens: {reset}");
        assert_eq!(read(200, &fields, now), Told::default(), "{fields}");
    }
    let others = "
        x-ratelimit-limit: 100, 100;window=60
        x-ratelimit-type: tokens
        x-ratelimit-remaining-images: 0
        x-ratelimit-reset-images: 9s
        x-ratelimit-remaining-tokens-fortnight: 0
        anthropic-ratelimit-unified-status: allowed
        anthropic-ratelimit-requests: 1
        ratelimit-remaining: 0";
    assert_eq!(read(200, others, now), Told::default());
    // Under such a limit nothing could ever be sent: whoever says so has none.
    let none = "
        x-ratelimit-limit-tokens: 0
        x-ratelimit-remaining-tokens: 0
        x-ratelimit-reset-tokens: 60";
    assert_eq!(read(200, none, now), Told::default());
    for reset in [
        "999999999999d",
        "999999999",
        "99999999999999999999",
        "9999-12-31T23:59:59Z",
    ] {
        let fields = format!("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: {reset}");
        let told = read(200, &fields, now).quotas[1];
        let bound = Duration::from_secs(40 * 24 * 60 * 60);
        match told.map(|quota| quota.reset) {
            Some(Reset::After(delay)) => assert!(delay <= bound, "{reset}"),
            Some(Reset::At(time)) => assert!(time <= now + bound, "{reset}"),
            None => {}
        }
    }
}
