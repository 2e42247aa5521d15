//! Ways to Redis, and what is said of those that lead nowhere.

use super::server::free_port;
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Why a store does not connect.
fn trouble(line: &str) -> String {
    let store = store(line);
    let told = || {
        store
            .trouble()
            .filter(|trouble| trouble != "not connected yet")
    };
    eventually("a reason", || told().is_some());
    told().unwrap_or_default()
}

#[test]
fn a_redis_that_is_not_there_is_told_and_waited_for() {
    let port = free_port();
    let store = store(&format!("redis://127.0.0.1:{port}"));
    eventually("a reason", || {
        let trouble = store.trouble().unwrap_or_default();
        trouble.contains("Connection refused") && trouble.contains(&port.to_string())
    });
    assert!(store.is_lost());
    assert_eq!(ask(&store, &ADD, "n", &["1"]), Err(NoAnswer::Lost));
}

#[test]
fn a_password_and_a_user_let_in_and_a_wrong_one_is_told() {
    let redis = Redis::with(&["--requirepass", "hunter2"]);
    let port = redis.port;
    // As docs/state.md has it.
    let user = "on >s3cret/ ~tollgate:* &tollgate:* +@all -@dangerous +info +role";
    let user: Vec<_> = user.split(' ').collect();
    let set_user = [&["ACL", "SETUSER", "gateway"][..], &user].concat();
    let made = redis.commands(&[&["AUTH", "hunter2"], &set_user]);
    assert!(made.starts_with("+OK"), "{made}");
    for login in [":hunter2", "gateway:s3cret%2F"] {
        reached(&store(&format!("redis://{login}@127.0.0.1:{port}")));
    }
    for login in ["", ":hunter3@", "gateway:hunter2@"] {
        let said = trouble(&format!("redis://{login}127.0.0.1:{port}"));
        assert!(
            said.contains("WRONGPASS") || said.contains("NOAUTH"),
            "{said}"
        );
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[test]
fn databases_are_apart() {
    let redis = Redis::start();
    let [first, second] = ["/1", "/2"].map(|database| store(&(redis.url() + database)));
    for store in [&first, &second] {
        reached(store);
        assert_eq!(ask(store, &ADD, "n", &["1"]), number(1));
    }
}

#[test]
fn tls_is_by_certificates_that_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut ours = CertificateParams::new(vec![]).unwrap();
    ours.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(ours, KeyPair::generate().unwrap()).unwrap();
    let root = write("root.pem", issuer.pem());
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let certificate = write("server.pem", certificate.pem());
    let key = write("server.key", key.serialize_pem());
    let redis = Redis::with(&[
        "--port",
        "0",
        "--tls-port",
        "{port}",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
        "--tls-auth-clients",
        "no",
        "--save",
        "",
    ]);
    let url = |host: &str| format!("rediss://{host}:{}", redis.port);
    for host in ["localhost", "127.0.0.1"] {
        let line = format!("{{ url: '{}', root_certificate: {root} }}", url(host));
        let store = store(&line);
        reached(&store);
        assert_eq!(ask(&store, &ADD, host, &["1"]), number(1));
    }
    let said = trouble(&url("localhost"));
    assert!(
        said.contains("TLS") && said.contains("UnknownIssuer"),
        "{said}"
    );
    // In clear to a port that speaks TLS.
    let said = trouble(&format!("redis://127.0.0.1:{}", redis.port));
    assert!(said.contains("127.0.0.1"), "{said}");
}

#[test]
fn a_redis_that_is_killed_is_lost_at_once_and_found_again() {
    let mut redis = Redis::start();
    let store = connected(&redis);
    assert_eq!(ask(&store, &ADD, "n", &["5"]), number(5));
    redis.kill();
    eventually("the loss", || store.is_lost());
    assert!(store.trouble().is_some());
    assert_eq!(ask(&store, &ADD, "n", &["1"]), Err(NoAnswer::Lost));
    redis.restart();
    reached(&store);
    assert_eq!(ask(&store, &ADD, "n", &["1"]), number(1));
    eventually("a settled era", || store.trouble().is_none());
}

#[test]
fn what_a_durable_redis_was_told_outlives_it() {
    let mut redis = Redis::durable();
    let store = connected(&redis);
    assert_eq!(ask(&store, &ADD, "n", &["5"]), number(5));
    redis.restart();
    eventually("the same number", || {
        ask(&store, &ADD, "n", &["0"]) == number(5)
    });
    redis.restart_empty();
    eventually("nothing", || ask(&store, &ADD, "n", &["0"]) == number(0));
}

#[test]
fn a_redis_that_hangs_is_noticed_and_every_call_answered() {
    let redis = Redis::start();
    let store = connected(&redis);
    redis.stop();
    for _ in 0..3 {
        assert_eq!(ask(&store, &ADD, "n", &["1"]), Err(NoAnswer::Lost));
    }
    eventually("the loss", || store.is_lost());
    let said = store.trouble().unwrap_or_default();
    assert!(said.contains("no answer within"), "{said}");
    // By now nothing is sent any more.
    assert_eq!(ask(&store, &ADD, "n", &["1"]), Err(NoAnswer::Lost));
    redis.go_on();
    reached(&store);
    assert!(ask(&store, &ADD, "n", &["1"]).is_ok());
}

#[test]
fn a_redis_that_hangs_is_noticed_without_a_call() {
    let redis = Redis::start();
    let store = connected(&redis);
    redis.stop();
    eventually("the loss", || store.is_lost());
    redis.go_on();
    reached(&store);
}

#[test]
fn too_few_replicas_of_redis_are_told() {
    let redis = Redis::start();
    let said = trouble(&format!("{{ url: '{}', replicas: 1 }}", redis.url()));
    assert!(said.contains("fewer than 1 replicas of Redis"), "{said}");
}

#[test]
fn a_replica_of_redis_will_not_do() {
    let master = Redis::start();
    let port = master.port.to_string();
    let replica = Redis::with(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    let said = trouble(&replica.url());
    assert!(said.contains("read only replica"), "{said}");
    let store = store(&format!("{{ url: '{}', replicas: 1 }}", master.url()));
    eventually("a write that the replica has in time", || {
        ask(&store, &ADD, "n", &["0"]) == number(0)
    });
}
