//! The configuration.

use super::*;
use crate::access::state::{Address, Location, WhenStoreLost};

fn settings(line: &str) -> Settings {
    let (settings, said) = resolve(line);
    settings.unwrap_or_else(|| panic!("{line}: {said}"))
}

fn address(host: &str, port: u16) -> Address {
    Address {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn memory_is_no_shared_state() {
    for line in ["memory", "{ url: memory }"] {
        let (settings, said) = resolve(line);
        assert_eq!(
            (settings, said.as_str()),
            (None, "0 errors, 0 warnings"),
            "{line}"
        );
    }
}

#[test]
fn a_url_names_a_redis() {
    let plain = settings("redis://cache");
    assert_eq!(plain.location, Location::Server(address("cache", 6379)));
    assert_eq!((plain.database, plain.tls, plain.replicas), (0, None, 0));
    assert_eq!(plain.prefix, "tollgate:");
    assert_eq!(plain.when_store_lost, WhenStoreLost::Reject);
    let full = settings("rediss://me:p%40ss:w@[::1]:7000/3");
    assert_eq!(full.location, Location::Server(address("::1", 7000)));
    assert_eq!(full.login.user.as_deref(), Some("me"));
    let password = full.login.password.clone();
    assert_eq!(password.as_ref().map(|it| it.expose()), Some("p@ss:w"));
    assert_eq!((full.database, full.tls.clone()), (3, Some(vec![])));
    assert!(!format!("{full:?}").contains("p@ss"));
    let alone = settings("redis://:secret@cache");
    assert_eq!(alone.login.user, None);
}

#[test]
fn a_mapping_says_more() {
    let detailed = settings(
        "{ url: 'redis://:s3cret@/2', when_store_lost: local, prefix: 'gw:', sentinels: [s0, 's1:26380'], master: main, \
         sentinel_username: u, sentinel_password: p }",
    );
    assert_eq!(detailed.when_store_lost, WhenStoreLost::Local);
    assert_eq!((detailed.prefix.as_str(), detailed.replicas), ("gw:", 1));
    let Location::Sentinels {
        addresses,
        master,
        login,
    } = &detailed.location
    else {
        panic!("{detailed:?}");
    };
    assert_eq!(addresses[..], [address("s0", 26379), address("s1", 26380)]);
    assert_eq!(
        (master.as_str(), login.user.as_deref()),
        ("main", Some("u"))
    );
    let off = settings("{ url: 'redis://', sentinels: [s], master: m, replicas: 0 }");
    assert_eq!(off.replicas, 0);
}

#[test]
fn mistakes_are_told_without_the_password() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = format!(
        "{{ url: 'rediss://h', root_certificate: {} }}",
        empty.path().display()
    );
    for (line, said) in [
        ("redsi://me:hunter2@h", "did you mean `redis://…`?"),
        ("REDISS://me:hunter2@h", "did you mean `rediss://…`?"),
        ("memroy", "did you mean `memory`?"),
        ("postgres://me:hunter2@h", "a state is `memory`, `redis://"),
        ("redis://h/one", "no number of a database"),
        ("redis://h/-1", "no number of a database"),
        ("redis://h/99999999", "no number of a database"),
        ("redis://:hunter2@/0", "the URL names no host"),
        ("redis://h:port", "no `HOST:PORT`"),
        ("redis://h:0", "no `HOST:PORT`"),
        ("'redis://[::1'", "no `HOST:PORT`"),
        ("redis://hunter2@h", "a user and no password"),
        ("redis://me:hun#ter2@h", "percent-encoded"),
        ("redis://h?db=1", "`?` and `#` have no meaning"),
        (
            "{ url: memory, when_store_lost: local }",
            "`when_store_lost` is for a Redis, and `url` is `memory`",
        ),
        ("{ url: 'redis://h', when_store_lost: lcoal }", "`local`"),
        (
            "{ url: 'redis://h', prefix: 'a{b' }",
            "without spaces and braces",
        ),
        ("{ url: 'redis://h', prefix: '' }", "1 to 64 printable"),
        ("{ url: 'redis://h', replicas: 17 }", "16"),
        (
            "{ url: 'redis://h', master: m }",
            "`master` needs `sentinels`",
        ),
        (
            "{ url: 'redis://h', sentinel_password: hunter2 }",
            "`sentinel_password` needs `sentinels`",
        ),
        (
            "{ url: 'redis://', sentinels: [s] }",
            "`sentinels` needs `master`",
        ),
        (
            "{ url: 'redis://', sentinels: [], master: m }",
            "`sentinels` names none",
        ),
        (
            "{ url: 'redis://', sentinels: ['s:x'], master: m }",
            "no address of a sentinel",
        ),
        (
            "{ url: 'redis://:hunter2@h', sentinels: [s], master: m }",
            "with `sentinels` the URL names no host",
        ),
        (
            "{ url: 'redis://', sentinels: [s], master: m, sentinel_username: u }",
            "`sentinel_username` needs `sentinel_password`",
        ),
        (
            "{ url: 'redis://h', root_certificate: a.pem }",
            "`root_certificate` is for TLS",
        ),
        (
            "{ url: 'rediss://h', root_certificate: /proc/none }",
            "cannot read the file",
        ),
        (empty.as_str(), "no certificate in PEM"),
    ] {
        let (_, diagnostics) = resolve(line);
        assert!(diagnostics.contains("error: "), "{line}: {diagnostics}");
        assert!(diagnostics.contains(said), "{line}: {diagnostics}");
        assert!(!diagnostics.contains("ter2"), "{diagnostics}");
    }
}

#[test]
fn the_password_is_not_shown_with_the_file() {
    for line in [
        "rediss://me:hunter2@h",
        "{ url: 'redis://me:hunter2@h', prefix: 'a:' }",
        "{ url: 'redis://', sentinels: [s], master: m, sentinel_password: hunter2 }",
    ] {
        let text = format!("state: {line}\n");
        let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
        assert!(document.read::<File>().is_some());
        assert!(
            !document.shown().contains("hunter2"),
            "{}",
            document.shown()
        );
    }
}
