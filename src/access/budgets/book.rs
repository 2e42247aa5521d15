//! A budget as it is kept by this process: window after window, across reloads.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::Budget;
use super::page::Page;
use super::window::Window;

/// What was spent of one budget, and what is reserved. One book a budget, by its name, whatever its configuration says.
#[derive(Default)]
pub struct Book {
    /// The window in use, which every request looks up.
    present: ArcSwapOption<Page>,
    /// The one before it, whose last requests may still begin.
    before: Mutex<Option<Arc<Page>>>,
}

impl Book {
    /// Whether there is a page of this time.
    pub fn is_open(&self, time: DateTime<Utc>) -> bool {
        self.find(time, &self.before.lock()).is_some()
    }

    /// The page in use.
    pub fn present(&self) -> Option<Arc<Page>> {
        self.present.load_full()
    }

    /// The page of a time. A new one is made by `open`.
    pub fn page(
        &self,
        budget: &Budget,
        time: DateTime<Utc>,
        open: impl FnOnce(Window) -> Arc<Page>,
    ) -> Arc<Page> {
        if let Some(page) = self.present_at(time) {
            return page;
        }
        let mut before = self.before.lock();
        self.find(time, &before).unwrap_or_else(|| {
            let page = open(budget.windows.at(time));
            *before = self.present.swap(Some(page.clone()));
            page
        })
    }

    fn present_at(&self, time: DateTime<Utc>) -> Option<Arc<Page>> {
        let present = self.present.load();
        let page = present.as_ref().filter(|page| page.window.contains(time));
        page.cloned()
    }

    fn find(&self, time: DateTime<Utc>, before: &Option<Arc<Page>>) -> Option<Arc<Page>> {
        let present = self.present_at(time);
        present.or_else(|| before.clone().filter(|page| page.window.contains(time)))
    }
}
