//! A budget as it is kept by this process: window after window, across reloads.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::Budget;
use super::page::Page;
use super::window::Window;

/// What was spent of one budget, and what is reserved. One book a budget, by its name, whatever its configuration says.
#[derive(Default)]
pub struct Book {
    /// The window in use and the one before it, whose last requests may still begin.
    pages: Mutex<[Option<Arc<Page>>; 2]>,
}

impl Book {
    /// Whether there is a page of this time.
    pub fn is_open(&self, time: DateTime<Utc>) -> bool {
        let pages = self.pages.lock();
        pages
            .iter()
            .flatten()
            .any(|page| page.window.contains(time))
    }

    /// The page in use.
    pub fn present(&self) -> Option<Arc<Page>> {
        self.pages.lock()[0].clone()
    }

    /// The page of a time. A new one is made by `open`.
    pub fn page(
        &self,
        budget: &Budget,
        time: DateTime<Utc>,
        open: impl FnOnce(Window) -> Arc<Page>,
    ) -> Arc<Page> {
        let mut pages = self.pages.lock();
        let found = pages
            .iter()
            .flatten()
            .find(|page| page.window.contains(time));
        if let Some(page) = found {
            return page.clone();
        }
        let page = open(budget.windows.at(time));
        pages.rotate_right(1);
        pages[0] = Some(page.clone());
        page
    }
}
