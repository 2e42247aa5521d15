//! A ledger that cannot be used ends the start, with words that help.

use std::path::Path;

use rusqlite::Connection;

use super::{Home, config, sqlite};
use crate::harness::run;

/// A folder in which nobody may make a file, root included.
const FORBIDDEN: &str = "/proc";

#[tokio::test]
async fn a_ledger_that_cannot_be_made_ends_the_start() {
    let home = Home::new();
    let folder = "its folder must exist, on a local disk, and both must be writable";
    for path in [
        home.ledger().join("tollgate.db"),
        home.0.path().to_owned(),
        Path::new(FORBIDDEN).join("tollgate.db"),
    ] {
        assert_refuses(&home, &path, folder);
    }
    let unreachable = "postgres://a:hunter2@127.0.0.1:1/spend";
    let said = refusal(&home, unreachable);
    for words in [
        "postgres://a@127.0.0.1:1/spend",
        "check that the server runs",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_ends_the_start_and_stays_as_it_is() {
    let home = Home::new();
    let path = home.ledger();
    let text = "This is a diary, and no database at all.\n".repeat(500);
    std::fs::write(&path, &text).expect("a file in the test's own directory");
    assert_stays_as_it_is(&home, "this one is left as it is");

    std::fs::remove_file(&path).expect("our own file");
    let other = Connection::open(&path).expect("a database");
    other
        .execute_batch("CREATE TABLE diary (day, said)")
        .expect("a table");
    drop(other);
    assert_stays_as_it_is(&home, "the database of another program");
}

#[tokio::test]
async fn a_damaged_ledger_ends_the_start_and_stays_as_it_is() {
    let home = Home::new();
    let mut gateway = home.gateway().await;
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    drop(gateway);
    let mut bytes = std::fs::read(home.ledger()).expect("the ledger");
    bytes[100..8192].fill(0x5a);
    std::fs::write(home.ledger(), bytes).expect("our own file");
    assert_stays_as_it_is(&home, "this one is left as it is");
}

#[tokio::test]
async fn a_ledger_that_somebody_holds_ends_the_start() {
    let home = Home::new();
    let holder = Connection::open(home.ledger()).expect("a database");
    holder
        .execute_batch("BEGIN EXCLUSIVE")
        .expect("a lock on our own file");
    let help = "find out which program or session holds it";
    assert_refuses(&home, &home.ledger(), help);
    holder.execute_batch("ROLLBACK").expect("our own lock");
    home.gateway().await;
}

#[track_caller]
fn assert_stays_as_it_is(home: &Home, help: &str) {
    let before = std::fs::read(home.ledger()).expect("the file");
    assert_refuses(home, &home.ledger(), help);
    let after = std::fs::read(home.ledger()).expect("the file");
    assert!(before == after, "the file was changed");
}

#[track_caller]
fn assert_refuses(home: &Home, path: &Path, help: &str) {
    let said = refusal(home, &sqlite(path));
    let path = path.display().to_string();
    for words in [path.as_str(), help] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

/// What a gateway with this ledger says when it does not start.
#[track_caller]
fn refusal(home: &Home, ledger: &str) -> String {
    let file = home.0.path().join("tollgate.yaml");
    std::fs::write(&file, config(ledger)).expect("a file in the test's own directory");
    let output = run(["serve", "--config", file.to_str().expect("a plain path")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "it never listened: {output:?}");
    said
}
