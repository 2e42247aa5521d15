//! What is found out about a model by its name: with many tests on texts, for every request, and always the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread::LocalKey;

/// How many names a thread remembers; callers may invent more, and then it begins anew.
const NAMES_MAX: usize = 256;

/// What a thread has found out. Few names are asked for, so to compare them takes less than to hash one.
pub(super) type Memo<T> = RefCell<BTreeMap<String, T>>;

/// What `find` says about a name, or what it said when it was last asked.
pub(super) fn remembered<T: Copy>(
    memo: &'static LocalKey<Memo<T>>,
    name: &str,
    find: impl FnOnce(&str) -> T,
) -> T {
    memo.with_borrow_mut(|memo| {
        if let Some(found) = memo.get(name) {
            return *found;
        }
        if memo.len() >= NAMES_MAX {
            memo.clear();
        }
        let found = find(name);
        memo.insert(name.to_owned(), found);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static LENGTHS: Memo<usize> = Memo::default();
    }

    #[test]
    fn names_are_looked_at_once_and_not_without_end() {
        assert_eq!(remembered(&LENGTHS, "four", str::len), 4);
        assert_eq!(remembered(&LENGTHS, "four", |_| 0), 4);
        for name in 0..10_000 {
            let name = name.to_string();
            assert_eq!(remembered(&LENGTHS, &name, str::len), name.len());
        }
        assert!(LENGTHS.with_borrow(BTreeMap::len) <= NAMES_MAX);
    }
}
