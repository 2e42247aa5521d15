//! Rows on their way to the store.

use std::sync::Arc;

use uuid::Uuid;

use super::cells::USUAL_PARTS;
use super::row::{CacheResult, PriceUsed, Row, TEXTS};
use super::schema::{self, PART_MAX};
use crate::dialect::Usage;
use crate::spend::Usd;

/// Rows that are written down one behind the other.
///
/// All cores make rows, and one thread stores them: each of their cache lines is fetched from one core by another, what is
/// allocated by one and freed by another comes back to the allocator cold, and what is counted by all of them is fetched to and
/// fro. So a row takes as few lines as may be here, and nothing in it is anybody's but the batch's.
#[derive(Debug, Default)]
pub struct Batch {
    heads: Vec<Head>,
    /// What their usages have of each part, if anything.
    parts: Vec<u64>,
    texts: String,
    /// The prices that they were computed with, each of them once.
    prices: Vec<Arc<PriceUsed>>,
}

/// What each row has, and where its other things are.
#[derive(Clone, Copy, Debug)]
struct Head {
    id: Uuid,
    time_ms: i64,
    cost: Option<Usd>,
    savings: Usd,
    parts_at: usize,
    texts_at: usize,
    /// How long each of its texts is, if it is there.
    lengths: [u32; TEXTS],
    /// Which parts its usage has, as a bit for each.
    parts: u32,
    /// Which price it was computed with, if any.
    price: u32,
    attempt: u32,
    latency_ms: u32,
    status: u16,
    cache: CacheResult,
    estimated: bool,
    stream: bool,
}

/// How long those of a usual row are together, with some room.
const TEXT_BYTES: usize = 256;

/// Parts of a usage are told apart by the bits of [`Head::parts`].
const _: () = assert!(Usage::PARTS <= u32::BITS as usize);

/// Where there is none.
const NONE: u32 = u32::MAX;

impl Batch {
    /// How many rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Writes a row down. NUL characters, which a caller may send and Postgres has no place for, are replaced.
    pub fn push(&mut self, row: &Row<'_>) {
        let (parts_at, texts_at) = (self.parts.len(), self.texts.len());
        let texts = row.texts();
        texts
            .iter()
            .flatten()
            .for_each(|text| self.texts.push_str(text));
        if memchr::memchr(0, &self.texts.as_bytes()[texts_at..]).is_some() {
            self.texts.truncate(texts_at);
            let texts = texts.map(|text| text.map(|text| text.replace('\0', "\u{fffd}")));
            return self.push(&row.with_texts(texts.each_ref().map(Option::as_deref)));
        }
        let mut parts = 0;
        for (index, part) in row.usage.parts().into_iter().enumerate() {
            if part > 0 {
                parts |= 1 << index;
                self.parts.push(part);
            }
        }
        let price = row.price.map_or(NONE, |price| self.index_of(price));
        self.heads.push(Head {
            id: row.id,
            time_ms: row.time_ms,
            cost: row.cost,
            savings: row.savings,
            parts_at,
            texts_at,
            lengths: texts.map(|text| text.map_or(NONE, |text| text.len() as u32)),
            parts,
            price,
            attempt: row.attempt,
            latency_ms: row.latency_ms,
            status: row.status,
            cache: row.cache,
            estimated: row.estimated,
            stream: row.stream,
        });
    }

    /// The place of a price among those of the batch. Few are in force, and mostly it is the last one.
    fn index_of(&mut self, price: &Arc<PriceUsed>) -> u32 {
        let mut known = self.prices.iter();
        let known = known.rposition(|known| Arc::ptr_eq(known, price));
        let index = known.unwrap_or_else(|| {
            self.prices.push(price.clone());
            self.prices.len() - 1
        });
        index as u32 // as many as a catalogue has
    }

    /// The rows as they came.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.written().map(Written::row)
    }

    fn written(&self) -> impl Iterator<Item = Written<'_>> {
        let all = self.heads.iter();
        all.map(|head| Written { head, batch: self })
    }

    /// The rows in the order that all writers share, so that none waits for one that waits for it, and in which an index grows
    /// at its end.
    pub(super) fn in_order(&self) -> Vec<Written<'_>> {
        let mut rows: Vec<_> = self.written().collect();
        rows.sort_unstable_by_key(Written::identity);
        rows
    }

    /// An empty one in its place, with the room that it had, unless that is more than so many usual rows take.
    pub(super) fn emptied(mut self, rows_max: usize) -> Self {
        let is_usual = self.heads.capacity() <= rows_max
            && self.texts.capacity() <= rows_max * TEXT_BYTES
            && self.parts.capacity() <= rows_max * Usage::PARTS;
        if !is_usual {
            return Self::default();
        }
        self.heads.clear();
        self.parts.clear();
        self.texts.clear();
        self.prices.clear();
        self
    }
}

impl<'r> Extend<Row<'r>> for Batch {
    fn extend<I: IntoIterator<Item = Row<'r>>>(&mut self, rows: I) {
        rows.into_iter().for_each(|row| self.push(&row));
    }
}

impl<'r> FromIterator<Row<'r>> for Batch {
    fn from_iter<I: IntoIterator<Item = Row<'r>>>(rows: I) -> Self {
        let mut batch = Self::default();
        batch.extend(rows);
        batch
    }
}

/// A row that is written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'b> {
    head: &'b Head,
    batch: &'b Batch,
}

impl<'b> Written<'b> {
    /// What tells it from every other row.
    pub const fn identity(&self) -> (i64, Uuid) {
        (self.head.time_ms, self.head.id)
    }

    /// The row. Inlined, because most who ask for it look at some of it only.
    #[inline(always)]
    pub fn row(self) -> Row<'b> {
        let Self { head, batch } = self;
        let mut usage = [0; Usage::PARTS];
        let (mut left, mut parts) = (head.parts, batch.parts[head.parts_at..].iter());
        while left > 0 {
            let index = left.trailing_zeros() as usize;
            usage[index] = parts.next().copied().unwrap_or_default();
            left &= left - 1;
        }
        let mut rest = &batch.texts[head.texts_at..];
        let mut texts = [None; TEXTS];
        for (text, length) in texts.iter_mut().zip(head.lengths) {
            if length != NONE {
                let (first, behind) = rest.split_at(length as usize);
                (*text, rest) = (Some(first), behind);
            }
        }
        let row = Row {
            id: head.id,
            time_ms: head.time_ms,
            attempt: head.attempt,
            usage: Usage::from_parts(usage),
            estimated: head.estimated,
            cost: head.cost,
            price: batch.prices.get(head.price as usize),
            cache: head.cache,
            savings: head.savings,
            status: head.status,
            latency_ms: head.latency_ms,
            stream: head.stream,
            ..Row::default()
        };
        row.with_texts(texts)
    }

    /// Whether it has in all columns but the [`USUAL_COLUMNS`](super::cells::USUAL_COLUMNS) what those hold by themselves where
    /// nothing is put in, and nothing that is too much for the store.
    pub fn is_usual(&self) -> bool {
        let Self { head, batch } = self;
        let [.., verdict, reason] = head.lengths;
        let mut told = batch.parts[head.parts_at..].iter();
        head.parts >> USUAL_PARTS == 0
            && head.attempt == 1
            && verdict == NONE
            && reason == NONE
            && !head.estimated
            && head.cache == CacheResult::Off
            && head.savings == Usd::ZERO
            && (0..head.parts.count_ones()).all(|_| told.next() <= Some(&PART_MAX))
            && !head.cost.as_ref().is_some_and(schema::is_too_much)
    }
}

/// Every price that one of those rows was computed with, in an order that all writers share; and perhaps more.
pub(super) fn prices<'b>(rows: &[Written<'b>]) -> Vec<&'b PriceUsed> {
    let prices = rows.first().map_or(&[][..], |row| &row.batch.prices);
    let mut prices: Vec<_> = prices.iter().map(|price| &**price).collect();
    prices.sort_unstable_by_key(|price| &price.id);
    prices.dedup_by_key(|price| &price.id);
    prices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_is_kept_for_usual_rows_only() {
        let usual = Row {
            request_id: "req_0123456789abcdef0123456789abcdef",
            ..Row::default()
        };
        let long = "x".repeat(4_096);
        let metadata = Row {
            metadata: &long,
            ..usual
        };
        for (row, rows, is_kept) in [
            (usual, 900, true),
            (usual, 9_000, false),
            (metadata, 900, false),
        ] {
            let batch: Batch = std::iter::repeat_n(row, rows).collect();
            let batch = batch.emptied(1_024);
            assert!(batch.is_empty());
            assert_eq!(batch.heads.capacity() > 0, is_kept);
            assert_eq!(batch.texts.capacity() > 0, is_kept);
        }
    }

    proptest! {
        /// Rows come out as they went in, but for what no store takes, and in order of their time.
        #[test]
        fn rows_come_out_as_they_went_in(
            all in prop::collection::vec(
                (
                    prop::array::uniform9(prop::option::of("[a-zß🦀\u{0}]{0,60}")),
                    prop::collection::vec((0..Usage::PARTS, any::<u64>()), 0..6),
                    (0_i64..5, any::<u128>(), any::<u32>(), any::<bool>()),
                    prop::option::of((any::<i64>(), 0..3_usize)),
                ),
                0..20,
            )
        ) {
            let prices = [0, 1, 2].map(|index: usize| {
                Arc::new(PriceUsed { id: index.to_string(), json: "[]".to_owned() })
            });
            let rows = all.iter().map(|(texts, told, (time_ms, id, number, is_so), paid)| {
                let mut usage = [0; Usage::PARTS];
                told.iter().for_each(|(index, part)| usage[*index] = *part);
                let row = Row {
                    id: Uuid::from_u128(*id),
                    time_ms: *time_ms,
                    usage: Usage::from_parts(usage),
                    cost: paid.map(|(pico, _)| Usd::from_pico(pico.into())),
                    price: paid.map(|(_, index)| &prices[index]),
                    attempt: *number,
                    latency_ms: !*number,
                    status: *number as u16,
                    savings: Usd::from_pico((*number).into()),
                    cache: if *is_so { CacheResult::Semantic } else { CacheResult::Miss },
                    estimated: *is_so,
                    stream: !*is_so,
                    ..Row::default()
                };
                row.with_texts(texts.each_ref().map(Option::as_deref))
            });
            let batch: Batch = rows.clone().collect();
            let clean: Vec<_> = all.iter().map(|(texts, ..)| {
                texts.each_ref().map(|text| text.as_ref().map(|text| text.replace('\0', "\u{fffd}")))
            }).collect();
            let expected = rows.zip(&clean).map(|(row, texts)| {
                row.with_texts(texts.each_ref().map(Option::as_deref))
            });
            let expected: Vec<_> = expected.collect();
            prop_assert_eq!(batch.rows().collect::<Vec<_>>(), &expected[..]);
            let mut sorted = expected;
            sorted.sort_by_key(|row| (row.time_ms, row.id));
            let in_order = batch.in_order();
            prop_assert_eq!(in_order.iter().map(|row| row.row()).collect::<Vec<_>>(), sorted);
            let known = prices.each_ref().map(|price| &**price);
            prop_assert!(super::prices(&in_order).iter().all(|price| known.contains(price)));
        }
    }
}
