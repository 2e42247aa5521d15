//! `tollgate spend`: what was spent, from the ledger.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use chrono::{Datelike, NaiveDate, Utc};

use crate::config::ProcessEnvironment;
use crate::snapshot::ledger_of;
use crate::spend::ledger::{By, Location, Query, Reader};
use crate::spend::report;

/// What `spend` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// What a line is about: team, key, model, target, day; several with commas between them
    #[arg(long, value_delimiter = ',', default_value = "team", value_parser = parse_by)]
    by: Vec<By>,
    /// The first day, in UTC: 2027-01-31, or `today`, `month` (the default), `all`
    #[arg(long, default_value = "month")]
    since: String,
    /// The day behind the last, in UTC
    #[arg(long)]
    until: Option<NaiveDate>,
    /// Only this team
    #[arg(long)]
    team: Option<String>,
    /// Only keys of this name
    #[arg(long)]
    key: Option<String>,
    /// Only what asked for this model
    #[arg(long)]
    model: Option<String>,
    /// Only what went to this target
    #[arg(long)]
    target: Option<String>,
    /// As JSON
    #[arg(long, group = "form")]
    json: bool,
    /// As CSV
    #[arg(long, group = "form")]
    csv: bool,
    /// As CSV in the columns of FinOps FOCUS, for every day, team, key, model and target
    #[arg(long, group = "form")]
    focus: bool,
    /// Check that the days' sums are what the ledger's rows come to
    #[arg(long, group = "form")]
    verify: bool,
    /// The configuration, whose ledger is read
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    config: Option<PathBuf>,
    /// The ledger itself: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
}

fn parse_by(text: &str) -> Result<By, String> {
    report::by(text).ok_or_else(|| "one of team, key, model, target, day".to_owned())
}

/// Reads the ledger and tells.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let location = location(arguments.config.as_deref(), arguments.ledger.as_deref())?;
    let reader = Reader::open(&location)?;
    if arguments.verify {
        return verify(&reader);
    }
    let query = Query {
        by: match arguments.focus {
            true => report::FOCUS_BY.to_vec(),
            false => arguments.by.clone(),
        },
        since: since(&arguments.since)?,
        until: arguments.until,
        team: arguments.team.clone(),
        key: arguments.key.clone(),
        model: arguments.model.clone(),
        target: arguments.target.clone(),
    };
    let spent = reader.report(&query)?;
    let mut out = std::io::stdout().lock();
    let text = if arguments.json {
        format!("{}\n", report::json(&query, &spent))
    } else if arguments.csv {
        report::csv(&query, &spent)
    } else if arguments.focus {
        report::focus(&spent)
    } else {
        report::table(&query, &spent, out.is_terminal())
    };
    match out.write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        done => done?,
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(reader: &Reader) -> Result<ExitCode> {
    let differences = reader.rebuild_check()?;
    for difference in &differences {
        println!(
            "{}: the sum is {}, the rows come to {}",
            difference.labels.join(" "),
            difference.sums.cost,
            difference.rows.cost
        );
    }
    Ok(match differences.is_empty() {
        true => {
            println!("the days' sums are what the rows come to");
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    })
}

fn since(text: &str) -> Result<Option<NaiveDate>> {
    let today = Utc::now().date_naive();
    Ok(match text {
        "all" => None,
        "today" => Some(today),
        "month" => today.with_day(1),
        day => {
            let day = day.parse();
            Some(day.with_context(|| format!("--since `{text}` is no day such as 2027-01-31"))?)
        }
    })
}

/// The configuration that is looked for where none is named.
const CONFIG: &str = "tollgate.yaml";

/// The ledger that is looked for where there is no configuration either.
const LEDGER: &str = "tollgate.db";

/// The ledger that is meant: named itself, or by a configuration, or one that is here.
pub(super) fn location(config: Option<&Path>, ledger: Option<&str>) -> Result<Location> {
    if let Some(url) = ledger {
        return Ok(Location::parse(url)?);
    }
    let file = config.unwrap_or(Path::new(CONFIG));
    if config.is_none() && !file.exists() && Path::new(LEDGER).exists() {
        return Ok(Location::Sqlite(LEDGER.into()));
    }
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| {
        let file = file.display();
        format!("cannot read {file}; name the configuration by --config, or the ledger by --ledger")
    })?;
    let name = file.display().to_string();
    match ledger_of(&name, &text, &ProcessEnvironment) {
        Ok(Some(settings)) => Ok(settings.location),
        Ok(None) => bail!("{name} has no ledger: add `ledger: sqlite:{LEDGER}`"),
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            bail!("the configuration's ledger cannot be read");
        }
    }
}
