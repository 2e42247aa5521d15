//! Puts the same load on nginx as a proxy and on Tollgate, in turns, and prints what each costs beside the other.
//! `benches/side-by-side/run` starts the servers and calls this.

mod pacer;
mod process;
mod requests;
mod rounds;
mod stand;
mod streams;
mod table;
mod tails;
mod upstream;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use process::Server;
use rounds::Plan;

/// A server under load.
pub struct Candidate {
    /// What the table calls it.
    pub name: String,
    /// Where it is asked for whole answers.
    pub requests: SocketAddr,
    /// Where it is asked for streams.
    pub streams: SocketAddr,
    /// Its processes; the upstream itself is not measured.
    pub server: Option<Server>,
}

/// How it is called.
pub const USAGE: &str = "usage: side-by-side ports COUNT
       side-by-side measure [--quick] --key KEY --paced ADDRESS --direct ADDRESS --candidate NAME REQUESTS STREAMS PID …
       side-by-side dead [--quick] --key KEY --gateway ADDRESS --well ADDRESS --well ADDRESS --stalling ADDRESS
       side-by-side hedged [--quick] --key KEY --gateway ADDRESS --well ADDRESS --well ADDRESS
The first candidate is what the others are compared with; --direct is the upstream of whole answers, --paced where this
program itself serves the streams; --well and --stalling are where it serves upstreams.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ports", count] => print_ports(count),
        ["measure", ..] => measure(arguments.into_iter().skip(1)),
        ["dead", ..] => stand::dead(arguments.into_iter().skip(1)),
        ["hedged", ..] => stand::hedged(arguments.into_iter().skip(1)),
        _ => Err(io::Error::other(USAGE)),
    };
    if let Err(error) = result {
        eprintln!("side-by-side: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints so many ports that are free now.
fn print_ports(count: &str) -> io::Result<()> {
    let count = count
        .parse::<usize>()
        .map_err(|_| io::Error::other(USAGE))?;
    let listeners = (0..count.min(64)).map(|_| TcpListener::bind("127.0.0.1:0"));
    for listener in listeners.collect::<io::Result<Vec<_>>>()? {
        println!("{}", listener.local_addr()?.port());
    }
    Ok(())
}

fn measure(mut arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let (mut key, mut paced, mut direct) = (String::new(), None, None);
    let mut plan = Plan::FULL;
    let mut candidates = Vec::new();
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| io::Error::other(USAGE));
        match name.as_str() {
            "--quick" => plan = Plan::QUICK,
            "--key" => key = value()?,
            "--paced" => paced = Some(address(&value()?)?),
            "--direct" => direct = Some(address(&value()?)?),
            "--candidate" => candidates.push(Candidate {
                name: value()?,
                requests: address(&value()?)?,
                streams: address(&value()?)?,
                server: Some(Server(value()?.parse().map_err(io::Error::other)?)),
            }),
            _ => return Err(io::Error::other(USAGE)),
        }
    }
    let (Some(paced), Some(direct)) = (paced, direct) else {
        return Err(io::Error::other(USAGE));
    };
    if candidates.is_empty() {
        return Err(io::Error::other(USAGE));
    }
    candidates.push(Candidate {
        name: "direct".to_owned(),
        requests: direct,
        streams: paced,
        server: None,
    });
    let enough = Arc::new(AtomicBool::new(false));
    serve_streams(paced, Arc::clone(&enough))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(rounds::all(&plan, &candidates, &key, &enough))?;
    table::print(&plan, &candidates, &results);
    Ok(())
}

/// The upstream of streams, on a thread of its own so that it keeps its pace.
fn serve_streams(address: SocketAddr, enough: Arc<AtomicBool>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    pacer::stamp(); // the clock starts before anything is stamped
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            pacer::serve(tokio::net::TcpListener::from_std(listener)?, enough).await
        })
    });
    Ok(())
}

/// Reads an address.
pub fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse()
        .map_err(|_| io::Error::other(format!("not an address: {text}")))
}
