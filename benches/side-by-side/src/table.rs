//! The results as a Markdown table: medians over the rounds, and ratios to the first server, round by round.

use crate::Candidate;
use crate::rounds::{CONNECTIONS, Plan, Results, STEADY_PER_SECOND, STREAMS, StreamResults};

/// Values of one server, a round each.
type Values = Vec<f64>;

struct Row {
    title: String,
    decimals: usize,
    /// One for each server but the upstream itself.
    values: Vec<Values>,
    /// What is aimed at, if anything.
    aim: &'static str,
    /// Whether a ratio says anything.
    compared: bool,
}

/// Prints everything.
pub fn print(plan: &Plan, candidates: &[Candidate], results: &[Results]) {
    let (direct, measured) = results
        .split_last()
        .expect("the upstream itself is always measured");
    let names: Vec<&str> = candidates[..measured.len()]
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let first = names[0];
    let ratios = names[1..].iter().map(|name| format!("{name} ÷ {first}"));
    let columns: Vec<String> = names
        .iter()
        .map(|name| name.to_string())
        .chain(ratios)
        .collect();
    println!("| | {} | aim |", columns.join(" | "));
    println!("|---|{}---|", "--:|".repeat(columns.len()));
    for row in rows(direct, measured) {
        row.print();
    }
    println!();
    println!(
        "Medians of {} rounds ({} of them at the steady rate, {} of streams); a ratio is the median of the rounds' own \
         ratios, with the lowest and the highest in parentheses. Memory is the resident memory of all processes of a \
         server; pages that they share count once for each. Against the upstream itself: {} requests/s, p50 {} ms and \
         p99 {} ms at {STEADY_PER_SECOND} requests/s, chunks p50 {} ms and p99 {} ms with {} streams.",
        plan.busy_rounds,
        plan.steady_rounds,
        plan.stream_rounds,
        format_value(median(&direct.per_second), 0),
        format_value(median(&direct.p50), 3),
        format_value(median(&direct.p99), 3),
        format_value(median(&direct.streams[1].p50), 3),
        format_value(median(&direct.streams[1].p99), 3),
        STREAMS[1],
    );
}

fn rows(direct: &Results, measured: &[Results]) -> Vec<Row> {
    let each = |value: &dyn Fn(&Results) -> Values| measured.iter().map(value).collect::<Vec<_>>();
    let mut rows = vec![
        Row {
            title: format!("requests/s, {CONNECTIONS} connections"),
            decimals: 0,
            values: each(&|of| of.per_second.clone()),
            aim: "≥ 0.65",
            compared: true,
        },
        Row {
            title: "CPU per request, µs".to_owned(),
            decimals: 1,
            values: each(&|of| of.cpu_per_request.clone()),
            aim: "≤ 1.8",
            compared: true,
        },
        Row {
            title: format!("added at {STEADY_PER_SECOND} requests/s, p50, ms"),
            decimals: 3,
            values: each(&|of| added(&of.p50, &direct.p50)),
            aim: "",
            compared: false,
        },
        Row {
            title: format!("added at {STEADY_PER_SECOND} requests/s, p99, ms"),
            decimals: 3,
            values: each(&|of| added(&of.p99, &direct.p99)),
            aim: "",
            compared: false,
        },
        Row {
            title: "memory, idle, MiB".to_owned(),
            decimals: 1,
            values: each(&|of| vec![of.idle_memory]),
            aim: "≤ 25 MiB",
            compared: false,
        },
    ];
    for (number, count) in STREAMS.into_iter().enumerate() {
        let direct = &direct.streams[number];
        let each = |value: &dyn Fn(&StreamResults) -> Values| {
            measured
                .iter()
                .map(|of| value(&of.streams[number]))
                .collect::<Vec<_>>()
        };
        let row = |title: &str, decimals, values, aim, compared| Row {
            title: format!("{count} streams: {title}"),
            decimals,
            values,
            aim,
            compared,
        };
        let aim = if count == 500 { "≤ 1.5" } else { "" };
        rows.extend([
            row("chunks/s", 0, each(&|of| of.per_second.clone()), "", true),
            row(
                "CPU per chunk, µs",
                2,
                each(&|of| of.cpu_per_chunk.clone()),
                aim,
                true,
            ),
            row(
                "added per chunk, p50, ms",
                3,
                each(&|of| added(&of.p50, &direct.p50)),
                "",
                false,
            ),
            row(
                "added per chunk, p99, ms",
                3,
                each(&|of| added(&of.p99, &direct.p99)),
                "",
                false,
            ),
            row("memory, MiB", 1, each(&|of| of.memory.clone()), "", false),
        ]);
    }
    rows
}

/// What a server adds to the time that the upstream itself takes, round by round.
fn added(through: &[f64], direct: &[f64]) -> Values {
    through
        .iter()
        .zip(direct)
        .map(|(through, direct)| through - direct)
        .collect()
}

impl Row {
    fn print(&self) {
        let (first, others) = self.values.split_first().expect("there is a first server");
        let values = self
            .values
            .iter()
            .map(|values| format_value(median(values), self.decimals));
        let ratios = others.iter().map(|values| {
            if self.compared {
                ratio(values, first)
            } else {
                String::new()
            }
        });
        let cells: Vec<String> = values.chain(ratios).collect();
        println!("| {} | {} | {} |", self.title, cells.join(" | "), self.aim);
    }
}

/// The median of the rounds' own ratios, with the lowest and the highest.
pub fn ratio(values: &[f64], first: &[f64]) -> String {
    let mut ratios: Values = values
        .iter()
        .zip(first)
        .map(|(value, first)| value / first)
        .collect();
    ratios.sort_by(f64::total_cmp);
    match (ratios.first(), ratios.last()) {
        (Some(lowest), Some(highest)) => {
            format!("**{:.2}** ({lowest:.2}–{highest:.2})", median(&ratios))
        }
        _ => String::new(),
    }
}

/// The middle one; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// With a comma between thousands.
fn format_value(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    if decimals > 0 || value < 1000.0 {
        return plain;
    }
    let digits = plain.len();
    let grouped = plain.chars().enumerate().flat_map(|(index, digit)| {
        let comma = (index > 0 && (digits - index).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    });
    grouped.collect()
}
