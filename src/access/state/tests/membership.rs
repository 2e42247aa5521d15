//! Who else there is.

use super::*;
use crate::access::state::Forgotten;

fn names(store: &Store) -> Vec<Arc<str>> {
    let mut names = store.others(None);
    names.sort();
    names
}

fn know_each_other(stores: &[&Arc<Store>]) {
    for store in stores {
        let others = stores.iter().filter(|other| !Arc::ptr_eq(other, store));
        let mut others: Vec<_> = others.map(|other| other.replica().clone()).collect();
        others.sort();
        let is_so = || store.is_known() && names(store) == others;
        eventually("an acquaintance", is_so);
    }
}

fn forget(store: &Store, name: &str) -> Result<Forgotten, NoAnswer> {
    let (sender, forgotten) = mpsc::channel();
    let told = move |forgotten| sender.send(forgotten).expect("the test waits");
    store.forget(name, Box::new(told));
    forgotten
        .recv_timeout(Duration::from_secs(60))
        .expect("an answer")
}

fn leave(store: &Store) -> bool {
    let (sender, left) = mpsc::channel();
    store.leave(Box::new(move |is_off| {
        sender.send(is_off).expect("the test waits")
    }));
    left.recv_timeout(Duration::from_secs(60))
        .expect("an answer")
}

/// Makes Redis believe that a replica has been silent for so long.
fn silence(redis: &Redis, name: &str, ago: Duration) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let beat = (now - ago).as_millis();
    let value = format!("{beat},1,1,,");
    redis.command(&["HSET", "tollgate:{members}", name, &value]);
}

#[test]
fn those_who_are_alone_are_known_to_all() {
    let redis = Redis::start();
    let store = connected(&redis);
    know_each_other(&[&store]);
    let replicas = store.replicas();
    assert_eq!(replicas.len(), 1);
    assert!(replicas[0].is_self && replicas[0].beats);
    assert_eq!(replicas[0].name, *store.replica());
}

#[test]
fn replicas_get_to_know_each_other_and_who_leaves_is_gone() {
    let redis = Redis::start();
    let [a, b, c] = std::array::from_fn(|_| connected(&redis));
    know_each_other(&[&a, &b, &c]);
    assert!(leave(&c));
    know_each_other(&[&a, &b]);
    assert_eq!(a.replicas().len(), 2);
}

#[test]
fn who_is_known_stays_so_while_others_come_and_come_back() {
    let redis = Redis::start();
    let store = connected(&redis);
    eventually("an era", || store.era().is_some());
    let (ended, end) = mpsc::channel();
    let watched = store.clone();
    let watch = std::thread::spawn(move || {
        while end.recv_timeout(Duration::from_micros(100)).is_err() {
            assert!(watched.era().is_some(), "it is not known any more");
        }
    });
    let mut others: Vec<_> = (0..8).map(|_| connected(&redis)).collect();
    // A process that is started again is refused its name at first.
    let name = others.remove(0).replica().clone();
    let back = connected_as(&name, &redis);
    eventually("it is back", || back.is_known());
    let _ = ended.send(());
    watch.join().expect("it was always known");
}

#[test]
fn who_dies_is_remembered_until_an_operator_forgets() {
    let redis = Redis::start();
    let [a, b, c] = std::array::from_fn(|_| connected(&redis));
    know_each_other(&[&a, &b, &c]);
    let dead = c.replica().clone();
    let alive_at = a.now();
    drop(c);
    assert_eq!(forget(&a, &dead), Ok(Forgotten::Beats));
    silence(&redis, &dead, Duration::from_secs(11));
    eventually("silence", || {
        let replicas = a.replicas();
        replicas
            .iter()
            .any(|replica| replica.name == dead && !replica.beats)
    });
    assert!(names(&a).contains(&dead) && names(&b).contains(&dead));
    eventually("a beat", || {
        a.others(Some(alive_at)) == [b.replica().clone()]
    });
    assert_eq!(forget(&a, &dead), Ok(Forgotten::Done));
    assert_eq!(forget(&a, &dead), Ok(Forgotten::Unknown));
    know_each_other(&[&a, &b]);
}

#[test]
fn who_is_silent_for_sixty_days_is_forgotten() {
    let redis = Redis::start();
    let [a, b] = std::array::from_fn(|_| connected(&redis));
    know_each_other(&[&a, &b]);
    let dead = b.replica().clone();
    drop(b);
    silence(&redis, &dead, Duration::from_secs(59 * 86_400));
    let days = |count| chrono::Duration::days(count);
    eventually("silence", || a.others(Some(a.now() - days(1))).is_empty());
    assert_eq!(names(&a), std::slice::from_ref(&dead));
    silence(&redis, &dead, Duration::from_secs(61 * 86_400));
    know_each_other(&[&a]);
}

#[test]
fn a_redis_that_was_emptied_is_told_who_there_is() {
    let redis = Redis::start();
    let [a, b, dead] = std::array::from_fn(|_| connected(&redis));
    know_each_other(&[&a, &b, &dead]);
    let name = dead.replica().clone();
    drop(dead);
    redis.command(&["FLUSHALL"]);
    // Whoever comes now hears of the dead one, too, by those who knew it.
    let late = connected(&redis);
    for (store, other) in [(&a, &b), (&b, &a)] {
        let mut all = vec![
            name.clone(),
            other.replica().clone(),
            late.replica().clone(),
        ];
        all.sort();
        eventually("all of them", || store.is_known() && names(store) == all);
    }
    let mut all = vec![name, a.replica().clone(), b.replica().clone()];
    all.sort();
    eventually("all of them", || late.is_known() && names(&late) == all);
}

#[test]
fn a_redis_that_lost_its_data_is_told_who_there_is() {
    let mut redis = Redis::start();
    let [a, b] = std::array::from_fn(|_| connected(&redis));
    know_each_other(&[&a, &b]);
    redis.restart();
    eventually("their names", || {
        let list = redis.command(&["HKEYS", "tollgate:{members}"]);
        [&a, &b]
            .iter()
            .all(|store| list.contains(&**store.replica()))
    });
    know_each_other(&[&a, &b]);
}

#[test]
fn the_time_is_that_of_redis() {
    let redis = Redis::start();
    let store = connected(&redis);
    // On one machine it is our own, as near as a beat can tell.
    let apart = (store.now() - chrono::Utc::now()).abs();
    assert!(apart < chrono::Duration::seconds(1), "{apart}");
}
