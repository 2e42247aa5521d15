//! Marks for the provider's cache.

use crate::dialect::bedrock::OWN;
use crate::dialect::bedrock::family::{Caches, Family};
use crate::dialect::common::{Cache, Dropped, Feature, Request};

/// The most marks that Bedrock takes.
const MARKS_MAX: usize = 4;

/// Which of a request's marks are sent: where there are too many, the first, which ends what never changes, and the last
/// ones, which the next turn goes on from.
#[derive(Debug)]
pub(super) struct Marks {
    pub total: usize,
    seen: usize,
    is_own: bool,
    caches: Caches,
}

impl Marks {
    pub fn of(request: &Request, family: &Family) -> Self {
        let marked = request
            .functions()
            .filter(|function| function.cache.is_some());
        let mut total = marked.count();
        request.each_part(&mut |part| total += usize::from(part.cache.is_some()));
        Self {
            total,
            seen: 0,
            is_own: request.source == OWN,
            caches: family.caches,
        }
    }

    /// The next one, in the order of the prompt; None if it is not sent, which is noted. `has_place` is whether one may
    /// stand there.
    pub fn next(
        &mut self,
        cache: Option<Cache>,
        has_place: bool,
        dropped: &mut Dropped,
    ) -> Option<Cache> {
        let cache = cache?;
        let at = self.seen;
        self.seen += 1;
        if self.is_own {
            return Some(cache);
        }
        let is_within = at == 0 || at + MARKS_MAX > self.total;
        if !has_place || !is_within || self.caches == Caches::Never {
            dropped.note(Feature::CacheControl);
            return None;
        }
        if cache == Cache::Hour && self.caches != Caches::Hour {
            dropped.note(Feature::CacheControl);
            return Some(Cache::Usual);
        }
        Some(cache)
    }
}
