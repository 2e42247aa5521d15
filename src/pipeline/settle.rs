//! The end of an attempt: its usage becomes a cost, a row of the ledger, and numbers on the metrics.
//!
//! Where the provider did not say what it used, that is counted first, on a thread of its own: the counting may take longer
//! than a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::admit::Admission;
use super::bill::{Bill, Charge, Saving};
use super::fare::Fare;
use super::gateway::Notice;
use crate::dialect::common::Said;
use crate::dialect::{Dialect, Incoming, Tier, Usage};
use crate::spend::ledger::{Batch, Ledger, Row};
use crate::spend::prices::Priced;
use crate::spend::{Family, Unreported, Usd};
use crate::telemetry::Series;

/// How many attempts may wait to be counted.
const WAITING_MAX: usize = 4096;

/// How many bytes of requests and answers may wait to be counted. What finds no room is estimated by its length alone.
const WAITING_BYTES_MAX: usize = 128 << 20;

/// Bytes that are taken for a token where there is no room to count.
const TOKEN_BYTES: u64 = 4;

/// What is known of an answer whose provider did not say, at its end, what it used.
#[derive(Default)]
pub struct Evidence {
    /// What it said in the course of a stream that was cut.
    pub reported: Option<Usage>,
    /// What the stream said to the caller.
    pub said: Said,
    /// The whole answer, where it was none.
    pub whole: Option<(Dialect, Bytes)>,
}

/// An attempt that is over.
pub struct Attempted {
    /// Who was called.
    pub target: Arc<str>,
    /// The prices.
    pub bill: Bill,
    /// What it used and cost, if anybody said.
    pub charge: Charge,
    /// What its chain saves by it.
    pub saving: Saving,
    /// Where its numbers go.
    pub series: Arc<Series>,
    /// What was asked.
    pub incoming: Arc<Incoming>,
    /// What is known of the answer.
    pub evidence: Box<Evidence>,
    /// What it was let through with.
    pub fare: Fare,
    /// What the request was admitted with, where it is limited and this is its last attempt.
    pub admission: Option<Admission>,
}

/// Where it is put down what attempts used and cost.
#[derive(Clone)]
pub struct Books {
    /// The durable record, where there is one.
    pub ledger: Option<Arc<Ledger>>,
    /// Who hears what happens to budgets.
    pub notices: UnboundedSender<Notice>,
}

impl Books {
    fn notify(&self) -> impl Fn(Notice) + '_ {
        // Nobody listens only when the process ends. What is told is bounded: a few shares of each budget, and overshots.
        |notice| drop(self.notices.send(notice))
    }
}

/// Settles attempts.
pub struct Settler {
    books: Books,
    counting: SyncSender<ToCount>,
    waiting: Arc<Waiting>,
}

/// An attempt whose usage is to be counted, and its row, where there is a ledger.
struct ToCount(Attempted, Batch);

#[derive(Default)]
struct Waiting {
    attempts: AtomicUsize,
    bytes: AtomicUsize,
}

impl Settler {
    /// Starts the counting thread.
    pub fn start(books: Books) -> Self {
        let (counting, to_count) = mpsc::sync_channel::<ToCount>(WAITING_MAX);
        let waiting = Arc::<Waiting>::default();
        let (of_thread, counted) = (books.clone(), waiting.clone());
        let count = move || {
            for ToCount(attempted, row) in to_count {
                let size = attempted.size();
                let usage = attempted.count();
                attempted.finish_estimated(row.rows().next(), usage, &of_thread);
                counted.bytes.fetch_sub(size, Ordering::AcqRel);
                counted.attempts.fetch_sub(1, Ordering::AcqRel);
            }
        };
        let started = std::thread::Builder::new()
            .name("count".into())
            .spawn(count);
        started.expect("a process that starts has room for a thread");
        Self {
            books,
            counting,
            waiting,
        }
    }

    /// Settles an attempt: at once where its usage is known. All that is known but what it used and cost is in `row`; None where
    /// no ledger keeps it.
    pub fn settle(&self, mut attempted: Attempted, row: Option<Row<'_>>) {
        match std::mem::take(&mut attempted.charge) {
            Charge::Reported(usage, priced) => {
                attempted.finish(row, usage, priced, false, &self.books);
            }
            Charge::Free => attempted.finish_free(row, &self.books),
            Charge::Open => self.count(attempted, row),
        }
    }

    fn count(&self, mut attempted: Attempted, row: Option<Row<'_>>) {
        attempted.end();
        let size = attempted.size();
        let waiting = self.waiting.bytes.fetch_add(size, Ordering::AcqRel);
        self.waiting.attempts.fetch_add(1, Ordering::AcqRel);
        let to_count = ToCount(attempted, row.into_iter().collect());
        let refused = match waiting.saturating_add(size) > WAITING_BYTES_MAX {
            true => Some(to_count),
            false => self
                .counting
                .try_send(to_count)
                .err()
                .map(|full| match full {
                    mpsc::TrySendError::Full(to_count)
                    | mpsc::TrySendError::Disconnected(to_count) => to_count,
                }),
        };
        if let Some(ToCount(attempted, row)) = refused {
            self.waiting.bytes.fetch_sub(size, Ordering::AcqRel);
            self.waiting.attempts.fetch_sub(1, Ordering::AcqRel);
            let usage = attempted.guess();
            attempted.finish_estimated(row.rows().next(), usage, &self.books);
        }
    }

    /// Waits until nothing is left to count; for the last moments of the process. Blocks.
    pub fn flush(&self, within: Duration) {
        let until = Instant::now() + within;
        while self.waiting.attempts.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Attempted {
    /// Bytes that it holds on to.
    fn size(&self) -> usize {
        let whole = self.evidence.whole.as_ref();
        self.incoming.body().len() + whole.map_or(0, |(_, body)| body.len())
    }

    /// It is over, and others may run; what it used is not known yet.
    fn end(&mut self) {
        self.fare.end();
        if let Some(admission) = &mut self.admission {
            admission.end();
        }
    }

    /// Counts what was used.
    fn count(&self) -> Usage {
        let Evidence {
            reported,
            said,
            whole,
        } = &*self.evidence;
        let said = match whole {
            Some((dialect, body)) => dialect.said(body),
            None => said.clone(),
        };
        let unreported = Unreported {
            operation: self.incoming.operation,
            body: self.incoming.body().clone(),
            model: self.incoming.model.clone(),
            stream: self.incoming.stream,
            said,
            family: Family::of(self.upstream_model()),
            reported: *reported,
        };
        unreported.usage()
    }

    /// What was used by the length of what was said, where there is no time for more.
    fn guess(&self) -> Usage {
        let reported = self.evidence.reported.unwrap_or_default();
        let said = self
            .evidence
            .said
            .kinds()
            .map(|kept| kept.text().len() as u64 + kept.further_bytes());
        let whole = self.evidence.whole.as_ref();
        let said = whole.map_or_else(|| said.iter().sum(), |(_, body)| body.len() as u64);
        let input = match reported.input_tokens {
            0 => (self.incoming.body().len() as u64).div_ceil(TOKEN_BYTES),
            reported => reported,
        };
        Usage {
            input_tokens: input,
            output_tokens: said.div_ceil(TOKEN_BYTES).max(reported.output_tokens),
            ..reported
        }
    }

    fn upstream_model(&self) -> &str {
        let target = &*self.target;
        target.split_once('/').map_or(target, |(_, model)| model)
    }

    /// Puts down what was counted.
    fn finish_estimated(self, row: Option<Row<'_>>, usage: Usage, books: &Books) {
        let priced = self.bill.price(&usage, Tier::Standard);
        self.finish(row, usage, priced, true, books);
    }

    /// Puts down what was used, and what it costs.
    fn finish(
        self,
        row: Option<Row<'_>>,
        usage: Usage,
        priced: Option<Priced>,
        is_estimated: bool,
        books: &Books,
    ) {
        let cost = priced.as_ref().map(|priced| priced.cost.usd());
        let tokens = [
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        ];
        let usd = cost.map(Usd::as_f64);
        let is_news = self.series.used(tokens, usd, is_estimated);
        if is_news && !self.bill.is_own {
            log::warn!(
                "the target `{}` has no price: its tokens are counted, its cost is not; `prices.overrides` may say one",
                self.target
            );
        }
        // The row first: what it says is in the ledger's queue before the money that covered it is free.
        if let (Some(ledger), Some(row)) = (&books.ledger, row) {
            ledger.push(&Row {
                usage,
                estimated: is_estimated,
                cost,
                savings: self.saving.of(&usage, cost, self.bill.time),
                price: priced.as_ref().map(|priced| &priced.used),
                ..row
            });
        }
        let bytes = self.incoming.body().len();
        self.fare.settle(bytes, &usage, cost, &books.notify());
        if let Some(admission) = self.admission {
            admission.settle(usage.input_tokens.saturating_add(usage.output_tokens));
        }
    }

    /// Puts down an attempt that used nothing.
    fn finish_free(self, row: Option<Row<'_>>, books: &Books) {
        if let (Some(ledger), Some(row)) = (&books.ledger, row) {
            let cost = Some(Usd::ZERO);
            ledger.push(&Row { cost, ..row });
        }
        self.fare.settle_free(&books.notify());
        if let Some(admission) = self.admission {
            admission.settle(0);
        }
    }
}
