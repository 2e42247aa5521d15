//! Step 4, as far as it is about money: the worst case of a request is reserved in the budgets of its key and team, and what it
//! did cost is settled.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::asked::Asked;
use super::bill::Bill;
use super::gateway::{Gateway, Notice};
use super::not_priced;
use crate::access::Key;
use crate::access::budgets::{
    Allowance, Budget, Fund, Page, Part, Payers, Refusal, Treasury, Unbounded, WAITING_MAX,
    WhenSpent,
};
use crate::dialect::{Error, Incoming, Kind, Paid};
use crate::route::Target;
use crate::soon::Soon;
use crate::spend::ledger::USER_MAX;
use crate::spend::{NoBound, Usd, Why, Worst};

/// How long a caller who was refused because of requests that run shall wait: nobody knows when they end.
const HELD_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What is set aside for a request. Dropped before anything was called, it goes back.
#[derive(Default)]
pub struct Money {
    /// The budgets that pay, if any do; …
    payers: Option<Payers>,
    /// … and what is taken of each.
    taken: Vec<Taken>,
    /// The tokens of all answers that money is reserved for.
    pub output_tokens: Option<u64>,
}

/// What is taken of a budget.
enum Taken {
    /// Of one that is never exceeded.
    Part(Part),
    /// Nothing: it only counts.
    Counted(Arc<Page>),
}

/// Whether one of the budgets is spent that then want the cheapest target.
pub fn is_thrifty(gateway: &Gateway, key: &Key, payers: &[Arc<Fund>], incoming: &Incoming) -> bool {
    let treasury = &gateway.treasury;
    let is_cheapest = |budget: &Budget| budget.when_spent == WhenSpent::Cheapest;
    let is_spent = |fund: &Fund| {
        let standing = fund.page(treasury, treasury.now()).standing();
        standing.spent >= fund.budget.usd + standing.adjusted
    };
    let mut of_all = payers.iter().filter(|fund| is_cheapest(&fund.budget));
    if of_all.any(|fund| is_spent(fund)) {
        return true;
    }
    let of_users = key.team.per_user.iter();
    let mut of_users = of_users
        .filter(|allowance| is_cheapest(&allowance.budget))
        .peekable();
    if of_users.peek().is_none() {
        return false;
    }
    let mut of_user = funds_of_user(of_users, incoming, treasury, treasury.now());
    of_user.any(|fund| is_spent(&fund))
}

/// The funds that the request's user has of the team's allowances.
fn funds_of_user<'a>(
    allowances: impl Iterator<Item = &'a Arc<Allowance>>,
    incoming: &Incoming,
    treasury: &Treasury,
    time: DateTime<Utc>,
) -> impl Iterator<Item = Arc<Fund>> {
    let user = OnceCell::new();
    allowances.map(move |allowance| {
        let user = user.get_or_init(|| incoming.user(USER_MAX));
        allowance.fund(user, treasury, time)
    })
}

/// What was reserved, and how long an answer may be, in tokens of a choice, where only a shorter one than was asked for fits.
pub type Reserved = (Money, Option<u64>);

impl Money {
    /// Reserves the worst case of a request, or that of a shorter answer where only that fits. Waits for what other requests
    /// give back as long as the budgets say. What does not come to pass is that a budget has no room, or that the request has no
    /// upper bound of its cost.
    pub fn reserve<'a>(
        asked: &'a Asked<'_>,
        target: &Target,
        bill: &Bill,
    ) -> Soon<'a, Result<Reserved, Error>> {
        let treasury = &asked.gateway.treasury;
        let time = treasury.time(bill.time);
        let payers = payers(asked, time);
        let worst = match worst(&payers, asked, target, bill) {
            Ok(worst) => worst,
            Err(error) => return Soon::Now(Err(error)),
        };
        let (amount, now) = (worst.usd(), Instant::now());
        let take = |fund: &Arc<Fund>| {
            let page = fund.page(treasury, time);
            match fund.is_hard() {
                true => page.take(fund.budget.usd, amount, now).map(Taken::Part),
                false => Some(Taken::Counted(page)),
            }
        };
        let Some(taken) = payers.iter().map(take).collect() else {
            // What was taken of some has gone back.
            return Soon::later(Self::wait(payers, worst, asked, time));
        };
        let is_bounded = payers.iter().any(|fund| fund.is_hard());
        let money = Self {
            payers: Some(payers),
            taken,
            output_tokens: is_bounded.then(|| output_tokens(worst.output_max(), asked)),
        };
        Soon::Now(Ok((money, None)))
    }

    /// Reserves in one budget after the other, as much as all of them have.
    async fn wait(
        payers: Payers,
        worst: Worst,
        asked: &Asked<'_>,
        time: DateTime<Utc>,
    ) -> Result<Reserved, Error> {
        let mut amount = worst.usd();
        let mut money = Self::default();
        for fund in &*payers {
            let page = fund.page(&asked.gateway.treasury, time);
            if !fund.is_hard() {
                money.taken.push(Taken::Counted(page));
                continue;
            }
            let floor = fund.budget.floor_tokens.max(asked.demand().output_min);
            let need = worst.usd_for(floor.min(worst.output_max())).min(amount);
            let reserved = page
                .reserve(fund.budget.usd, need, amount, fund.budget.wait, WAITING_MAX)
                .await;
            let part = reserved.map_err(|refusal| refused(fund, refusal, need, &page))?;
            amount = part.amount();
            money.taken.push(Taken::Part(part));
        }
        money.payers = Some(payers);
        if amount == worst.usd() {
            money.output_tokens = Some(output_tokens(worst.output_max(), asked));
            return Ok((money, None));
        }
        // What is reserved is what the answer that is asked for can cost, in all budgets alike.
        let output_max = worst.fitting(amount).unwrap_or(0);
        money.output_tokens = Some(output_tokens(output_max, asked));
        let amount = worst.usd_for(output_max);
        money.parts().for_each(|part| part.shrink(amount));
        Ok((money, Some(output_max)))
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.taken.iter_mut().filter_map(|taken| match taken {
            Taken::Part(part) => Some(part),
            Taken::Counted(_) => None,
        })
    }

    /// A provider is about to be called.
    pub fn spend(&mut self) {
        self.parts().for_each(|part| part.is_called = true);
    }

    /// The request cost so much; None if nobody can say, though it had a price: then all that was reserved counts.
    pub fn settle(self, cost: Option<Usd>, notify: &dyn Fn(Notice)) {
        let Some(payers) = &self.payers else {
            return;
        };
        let now = Instant::now();
        for (fund, taken) in payers.iter().zip(self.taken) {
            let reached = match taken {
                Taken::Counted(page) => page.add(cost.unwrap_or_default(), &fund.budget),
                Taken::Part(part) => {
                    let reserved = part.amount();
                    let cost = cost.unwrap_or(reserved);
                    // What has no bound was left out of it, where that is allowed.
                    if cost > reserved && fund.budget.allow.is_empty() {
                        let fund = fund.clone();
                        notify(Notice::Overshot {
                            fund,
                            reserved,
                            cost,
                        });
                    }
                    part.settle(cost, &fund.budget, now)
                }
            };
            for reached in reached {
                let fund = fund.clone();
                notify(Notice::Reached { fund, reached });
            }
        }
    }
}

/// The budgets that pay for a request at a time: its user's, its key's and its team's.
fn payers(asked: &Asked<'_>, time: DateTime<Utc>) -> Payers {
    let of_users = &asked.key.team.per_user;
    if of_users.is_empty() {
        return asked.payers.clone();
    }
    let of_users = of_users.iter();
    let of_user = funds_of_user(of_users, asked.incoming, &asked.gateway.treasury, time);
    of_user.chain(asked.payers.iter().cloned()).collect()
}

/// The tokens of all choices of an answer, each so long.
fn output_tokens(output_max: u64, asked: &Asked<'_>) -> u64 {
    output_max.saturating_mul(asked.demand().choices)
}

/// What a request can cost at the most, as far as every one of the budgets that are never exceeded asks for it; nothing where
/// none is.
fn worst(
    payers: &[Arc<Fund>],
    asked: &Asked<'_>,
    target: &Target,
    bill: &Bill,
) -> Result<Worst, Error> {
    let mut hard = payers.iter().filter(|fund| fund.is_hard());
    let Some(first) = hard.next() else {
        return Ok(Worst::NOTHING);
    };
    let owner = &first.owner;
    let Some(tariff) = &bill.tariff else {
        let message = format!(
            "the target `{}` has no price, and the budget of {owner} is never exceeded",
            target.name
        );
        return Err(not_priced(message));
    };
    // What all of them allow; mostly the first allows nothing.
    let of_first = first.budget.allow.iter();
    let allowed = of_first.filter(|kind| hard.clone().all(|fund| fund.budget.allows(**kind)));
    let allowed: Vec<Paid> = allowed.flat_map(|kind| paid(*kind)).copied().collect();
    let worst = Worst::of(
        asked.demand(),
        &target.model,
        tariff,
        bill.time,
        asked.model.max_output_tokens,
        &allowed,
    );
    worst.map_err(|none| {
        let NoBound { param, why } = &none;
        if *why == Why::Price {
            return not_priced(format!("the target `{}` has no price at this time, and the budget of {owner} is never exceeded", target.name));
        }
        Error::invalid(param, format!("{none}, and the budget of {owner} is never exceeded"))
    })
}

/// What a request asks for by which it may cost more than anybody can say before.
const fn paid(kind: Unbounded) -> &'static [Paid] {
    match kind {
        Unbounded::Tools => &[Paid::Tools, Paid::Models],
        Unbounded::Media => &[Paid::Media, Paid::Output],
        Unbounded::Tier => &[Paid::Tier],
        Unbounded::Stored => &[Paid::Stored],
    }
}

fn refused(fund: &Fund, refusal: Refusal, need: Usd, page: &Page) -> Error {
    let message = fund.refusal(refusal, need, page);
    match refusal {
        Refusal::Spent => Error::new(Kind::QuotaSpent, message),
        Refusal::Held => Error::new(Kind::RateLimited, message).retry_after(HELD_WAIT),
        Refusal::Lost => Error::new(Kind::StateLost, message).retry_after(HELD_WAIT),
    }
}
