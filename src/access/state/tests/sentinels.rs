//! A Redis that sentinels watch, and its replica takes over.

use super::server::free_port;
use super::*;

/// A sentinel that watches `master`.
fn sentinel(master: &Redis, folder: &tempfile::TempDir) -> Redis {
    let file = folder.path().join(format!("{}.conf", free_port()));
    let port = master.port;
    let text = format!(
        "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 5000\n"
    );
    std::fs::write(&file, text).unwrap();
    Redis::with(&[file.to_str().unwrap(), "--sentinel"])
}

#[test]
fn the_replica_that_takes_over_is_found_and_has_all() {
    let mut master = Redis::start();
    let port = master.port.to_string();
    let replica = Redis::with(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    let folder = tempfile::tempdir().unwrap();
    let sentinel = sentinel(&master, &folder);
    let absent = free_port();
    let line = format!(
        "{{ url: 'redis://', sentinels: ['127.0.0.1:{absent}', '127.0.0.1:{}'], master: main }}",
        sentinel.port
    );
    let store = store(&line);
    reached(&store);
    assert_eq!(ask(&store, &ADD, "n", &["5"]), number(5));
    // It cannot promote what it has not heard of.
    eventually("the sentinel's knowledge", || {
        let known = sentinel.command(&["SENTINEL", "replicas", "main"]);
        known.contains(&replica.port.to_string())
    });
    let another = Redis::with(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    eventually("two replicas", || {
        let info = master.command(&["INFO", "replication"]);
        info.contains("connected_slaves:2") && !info.contains("wait_bgsave")
    });
    eventually("the sentinel's knowledge", || {
        let known = sentinel.command(&["SENTINEL", "replicas", "main"]);
        known.contains(&another.port.to_string())
    });
    assert_eq!(ask(&store, &ADD, "n", &["1"]), number(6));
    master.kill();
    eventually("the loss", || store.is_lost());
    reached(&store);
    eventually("the same number", || {
        ask(&store, &ADD, "n", &["0"]) == number(6)
    });
}

#[test]
fn a_name_that_no_sentinel_knows_is_told() {
    let master = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let sentinel = sentinel(&master, &folder);
    let line = format!(
        "{{ url: 'redis://', sentinels: ['127.0.0.1:{}'], master: other }}",
        sentinel.port
    );
    let store = store(&line);
    eventually("a reason", || {
        let trouble = store.trouble().unwrap_or_default();
        trouble.contains("it knows no `other`")
    });
}
