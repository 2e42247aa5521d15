//! Budgets of users: what each of those may cost whom a team's requests name.
//!
//! Callers choose whom they name, so nobody knows how many users there will be. In each window so many are told apart as the
//! configuration says, and all further ones share one more budget: a flood of invented names is stopped by that. A user for
//! whom nobody asks of late costs a line in a [`table`](Users), from which his page is opened again.
//!
//! Invariants: a user who has shared the budget of the others gets none of his own in that window, by no restart and no
//! reload; and a page is closed while nobody else can have it, so that its last note in the ledger is followed by that of no
//! earlier page.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

pub use table::{Census, Users};
use table::{Found, Table};

use super::adjustments::{Adjustments, KIND};
use super::fund::{Fund, Treasury};
use super::owner::Owner;
use super::page::Page;
use super::purse::Past;
use super::standing::Standing;
use super::window::Window;
use super::{Budget, WhenSpent};
use crate::access::state::Holding;
use crate::spend::ledger::{Adjustment, Portion};

/// A budget that each user of a team has.
pub struct Allowance {
    /// What each may spend.
    pub budget: Arc<Budget>,
    /// How many are told apart in a window.
    pub users_max: usize,
    /// The name of the book of all further ones.
    pub name: Arc<str>,
    /// Those.
    pub owner: Owner,
    users: Arc<Users>,
}

impl Allowance {
    /// What a team grants each of its users. `users` finds what is known of them, by a name.
    pub fn new(
        team: Arc<str>,
        budget: Budget,
        users_max: usize,
        users: impl FnOnce(&str) -> Arc<Users>,
    ) -> Self {
        let owner = Owner::Others(team);
        let name = owner.book(&budget.windows);
        Self {
            users: users(&name),
            budget: Arc::new(budget),
            users_max,
            name,
            owner,
        }
    }

    /// Whether no user's is ever exceeded.
    pub fn is_hard(&self) -> bool {
        self.budget.when_spent == WhenSpent::Reject
    }

    /// The fund that pays for a user's requests at a time that is not before this process. Who comes too late for a window is
    /// paid for in the next one.
    pub fn fund(&self, user: &str, treasury: &Treasury, time: DateTime<Utc>) -> Arc<Fund> {
        let windows = &self.budget.windows;
        let open = |user: Option<&str>, window: &Window, past| {
            self.page(self.owner_of(user), treasury, window, past)
        };
        let found = self
            .users
            .find(user, self.users_max, windows, time, Instant::now(), open);
        if let Found::FirstOther(page) = &found {
            log::warn!(
                "the team `{}` has more than {} users in the window {}: all further ones share one budget (`users_max`)",
                self.owner.team(),
                self.users_max,
                page.window.name
            );
        }
        match found {
            Found::Known(page) => self.fund_of(Some(user), page),
            Found::FirstOther(page) | Found::Other(page) => self.fund_of(None, page),
        }
    }

    /// The fund that has a book of that name, if it is one of these and has been asked for in the present window.
    pub fn named(&self, name: &str, treasury: &Treasury) -> Option<Arc<Fund>> {
        if *name == *self.name {
            let page = self.users.others()?;
            return Some(self.fund_of(None, page));
        }
        let user = self.user_of(name)?;
        let fund = || self.fund(user, treasury, treasury.now());
        self.users.is_known(user).then(fund)
    }

    fn fund_of(&self, user: Option<&str>, page: Arc<Page>) -> Arc<Fund> {
        Arc::new(Fund::of(self.owner_of(user), &self.budget, page))
    }

    fn owner_of(&self, user: Option<&str>) -> Owner {
        let team = || self.owner.team().clone();
        user.map_or_else(
            || self.owner.clone(),
            |user| Owner::User(team(), user.into()),
        )
    }

    fn user_of<'n>(&self, book: &'n str) -> Option<&'n str> {
        Owner::user_of(book, self.owner.team(), &self.budget.windows)
    }

    fn page(&self, owner: Owner, treasury: &Treasury, window: &Window, past: Past) -> Arc<Page> {
        let name = owner.book(&self.budget.windows);
        let page = treasury.page(&name, &self.budget, window.clone(), past);
        page.skip_told(&self.budget);
        page
    }

    /// Whether it is known what users have spent.
    pub(super) fn is_open(&self) -> bool {
        self.users.is_open()
    }

    /// Begins with what the ledger knows of the present window: of users only portions tell, not rows. Those for whom there is
    /// no room count as others.
    pub(super) fn open(
        &self,
        treasury: &Treasury,
        now: DateTime<Utc>,
        portions: &[Portion],
        adjustments: &[Adjustment],
    ) {
        let mut table = Table::new(self.budget.windows.at(now));
        let (users, others) = self.known(&table.window, portions, treasury.noted_for());
        let open = |user: Option<&str>, window: &Window, past| {
            self.page(self.owner_of(user), treasury, window, past)
        };
        for (user, past) in users {
            match treasury.store() {
                // Redis may have to be told of it.
                Some(_) => table.keep(user, open(Some(user), &table.window, past), None),
                None => table.remember(user, past),
            }
        }
        let mut adjusted = HashMap::<&str, Adjustments>::new();
        for one in adjustments {
            if *one.window == *table.window.name {
                let of_book = adjusted.entry(&one.budget).or_default();
                of_book.add(one.id.clone(), one.change);
            }
        }
        let adjust = |page: &Arc<Page>, adjustments: &Adjustments| {
            page.adjust(adjustments);
            page.skip_told(&self.budget);
        };
        let of_others = adjusted.remove(&*self.name);
        for (book, adjustments) in &adjusted {
            if let Some(user) = self.user_of(book) {
                let found = table.find(user, usize::MAX, Instant::now(), open);
                adjust(&found.page(), adjustments);
            }
        }
        if others.is_some() || of_others.is_some() {
            let page = open(None, &table.window, others.unwrap_or_default());
            adjust(&page, &of_others.unwrap_or_default());
            table.share(page);
        }
        self.users.begin(table);
        if let Some(store) = treasury.store() {
            let users: Arc<dyn Holding> = self.users.clone();
            store.hold(&self.name, Arc::downgrade(&users));
        }
    }

    /// What the ledger knows of users in a window, and of all for whom there is no room. `noted_for` is this replica, where others
    /// share the ledger.
    fn known<'p>(
        &self,
        window: &Window,
        portions: &'p [Portion],
        noted_for: Option<&Arc<str>>,
    ) -> (HashMap<&'p str, Past>, Option<Past>) {
        let (mut users, mut others) = (HashMap::<_, Past>::new(), None);
        for portion in portions {
            let is_own = noted_for.is_none_or(|replica| portion.replica == *replica);
            if *portion.window != *window.name || !is_own {
                continue;
            }
            let known = match self.user_of(&portion.budget) {
                Some(user) if users.len() < self.users_max || users.contains_key(user) => {
                    users.entry(user).or_default()
                }
                None if portion.budget != self.name => continue,
                _ => others.get_or_insert_default(),
            };
            let past = Past::from(portion);
            known.spent += past.spent;
            known.unknown += past.unknown;
        }
        (users, others)
    }

    /// Forgets the window that has ended, and of the present one closes the pages that nobody has asked for of late. With accounts
    /// in Redis they stay open, since Redis may have to be told of them; but only those in use are looked after.
    pub fn sweep(&self, treasury: &Treasury) {
        let (now, is_shared) = (Instant::now(), treasury.store().is_some());
        drop(self.users.ended(&self.budget.windows, treasury.now()));
        if is_shared {
            self.users.in_use(now).iter().for_each(Page::tick);
            return;
        }
        if !self.is_hard() {
            // What is not reserved before it is spent is noted behind it.
            self.users.in_use(now).iter().for_each(Page::tell);
        }
        while self.users.close_idle(now) {}
    }

    /// What was noted for users is noted for as little as they need, at the end of the process.
    pub fn close(&self) {
        self.users.all_open().iter().for_each(Page::close);
    }

    /// The pages that have an adjustment with that key in Redis, or may have one (`*`): those in use, and those that have one
    /// already, of which Redis may have lost it.
    pub fn adjustable(&self, key: &str) -> Vec<Arc<Page>> {
        if key == "*" {
            let mut pages = self.users.in_use(Instant::now());
            pages.extend(self.users.adjusted());
            return pages;
        }
        let find = || {
            let book = key.strip_prefix(KIND)?.strip_prefix(':')?;
            let (book, window) = book.rsplit_once('|')?;
            let page = match *book == *self.name {
                true => self.users.others(),
                false => self.users.page(self.user_of(book)?),
            };
            page.filter(|page| *page.window.name == *window)
        };
        find().into_iter().collect()
    }

    /// How many users are told apart.
    pub fn count(&self, now: DateTime<Utc>) -> usize {
        self.users.count(&self.budget.windows, now)
    }

    /// How many users there are, and what they have spent.
    pub fn census(&self, now: DateTime<Utc>) -> Census {
        let Budget { usd, windows, .. } = &*self.budget;
        self.users.census(*usd, windows, now)
    }

    /// Those who spent most, or the one of that name, at most so many; and how each stands.
    pub fn standings(
        &self,
        user: Option<&str>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> (Window, Vec<(Owner, Standing)>) {
        let windows = &self.budget.windows;
        let (window, standings) = self.users.standings(user, limit, windows, now);
        let standings = standings.into_iter();
        let owned = standings.map(|(user, standing)| (self.owner_of(user.as_deref()), standing));
        (window, owned.collect())
    }
}
