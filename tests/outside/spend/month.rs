//! A month of a hundred thousand attempts: what is reported is their sum, to the last pico-dollar.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tempfile::TempDir;
use tollgate::dialect::Usage;
use tollgate::spend::Usd;
use tollgate::spend::ledger::{CacheResult, Ledger, Location, PriceUsed, Row, Settings};

use super::spent;

/// 2026-03-01T00:00:00Z, in milliseconds of Unix time.
pub(super) const MARCH: i64 = 1_772_323_200_000;
pub(super) const DAY_MS: i64 = 86_400_000;

/// A ledger in this folder, and how the command line names it.
pub(super) fn open(home: &TempDir) -> (Ledger, String) {
    let path = home.path().join("ledger.db");
    let settings = Settings {
        location: Location::Sqlite(path.clone()),
        commit_every: Duration::from_millis(200),
        keep: Duration::from_secs(100 * 365 * 86_400),
    };
    let ledger = Ledger::open(&settings, |_, message, _| panic!("{message}"));
    (
        ledger.expect("a ledger"),
        format!("sqlite:{}", path.display()),
    )
}

/// A row of what an attempt cost.
pub(super) fn row<'a>(
    time_ms: i64,
    team: &'a str,
    target: &'a str,
    usage: Usage,
    cost: Option<Usd>,
) -> Row<'a> {
    static PRICE: LazyLock<Arc<PriceUsed>> = LazyLock::new(|| {
        Arc::new(PriceUsed {
            id: "generated#0".to_owned(),
            json: "[]".to_owned(),
        })
    });
    Row {
        id: uuid::Uuid::now_v7(),
        time_ms,
        request_id: "generated",
        attempt: 1,
        team,
        key: "prod",
        model: "fast",
        target,
        usage,
        estimated: false,
        cost,
        price: cost.map(|_| &*PRICE),
        cache: CacheResult::Off,
        savings: Usd::ZERO,
        status: 200,
        verdict: None,
        latency_ms: 7,
        stream: false,
        user: "",
        metadata: "",
        reason: None,
    }
}

#[test]
fn the_report_of_a_month_is_the_sum_of_its_hundred_thousand_rows() {
    const ROWS: u64 = 100_000;
    const TEAMS: [&str; 4] = ["ads", "mail", "search", "shop"];
    let home = TempDir::new().expect("a temporary directory");
    let (ledger, url) = open(&home);
    let mut sums: BTreeMap<&str, (Usd, u64, u64, u64, u64)> = BTreeMap::new();
    // From the last day before the month to the first behind it.
    let (first, last) = (MARCH - DAY_MS, MARCH + 32 * DAY_MS);
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for number in 0..ROWS {
        let team = TEAMS[next(4) as usize];
        let time_ms = first + (last - first) / ROWS as i64 * number as i64;
        let usage = Usage {
            input_tokens: next(100_000),
            output_tokens: next(5_000),
            ..Usage::default()
        };
        // Odd pico-dollars in the halves below and above a micro-dollar; one in fifty has no price.
        let amount = i128::from(next(1_000_000_000_000)) * i128::from(next(7));
        let cost = (next(50) > 0).then(|| Usd::from_pico(amount));
        let target = ["openai/gpt-5-mini", "claude/claude-sonnet-4-5"][next(2) as usize];
        ledger.push(&row(time_ms, team, target, usage, cost));
        if (MARCH..MARCH + 31 * DAY_MS).contains(&time_ms) {
            let sum = sums.entry(team).or_default();
            sum.0 += cost.unwrap_or_default();
            sum.1 += usage.input_tokens;
            sum.2 += usage.output_tokens;
            sum.3 += 1;
            sum.4 += u64::from(cost.is_none());
        }
        if number % 20_000 == 0 {
            assert!(ledger.flush(Duration::from_secs(60)));
        }
    }
    assert!(ledger.close(Duration::from_secs(60)));

    let month = ["--since", "2026-03-01", "--until", "2026-04-01"];
    let told = spent(&url, &month);
    let groups = told["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), sums.len(), "{told}");
    for group in groups {
        let (cost, input, output, requests, unpriced) =
            sums[group["team"].as_str().expect("a team")];
        assert_eq!(group["cost_usd"], cost.to_string(), "{group}");
        assert_eq!(group["usage"]["input_tokens"], input, "{group}");
        assert_eq!(group["usage"]["output_tokens"], output, "{group}");
        assert_eq!(group["requests"], requests, "{group}");
        assert_eq!(group["unpriced"], unpriced, "{group}");
    }
    let total: Usd = sums.values().map(|sum| sum.0).sum();
    assert_eq!(told["total"]["cost_usd"], total.to_string());
    let costs: Vec<f64> = groups
        .iter()
        .map(|group| {
            group["cost_usd"]
                .as_str()
                .expect("a string")
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(
        costs.is_sorted_by(|a, b| a >= b),
        "what cost most comes first: {costs:?}"
    );
    let days = spent(&url, &[&month[..], &["--by", "day"]].concat());
    assert_eq!(days["groups"].as_array().map(Vec::len), Some(31));
    assert_eq!(days["total"], told["total"]);
    let verified = crate::harness::run(["spend", "--ledger", &url, "--verify"]);
    assert!(verified.status.success(), "{verified:?}");
}
