//! Replicas, their purses and an account in a world where everything goes wrong that can: messages are late, lost and out of
//! order, processes die at any moment, what keeps the account dies and forgets, limits change, streams are cut, clocks differ.
//! Each run is made by its seed, so a failure repeats.
//!
//! Three things are held against the truth, which is what the providers were paid: it never exceeds the budget; nobody is told
//! that a budget is spent while what is left holds what he needs; and when all is quiet the counters are what the ledger says.

mod store;
mod world;

use world::{Setting, World};

/// How many worlds `cargo test` makes.
const SEEDS: u64 = 2_000;

fn settings(seed: u64) -> [Setting; 6] {
    let setting = |replicas, is_in_memory, has_crashes, has_losses| Setting {
        seed,
        replicas,
        is_in_memory,
        has_crashes,
        has_losses,
        forgets: None,
    };
    [
        setting(1, true, true, false),
        setting(1, true, false, false),
        setting(3, false, false, false),
        setting(3, false, true, false),
        setting(3, false, false, true),
        setting(4, false, true, true),
    ]
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn a_budget_is_never_exceeded_whatever_goes_wrong() {
    let first = number("TOLLGATE_SEED").unwrap_or(0);
    let mut admitted = 0;
    for seed in first..first + number("TOLLGATE_SEEDS").unwrap_or(SEEDS) {
        let settings = settings(seed);
        let setting = settings[seed as usize % settings.len()];
        let ended = std::panic::catch_unwind(|| {
            let mut world = World::new(setting);
            world.run();
            world.admitted()
        });
        match ended {
            Ok(count) => admitted += count,
            Err(panic) => {
                eprintln!("this was TOLLGATE_SEED={seed} TOLLGATE_SEEDS=1: {setting:?}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{admitted} requests were admitted");
}

#[test]
fn a_settlement_that_is_forgotten_is_noticed() {
    let noticed = (0..50).all(|seed| {
        let setting = Setting {
            forgets: Some(3),
            ..settings(seed)[2]
        };
        std::panic::catch_unwind(|| World::new(setting).run()).is_err()
    });
    assert!(noticed);
}
