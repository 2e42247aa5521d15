//! The users of one budget in its present window.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::access::budgets::page::Page;
use crate::access::budgets::purse::Past;
use crate::access::budgets::standing::Standing;
use crate::access::budgets::window::{Window, Windows};
use crate::access::state::Holding;
use crate::spend::Usd;

/// A user is idle when nobody has asked for him for so long: by then his purse has kept nothing for requests to come.
pub(super) const IDLE_AFTER: Duration = Duration::from_secs(30);

/// How many pages are closed under the lock at once, so that no request waits for long.
const CLOSED_AT_ONCE: usize = 256;

/// What is known of users, window after window.
#[derive(Default)]
pub struct Users(Mutex<State>);

#[derive(Default)]
struct State {
    table: Option<Table>,
    /// That of the window before, which is dropped when there is time.
    ended: Option<Table>,
}

/// The users of one window.
pub(super) struct Table {
    pub window: Window,
    open: HashMap<Arc<str>, Open>,
    /// What those have spent whose pages are closed: about a hundred bytes each.
    closed: HashMap<Box<str>, Past>,
    /// The page of all that there was no room for. Once it is open nobody is told apart who was not before.
    others: Option<Arc<Page>>,
}

struct Open {
    page: Arc<Page>,
    /// When somebody has asked for him last; None if not since the start.
    used: Option<Instant>,
}

/// A user, or None for all further ones, and how he stands.
type Stands<'a> = (Option<&'a str>, Standing);

/// The page that pays for a user.
pub(super) enum Found {
    /// His own.
    Known(Arc<Page>),
    /// That of all further users, …
    Other(Arc<Page>),
    /// … of whom he is the first.
    FirstOther(Arc<Page>),
}

/// How many users there are in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Which window.
    pub window: Window,
    /// How many are told apart.
    pub users: usize,
    /// How many of them have spent all that they may.
    pub spent_up: usize,
    /// Whether there are further ones.
    pub has_others: bool,
    /// What all have spent.
    pub spent: Usd,
}

impl Found {
    pub fn page(self) -> Arc<Page> {
        match self {
            Self::Known(page) | Self::Other(page) | Self::FirstOther(page) => page,
        }
    }
}

impl Users {
    /// The page of a user at a time. A new one is made by `open`, of None for that of all further users.
    pub(super) fn find(
        &self,
        user: &str,
        users_max: usize,
        windows: &Windows,
        time: DateTime<Utc>,
        now: Instant,
        open: impl Fn(Option<&str>, &Window, Past) -> Arc<Page>,
    ) -> Found {
        let mut state = self.0.lock();
        state.at(windows, time).find(user, users_max, now, open)
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.lock().table.is_some()
    }

    pub(super) fn begin(&self, table: Table) {
        self.0.lock().table = Some(table);
    }

    /// What is left of the window before the one of this time, to be dropped.
    pub(super) fn ended(&self, windows: &Windows, time: DateTime<Utc>) -> Option<Table> {
        let mut state = self.0.lock();
        state.at(windows, time);
        state.ended.take()
    }

    /// The pages that were asked for of late, or that have spent what is not noted yet.
    pub(super) fn in_use(&self, now: Instant) -> Vec<Arc<Page>> {
        self.with(|table| {
            let open = table.open.values();
            let used = open.filter(|open| open.is_used(now) || open.page.is_behind());
            let pages = used.map(|open| &open.page).chain(&table.others);
            pages.cloned().collect()
        })
    }

    /// Closes some of the pages that are idle. Tells whether there may be more.
    pub(super) fn close_idle(&self, now: Instant) -> bool {
        self.with(|table| table.close_idle(now))
    }

    pub(super) fn all_open(&self) -> Vec<Arc<Page>> {
        self.with(|table| table.pages().cloned().collect())
    }

    /// The pages of those whom operators have given more.
    pub(super) fn adjusted(&self) -> Vec<Arc<Page>> {
        self.with(|table| {
            let adjusted = table.pages().filter(|page| page.is_adjusted());
            adjusted.cloned().collect()
        })
    }

    /// A user's page, if it is open.
    pub(super) fn page(&self, user: &str) -> Option<Arc<Page>> {
        self.with(|table| table.open.get(user).map(|open| open.page.clone()))
    }

    pub(super) fn others(&self) -> Option<Arc<Page>> {
        self.with(|table| table.others.clone())
    }

    pub(super) fn is_known(&self, user: &str) -> bool {
        self.with(|table| table.is_known(user))
    }

    /// How many are told apart: without a look at each.
    pub(super) fn count(&self, windows: &Windows, time: DateTime<Utc>) -> usize {
        self.0.lock().at(windows, time).count()
    }

    pub(super) fn census(&self, limit: Usd, windows: &Windows, time: DateTime<Utc>) -> Census {
        let mut state = self.0.lock();
        let table = state.at(windows, time);
        let mut census = Census {
            window: table.window.clone(),
            users: table.count(),
            spent_up: 0,
            has_others: table.others.is_some(),
            spent: Usd::ZERO,
        };
        for (_, standing) in table.standings() {
            census.spent += standing.spent;
            census.spent_up += usize::from(standing.spent >= limit + standing.adjusted);
        }
        let others = table.others.as_ref();
        census.spent += others.map_or(Usd::ZERO, |page| page.standing().spent);
        census
    }

    /// The users who spent most, or the one of that name, and the window; None is for all further ones.
    pub(super) fn standings(
        &self,
        user: Option<&str>,
        limit: usize,
        windows: &Windows,
        time: DateTime<Utc>,
    ) -> (Window, Vec<(Option<String>, Standing)>) {
        let mut state = self.0.lock();
        let table = state.at(windows, time);
        let others = table.others.iter().map(|page| (None, page.standing()));
        let users = table
            .standings()
            .map(|(user, standing)| (Some(user), standing));
        let is_asked_for = |(name, _): &Stands<'_>| user.is_none() || *name == user;
        let mut all: Vec<Stands<'_>> = users.chain(others).filter(is_asked_for).collect();
        let most_first = |(a_name, a): &Stands<'_>, (b_name, b): &Stands<'_>| {
            b.spent.cmp(&a.spent).then_with(|| a_name.cmp(b_name))
        };
        if limit < all.len() {
            all.select_nth_unstable_by(limit, most_first);
            all.truncate(limit);
        }
        all.sort_unstable_by(most_first);
        let owned = |(name, standing): Stands<'_>| (name.map(str::to_owned), standing);
        (table.window.clone(), all.into_iter().map(owned).collect())
    }

    fn with<T: Default>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        self.0.lock().table.as_mut().map(work).unwrap_or_default()
    }
}

impl State {
    /// The table of the window that a time is in; or the present one, if the time is before it: of a window that has ended
    /// nothing is known any more.
    fn at(&mut self, windows: &Windows, time: DateTime<Utc>) -> &mut Table {
        let is_over = |table: &Table| table.window.end.is_some_and(|end| time >= end);
        if self.table.as_ref().is_some_and(is_over) {
            self.ended = self.table.take();
        }
        self.table
            .get_or_insert_with(|| Table::new(windows.at(time)))
    }
}

impl Table {
    pub fn new(window: Window) -> Self {
        Self {
            window,
            open: HashMap::new(),
            closed: HashMap::new(),
            others: None,
        }
    }

    pub fn find(
        &mut self,
        user: &str,
        users_max: usize,
        now: Instant,
        open: impl Fn(Option<&str>, &Window, Past) -> Arc<Page>,
    ) -> Found {
        if let Some(open) = self.open.get_mut(user) {
            open.used = Some(now);
            return Found::Known(open.page.clone());
        }
        let has_room = self.others.is_none() && self.count() < users_max;
        let past = self.closed.remove(user);
        let past = past.or_else(|| has_room.then(Past::default));
        let Some(past) = past else {
            let is_first = self.others.is_none();
            let page = self.others(open);
            return match is_first {
                true => Found::FirstOther(page),
                false => Found::Other(page),
            };
        };
        let page = open(Some(user), &self.window, past);
        self.keep(user, page.clone(), Some(now));
        Found::Known(page)
    }

    /// The page of all further users.
    pub fn others(&mut self, open: impl Fn(Option<&str>, &Window, Past) -> Arc<Page>) -> Arc<Page> {
        let window = &self.window;
        let page = || open(None, window, Past::default());
        self.others.get_or_insert_with(page).clone()
    }

    /// A user's page is open.
    pub fn keep(&mut self, user: &str, page: Arc<Page>, used: Option<Instant>) {
        self.open.insert(user.into(), Open { page, used });
    }

    /// A user has spent so much, and is idle.
    pub fn remember(&mut self, user: &str, past: Past) {
        self.closed.insert(user.into(), past);
    }

    /// The page of all further users is open.
    pub fn share(&mut self, others: Arc<Page>) {
        self.others = Some(others);
    }

    /// Whoever has a page besides the table may do something with it at any time, and its notes are under way with it. One that
    /// only the table has nobody else can get while this goes on.
    fn close_idle(&mut self, now: Instant) -> bool {
        let is_idle = |_: &Arc<str>, open: &mut Open| {
            let is_ours = Arc::strong_count(&open.page) == 1;
            // What operators have added is kept with its page.
            is_ours && !open.is_used(now) && !open.page.is_adjusted()
        };
        let idle = self.open.extract_if(is_idle).take(CLOSED_AT_ONCE);
        let idle: Vec<_> = idle.collect();
        let is_full = self.others.is_some();
        for (user, Open { page, .. }) in &idle {
            page.close();
            let past = page.past();
            // Who has spent nothing is as good as unknown, unless there is no room for those any more.
            if past != Past::default() || is_full {
                self.closed.insert((**user).into(), past);
            }
        }
        idle.len() == CLOSED_AT_ONCE
    }

    fn is_known(&self, user: &str) -> bool {
        self.open.contains_key(user) || self.closed.contains_key(user)
    }

    fn count(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    fn pages(&self) -> impl Iterator<Item = &Arc<Page>> {
        self.open
            .values()
            .map(|open| &open.page)
            .chain(&self.others)
    }

    /// How all stand who are told apart.
    fn standings(&self) -> impl Iterator<Item = (&str, Standing)> {
        let open = self.open.iter();
        let open = open.map(|(user, open)| (&**user, open.page.standing()));
        let closed = self.closed.iter();
        let closed = closed.map(|(user, past)| (&**user, Standing::from(*past)));
        open.chain(closed)
    }
}

impl Open {
    fn is_used(&self, now: Instant) -> bool {
        let is_of_late = |used| now.saturating_duration_since(used) < IDLE_AFTER;
        self.used.is_some_and(is_of_late)
    }
}

/// What others than this replica have had of users whom it has never served is not known here, unless they had it before the
/// window began.
impl Holding for Users {
    fn has_told(&self, _: &str) -> bool {
        true
    }

    fn tell(self: Arc<Self>) {}

    fn looked(&self) -> Option<DateTime<Utc>> {
        self.with(|table| Some(table.window.start))
    }

    fn recall(self: Arc<Self>) {}
}
