//! What came of it, as Markdown.

use std::collections::BTreeMap;

use crate::gateway::Reply;
use crate::money::Usd;
use crate::question::Question;

/// A question as the three models answered it.
pub struct Outcome<'q> {
    question: &'q Question,
    cheap: Usd,
    strong: Usd,
    chain: Usd,
    /// The gate that sent it up to the strong model.
    gate: Option<String>,
    /// Whether the chain's answer is right.
    is_right: bool,
}

/// A number of questions by what the cheap answer was worth.
#[derive(Default)]
struct Count {
    rightly: usize,
    wrongly: usize,
}

impl<'q> Outcome<'q> {
    /// Who answered is told by the chain's reply; None if it names neither model.
    pub fn new(
        question: &'q Question,
        cheap: &Reply,
        strong: &Reply,
        chain: &Reply,
    ) -> Option<Self> {
        let is_right = match chain.target.as_str() {
            "replay/cheap" => question.cheap.right,
            "replay/strong" => question.strong.right,
            _ => return None,
        };
        // An attempt's verdict stands behind its target; the cheap model's first one is that of its answer.
        let verdict = chain
            .route
            .split(", ")
            .find_map(|one| one.strip_prefix("replay/cheap;"));
        let gate = verdict.filter(|verdict| *verdict != "ok");
        Some(Self {
            question,
            cheap: cheap.cost,
            strong: strong.cost,
            chain: chain.cost,
            gate: gate.map(str::to_owned),
            is_right,
        })
    }

    /// What judges and further samples cost: all that is neither model's answer.
    fn opinions(&self) -> Usd {
        let answers = match self.gate {
            Some(_) => self.cheap + self.strong,
            None => self.cheap,
        };
        self.chain - answers
    }
}

/// Prints everything.
pub fn print(outcomes: &[Outcome<'_>]) {
    models(outcomes);
    println!();
    sentences(outcomes);
    println!();
    gates(outcomes);
    println!();
    kinds(outcomes);
}

fn models(outcomes: &[Outcome<'_>]) {
    let strong = sum(outcomes, |it| it.strong);
    let all = outcomes.len();
    let row = |name: &str, cost: Usd, right: fn(&Outcome<'_>) -> bool| {
        let right = count(outcomes, right);
        let (ratio, accuracy) = (cost.over(strong), percent(right, all));
        println!("| {name} | {cost} | {ratio:.2} | {right} of {all} | {accuracy} |");
    };
    println!("| | USD | ÷ strong only | right | accuracy |");
    println!("|---|--:|--:|--:|--:|");
    row("cheap only", sum(outcomes, |it| it.cheap), |it| {
        it.question.cheap.right
    });
    row("strong only", strong, |it| it.question.strong.right);
    row("the chain", sum(outcomes, |it| it.chain), |it| it.is_right);
}

fn sentences(outcomes: &[Outcome<'_>]) {
    let (up, kept): (Vec<_>, Vec<_>) = outcomes.iter().partition(|it| it.gate.is_some());
    let is_wrong = |it: &&&Outcome<'_>| !it.question.cheap.right;
    let rightly = up.iter().filter(is_wrong).count();
    let mended = up.iter().filter(is_wrong).filter(|it| it.is_right);
    let spoilt = up
        .iter()
        .filter(|it| it.question.cheap.right && !it.is_right);
    println!(
        "Sent up: {} of {} ({}). {rightly} rightly, since the cheap answer was wrong (the strong one was right in {}), and {} \
         wrongly (there the strong one was wrong in {}). Kept: {}, of them {} wrong ones that no gate saw.",
        up.len(),
        outcomes.len(),
        percent(up.len(), outcomes.len()),
        mended.count(),
        up.len() - rightly,
        spoilt.count(),
        kept.len(),
        kept.iter().filter(is_wrong).count(),
    );
    let strong = sum(outcomes, |it| it.strong);
    let chain = sum(outcomes, |it| it.chain);
    println!(
        "Saved: {} USD of {strong} ({:.1} %), with {} for cheap answers that were thrown away and {} for judges and samples.",
        strong - chain,
        100.0 - 100.0 * chain.over(strong),
        up.iter().map(|it| it.cheap).sum::<Usd>(),
        sum(outcomes, |it| it.opinions()),
    );
}

fn gates(outcomes: &[Outcome<'_>]) {
    let mut gates: BTreeMap<&str, Count> = BTreeMap::new();
    for outcome in outcomes {
        let Some(gate) = &outcome.gate else { continue };
        let count = gates.entry(gate).or_default();
        match outcome.question.cheap.right {
            true => count.wrongly += 1,
            false => count.rightly += 1,
        }
    }
    println!("| gate | sent up | rightly | wrongly |");
    println!("|---|--:|--:|--:|");
    for (gate, Count { rightly, wrongly }) in gates {
        println!(
            "| `{gate}` | {} | {rightly} | {wrongly} |",
            rightly + wrongly
        );
    }
}

fn kinds(outcomes: &[Outcome<'_>]) {
    let mut kinds: Vec<&str> = Vec::new();
    for outcome in outcomes {
        let kind = outcome.question.kind.as_str();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    println!("| kind | questions | cheap right | strong right | chain right | sent up |");
    println!("|---|--:|--:|--:|--:|--:|");
    for kind in kinds {
        let count =
            |is: fn(&Outcome<'_>) -> bool| count(outcomes, |it| it.question.kind == kind && is(it));
        println!(
            "| {kind} | {} | {} | {} | {} | {} |",
            count(|_| true),
            count(|it| it.question.cheap.right),
            count(|it| it.question.strong.right),
            count(|it| it.is_right),
            count(|it| it.gate.is_some()),
        );
    }
}

fn count(outcomes: &[Outcome<'_>], is: impl Fn(&Outcome<'_>) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

fn sum(outcomes: &[Outcome<'_>], cost: impl Fn(&Outcome<'_>) -> Usd) -> Usd {
    outcomes.iter().map(cost).sum()
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}
