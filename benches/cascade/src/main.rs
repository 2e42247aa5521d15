//! Replays questions that two models have answered through the real gateway, and prints what a chain of the two costs and
//! how often it is right. `benches/cascade/run` builds and calls this.

mod figures;
mod gateway;
mod money;
mod question;
mod replay;

use std::env;
use std::io::{self, Error};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use figures::Outcome;
use gateway::{Gateway, Reply};
use money::Usd;
use replay::Replay;

const USAGE: &str = "usage: cascade GATEWAY CHAIN QUESTIONS
GATEWAY is the program, CHAIN its configuration, QUESTIONS a file of questions and answers.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [binary, chain, questions] => {
            run(Path::new(binary), Path::new(chain), Path::new(questions))
        }
        _ => Err(Error::other(USAGE)),
    };
    if let Err(error) = result {
        eprintln!("cascade: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(binary: &Path, chain: &Path, questions: &Path) -> io::Result<()> {
    let questions: Arc<[_]> = question::read(questions)?.into();
    let replay = Replay::start(Arc::clone(&questions))?;
    let gateway = Gateway::start(binary, chain, replay.address)?;
    let mut outcomes = Vec::with_capacity(questions.len());
    let mut told = Usd::default();
    for (index, question) in questions.iter().enumerate() {
        let ask = |model: &str| -> io::Result<Reply> {
            replay.turn_to(index);
            let reply = gateway.ask(&question.body(model));
            match replay.mistake() {
                Some(mistake) => Err(Error::other(mistake)),
                None => reply,
            }
        };
        let ask = |model: &str| {
            let id = &question.id;
            ask(model).map_err(|error| Error::other(format!("`{id}`, asked of `{model}`: {error}")))
        };
        let replies = [ask("cheap")?, ask("strong")?, ask("chain")?];
        told = replies
            .iter()
            .map(|reply| reply.cost)
            .fold(told, |told, cost| told + cost);
        let [cheap, strong, chain] = &replies;
        let outcome = Outcome::new(question, cheap, strong, chain);
        outcomes.push(outcome.ok_or_else(|| {
            let (id, target) = (&question.id, &chain.target);
            let steps = "`replay/cheap` and `replay/strong` are the steps that are replayed";
            Error::other(format!("`{id}` was answered by `{target}`: {steps}"))
        })?);
    }
    gateway.check_ledger(told)?;
    figures::print(&outcomes);
    Ok(())
}
