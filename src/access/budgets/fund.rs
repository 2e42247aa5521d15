//! A budget of somebody: the configuration's, and the book that is kept of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::adjustments::Adjustments;
use super::book::Book;
use super::kind::Kind;
use super::owner::Owner;
use super::page::{Opening, Page};
use super::purse::{Past, Refusal};
use super::users::Allowance;
use super::window::Window;
use super::{Budget, Per, WhenSpent};
use crate::access::state::Store;
use crate::spend::Usd;
use crate::spend::ledger::{Adjustment, Ledger, LedgerError, Location, Portion, Reader, Spent};

/// How long what was settled may take to become durable before the ledger is read.
const FLUSH: Duration = Duration::from_secs(5);

/// A budget and its book.
pub struct Fund {
    /// Whose it is.
    pub owner: Owner,
    /// What it may spend.
    pub budget: Arc<Budget>,
    /// The book's name: the owner's, and the windows. The amount may change; then it is the same book.
    pub name: Arc<str>,
    pages: Pages,
}

/// The budgets that pay for a request. Every request has them until it is settled: one count for all of them.
pub type Payers = Arc<[Arc<Fund>]>;

/// Where its pages are.
enum Pages {
    /// In a book.
    Book(Arc<Book>),
    /// It has this one alone: a user's, for as long as somebody asks for him.
    One(Arc<Page>),
}

/// Where money is durably noted, and what is known of the time before this process.
#[derive(Clone, Default)]
pub struct Treasury {
    ledger: Option<(Arc<Ledger>, Location)>,
    /// Where accounts are that replicas share.
    store: Option<Arc<Store>>,
    /// When this process began: windows that begin later begin with nothing.
    began: DateTime<Utc>,
}

impl Treasury {
    /// Notes in this ledger, where there is one, and keeps accounts in this store, or in memory.
    pub fn new(ledger: Option<(Arc<Ledger>, Location)>, store: Option<Arc<Store>>) -> Self {
        Self {
            ledger,
            store,
            began: Utc::now(),
        }
    }

    /// The time, by the clock that all replicas share.
    pub fn now(&self) -> DateTime<Utc> {
        self.store
            .as_ref()
            .map_or_else(Utc::now, |store| store.now())
    }

    /// A time of our own clock, by that one.
    pub fn time(&self, own: DateTime<Utc>) -> DateTime<Utc> {
        self.store
            .as_ref()
            .map_or(own, |store| own + store.offset())
    }

    /// Where accounts are that replicas share.
    pub(super) const fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    /// Where money is durably noted.
    pub(super) fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.ledger.as_ref().map(|(ledger, _)| ledger)
    }

    /// By which name a ledger that replicas share knows this one.
    pub(super) fn noted_for(&self) -> Option<&Arc<str>> {
        let (_, location) = self.ledger.as_ref()?;
        let store = self.store.as_ref()?;
        matches!(location, Location::Postgres(_)).then(|| store.replica())
    }

    /// Opens the books of funds and of users that have none open: reads what was spent before in their present windows. Blocks.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn open<'f>(
        &self,
        funds: impl Iterator<Item = &'f Arc<Fund>>,
        allowances: impl Iterator<Item = &'f Arc<Allowance>>,
    ) -> Result<(), LedgerError> {
        let now = self.now();
        let closed: Vec<_> = funds.filter(|fund| !fund.is_open(now)).collect();
        let unread: Vec<_> = allowances.filter(|one| !one.is_open()).collect();
        let is_all_open = closed.is_empty() && unread.is_empty();
        let (Some((ledger, location)), false) = (&self.ledger, is_all_open) else {
            closed
                .iter()
                .for_each(|fund| drop(fund.open(self, now, |_| Past::default())));
            unread.iter().for_each(|one| one.open(self, now, &[], &[]));
            return Ok(());
        };
        // What is on its way to the ledger belongs to what was spent.
        ledger.flush(FLUSH);
        let mut starts: Vec<_> = closed
            .iter()
            .map(|fund| fund.budget.windows.at(now).start)
            .collect();
        starts.sort_unstable();
        starts.dedup();
        let known = read(location, &starts)?;
        for fund in closed {
            let page = fund.open(self, now, |window| {
                let at = starts.binary_search(&window.start);
                let spent = at.map_or(&[][..], |at| known.spent[at].as_slice());
                fund.past(window, spent, &known.portions, self.noted_for())
            });
            page.adjust(&fund.adjustments(&page.window, &known.adjustments));
            page.skip_told(&fund.budget);
        }
        for allowance in unread {
            allowance.open(self, now, &known.of_users, &known.adjustments);
        }
        Ok(())
    }

    /// A page of this budget and book, before which so much was spent.
    pub(super) fn page(
        &self,
        name: &Arc<str>,
        budget: &Budget,
        window: Window,
        past: Past,
    ) -> Arc<Page> {
        Page::open(Opening {
            kind: Kind::Money,
            name,
            limit: budget.usd,
            past,
            ledger: self.ledger(),
            noted_for: self.noted_for(),
            store: self.store.as_ref(),
            window,
        })
    }
}

/// What a ledger holds.
struct Known {
    portions: Vec<Portion>,
    /// Those of users, of which there may be many.
    of_users: Vec<Portion>,
    adjustments: Vec<Adjustment>,
    /// What was spent since each of the times that were asked for.
    spent: Vec<Vec<Spent>>,
}

/// Reads it on a thread of its own: a reader of Postgres brings a runtime, and a runtime does not start within another.
fn read(location: &Location, starts: &[DateTime<Utc>]) -> Result<Known, LedgerError> {
    let reading = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let reader = Reader::open(location)?;
            let spent = starts.iter().map(|start| reader.spent_since(*start));
            let portions = reader.portions()?.into_iter();
            let (of_users, portions) = portions.partition(|one| Owner::is_users(&one.budget));
            Ok(Known {
                portions,
                of_users,
                adjustments: reader.adjustments()?,
                spent: spent.collect::<Result<_, _>>()?,
            })
        });
        reading.join()
    });
    reading.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Nobody knows what a process that died has spent of the rest.
impl From<&Portion> for Past {
    fn from(portion: &Portion) -> Self {
        Self {
            spent: portion.settled,
            unknown: (portion.bound - portion.settled).max(Usd::ZERO),
        }
    }
}

impl Fund {
    /// The fund of an owner. `book` finds the book of a name.
    pub fn new(owner: Owner, budget: Budget, book: impl FnOnce(&str) -> Arc<Book>) -> Self {
        let name = owner.book(&budget.windows);
        Self {
            pages: Pages::Book(book(&name)),
            name,
            owner,
            budget: Arc::new(budget),
        }
    }

    /// The fund of a user, or of several, with its page in the present window.
    pub(super) fn of(owner: Owner, budget: &Arc<Budget>, page: Arc<Page>) -> Self {
        Self {
            name: page.name.clone(),
            pages: Pages::One(page),
            owner,
            budget: budget.clone(),
        }
    }

    fn is_open(&self, time: DateTime<Utc>) -> bool {
        match &self.pages {
            Pages::Book(book) => book.is_open(time),
            Pages::One(_) => true,
        }
    }

    /// Whether it is never exceeded.
    pub fn is_hard(&self) -> bool {
        self.budget.when_spent == WhenSpent::Reject
    }

    /// The page of a time that is not before this process.
    pub fn page(&self, treasury: &Treasury, time: DateTime<Utc>) -> Arc<Page> {
        self.open(treasury, time, |window| {
            // Books are opened before they are used, and windows that begin later begin with nothing. Should the clock be
            // put back, nothing is known of the window: then it counts as spent.
            match window.start >= treasury.began {
                true => Past::default(),
                false => Past {
                    spent: Usd::ZERO,
                    unknown: self.budget.usd,
                },
            }
        })
    }

    fn open(
        &self,
        treasury: &Treasury,
        time: DateTime<Utc>,
        past: impl FnOnce(&Window) -> Past,
    ) -> Arc<Page> {
        match &self.pages {
            Pages::Book(book) => book.page(&self.budget, time, |window| {
                let past = past(&window);
                treasury.page(&self.name, &self.budget, window, past)
            }),
            Pages::One(page) => page.clone(),
        }
    }

    /// What is known of a window before this process: rows say what was spent, and a portion how much may have been. Where
    /// replicas share the ledger, its rows are those of all, and only the portion is `noted_for` this one.
    fn past(
        &self,
        window: &Window,
        spent: &[Spent],
        portions: &[Portion],
        noted_for: Option<&Arc<str>>,
    ) -> Past {
        let own = portions
            .iter()
            .filter(|portion| *portion.budget == *self.name && *portion.window == *window.name);
        if let Some(replica) = noted_for {
            let noted = own.clone().find(|portion| portion.replica == *replica);
            return noted.map_or_else(Past::default, Past::from);
        }
        let unknown = |portion: &Portion, spent: Usd| (portion.bound - spent).max(Usd::ZERO);
        let rows = spent.iter().filter(|spent| self.owner.has(spent));
        let spent: Usd = rows.map(|spent| spent.usd).sum();
        // Of a replica that shared it, the portion tells by itself what is not in rows.
        let unknown = own.map(|portion| match portion.replica.is_empty() {
            true => unknown(portion, spent),
            false => unknown(portion, portion.settled),
        });
        Past {
            spent,
            unknown: unknown.sum(),
        }
    }

    /// What operators have added in a window.
    fn adjustments(&self, window: &Window, known: &[Adjustment]) -> Adjustments {
        let mut adjustments = Adjustments::default();
        for adjustment in known {
            if *adjustment.budget == *self.name && *adjustment.window == *window.name {
                adjustments.add(adjustment.id.clone(), adjustment.change);
            }
        }
        adjustments
    }

    /// What is told to a request that gets no money.
    pub fn refusal(&self, refusal: Refusal, need: Usd, page: &Page) -> String {
        let Budget { usd, windows, .. } = &*self.budget;
        let standing = page.standing();
        let per = match windows.per {
            Per::Total => "in all".to_owned(),
            per => format!("per {}", per.name()),
        };
        let adjusted = match standing.adjusted {
            Usd::ZERO => String::new(),
            adjusted => format!(" and {adjusted} more in this window"),
        };
        let left = (*usd + standing.adjusted - standing.spent).max(Usd::ZERO);
        let whose = &self.owner;
        let renewed = match page.window.end {
            Some(end) => format!("; it is renewed at {}", end.format("%Y-%m-%dT%H:%M:%SZ")),
            None => String::new(),
        };
        match refusal {
            Refusal::Spent => format!(
                "the budget of {whose} is {usd} USD {per}{adjusted}, of which {left} are left, and this request can cost {need}{renewed}"
            ),
            Refusal::Held => format!(
                "the budget of {whose} is {usd} USD {per}{adjusted}, and what is left of it is reserved for requests that run; try again"
            ),
            Refusal::Lost => format!(
                "the budget of {whose} is shared with other replicas through a store (`state`) that does not say at present what is left; try again"
            ),
        }
    }

    /// The present page, if one is open.
    pub fn present(&self) -> Option<Arc<Page>> {
        match &self.pages {
            Pages::Book(book) => book.present(),
            Pages::One(page) => Some(page.clone()),
        }
    }
}
