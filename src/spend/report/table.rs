//! A report for people.

use super::name;
use crate::spend::Usd;
use crate::spend::ledger::{Query, Report, Totals};

/// Characters of the longest bar.
const BAR: usize = 24;

/// The longest label that is shown whole, in characters.
const LABEL_MAX: usize = 48;

/// A table with a line for each group and the total below; in a terminal with a bar for each group's share of the cost.
pub fn table(query: &Query, report: &Report, has_bars: bool) -> String {
    let mut head: Vec<String> = query.by.iter().map(|by| name(*by).to_owned()).collect();
    head.extend(
        [
            "cost",
            "requests",
            "input",
            "output",
            "cached",
            "errors",
            "estimated",
            "unpriced",
        ]
        .map(String::from),
    );
    let labels = query.by.len();
    let mut lines = vec![head];
    for group in &report.groups {
        let named = group.labels.iter().map(|label| shortened(label));
        lines.push(named.chain(cells(&group.totals)).collect());
    }
    let mut total = vec![String::new(); labels];
    if let Some(first) = total.first_mut() {
        *first = "total".to_owned();
    }
    total.extend(cells(&report.total));
    lines.push(total);
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let largest = report.groups.iter().map(|group| group.totals.cost).max();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            // Names to the left, numbers to the right.
            match column < labels {
                true => text.extend([cell.as_str(), &padding, "  "]),
                false => text.extend([padding.as_str(), cell, "  "]),
            }
        }
        let group = index
            .checked_sub(1)
            .and_then(|index| report.groups.get(index));
        if let (Some(group), Some(largest), true) = (group, largest, has_bars) {
            text.push_str(&bar(group.totals.cost, largest));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn cells(totals: &Totals) -> [String; 8] {
    [
        dollars(totals.cost),
        grouped(totals.requests),
        grouped(totals.usage.input_tokens),
        grouped(totals.usage.output_tokens),
        grouped(totals.usage.cache_read_tokens),
        grouped(totals.errors),
        grouped(totals.estimated),
        grouped(totals.unpriced),
    ]
}

/// To the cent, or to four digits of what is less than a dollar; rounded to the nearest, for the eye alone.
fn dollars(amount: Usd) -> String {
    let amount = amount.as_f64();
    match amount.abs() < 1.0 && amount != 0.0 {
        true => format!("${amount:.6}"),
        false => {
            let cents = format!("{:.2}", amount.abs());
            let (whole, rest) = cents.split_once('.').unwrap_or((&cents, "00"));
            let sign = if amount < 0.0 { "-" } else { "" };
            format!("{sign}${}.{rest}", separated(whole))
        }
    }
}

fn grouped(count: u64) -> String {
    separated(&count.to_string())
}

/// Digits with a comma before every three.
fn separated(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bar(cost: Usd, largest: Usd) -> String {
    let share = match largest > Usd::ZERO {
        true => (cost.as_f64() / largest.as_f64()).clamp(0.0, 1.0),
        false => 0.0,
    };
    // In eighths of a character.
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    ["█".repeat(eighths / 8).as_str(), part].concat()
}

/// What is no character for a terminal is shown as one; callers name models.
fn shortened(label: &str) -> String {
    let shown = label.chars().map(|c| if c.is_control() { '·' } else { c });
    let mut shown: String = shown.take(LABEL_MAX + 1).collect();
    if shown.chars().count() > LABEL_MAX {
        shown.pop();
        shown.push('…');
    }
    match shown.is_empty() {
        true => "-".to_owned(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn every_line_is_aligned_and_the_largest_has_the_longest_bar() {
        let (query, report) = report();
        let text = table(&query, &report, true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].ends_with(&"█".repeat(BAR)), "{text}");
        assert!(lines[1].contains("$1.50"), "{text}");
        assert!(lines[3].starts_with("total"), "{text}");
        assert!(!table(&query, &report, false).contains('█'));
    }

    #[test]
    fn numbers_are_easy_to_read() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(count), text);
        }
        for (pico, text) in [
            (0, "$0.00"),
            (1_234_567_890_000_000_000, "$1,234,567.89"),
            (1_234_000_000, "$0.001234"),
            (-5_000_000_000_000, "-$5.00"),
        ] {
            assert_eq!(dollars(Usd::from_pico(pico)), text);
        }
    }
}
