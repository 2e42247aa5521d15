//! A gateway before upstreams that fare badly: what `benches/side-by-side/reliability` measures.

use std::io;
use std::net::SocketAddr;

use crate::tails::{self, Load, Tail};
use crate::upstream::{self, Calls, Manner};
use crate::{USAGE, address};

/// A gateway, and where its upstreams are to be.
pub struct Stand {
    pub gateway: SocketAddr,
    pub key: String,
    pub rounds: usize,
    well: Vec<SocketAddr>,
    stalling: Vec<SocketAddr>,
}

/// A model with a target that is dead beside two that are well, and the same one without it: twice, which tells by how much
/// two that are alike differ.
pub fn dead(arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let stand = Stand::read(arguments)?;
    upstream::serve(&stand.well, Manner::AtOnce)?;
    let calls = upstream::serve(&stand.stalling, Manner::Never)?;
    let load = Load {
        models: &["without", "again", "refusing", "stalling"],
        streams: false,
        per_second: 400,
    };
    let tails = stand.measure(&load, &calls)?;
    let names = [
        "without it",
        "without it, again",
        "it refuses",
        "it never answers",
    ];
    let calls = |tail: &Tail| tail.calls.to_string();
    tails::print(&names, "calls to it", calls, "p99 ≤ 1.1", &tails);
    Ok(())
}

/// A model of two targets whose answers take long now and then, with a second call for those and without.
pub fn hedged(arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let stand = Stand::read(arguments)?;
    let calls = upstream::serve(&stand.well, Manner::SlowNowAndThen)?;
    let load = Load {
        models: &["plain", "hedged"],
        streams: true,
        per_second: 100,
    };
    let tails = stand.measure(&load, &calls)?;
    let extra = |tail: &Tail| format!("{:.1} %", tail.extra_calls());
    tails::print(
        load.models,
        "extra calls",
        extra,
        "≤ 5 % extra calls",
        &tails,
    );
    Ok(())
}

impl Stand {
    fn read(mut arguments: impl Iterator<Item = String>) -> io::Result<Self> {
        let (mut gateway, mut key, mut rounds) = (None, String::new(), 15);
        let (mut well, mut stalling) = (Vec::new(), Vec::new());
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| io::Error::other(USAGE));
            match name.as_str() {
                "--quick" => rounds = 2,
                "--key" => key = value()?,
                "--gateway" => gateway = Some(address(&value()?)?),
                "--well" => well.push(address(&value()?)?),
                "--stalling" => stalling.push(address(&value()?)?),
                _ => return Err(io::Error::other(USAGE)),
            }
        }
        Ok(Self {
            gateway: gateway.ok_or_else(|| io::Error::other(USAGE))?,
            key,
            rounds,
            well,
            stalling,
        })
    }

    fn measure(&self, load: &Load, calls: &Calls) -> io::Result<Vec<Tail>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(tails::measure(self, load, calls))
    }
}
