//! The command line: one file a command.

mod check;
mod keys;
mod ledger;
mod lines;
mod price;
mod route;
mod schema;
mod serve;
mod spend;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An LLM gateway: one binary between applications and model providers.
#[derive(Parser)]
#[command(name = "tollgate", version)]
struct Tollgate {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve(serve::Arguments),
    /// Report every mistake of a configuration file
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Make keys
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Price providers' answers, a JSON line each
    Price(price::Arguments),
    /// Tell where requests would go and why, a JSON line each; asks nobody
    Route(route::Arguments),
    /// Tell what was spent
    Spend(spend::Arguments),
    /// Put the ledger right
    Ledger {
        #[command(subcommand)]
        command: ledger::Command,
    },
}

/// Runs the program with the process's arguments. Wrong usage exits with 2.
pub fn run() -> ExitCode {
    let arguments = Tollgate::parse();
    let done = match arguments.command {
        None => serve::run(&arguments.serve),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Check { file }) => check::run(&file),
        Some(Command::Schema) => schema::run(),
        Some(Command::Keys { command }) => keys::run(&command),
        Some(Command::Price(arguments)) => price::run(&arguments),
        Some(Command::Route(arguments)) => route::run(&arguments),
        Some(Command::Spend(arguments)) => spend::run(&arguments),
        Some(Command::Ledger { command }) => ledger::run(&command),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
