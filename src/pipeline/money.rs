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
    Allowance, Budget, Fund, Owner, Page, Part, Reached, Refusal, Treasury, Unbounded, WAITING_MAX,
    WhenSpent,
};
use crate::dialect::{Error, Incoming, Kind, Paid};
use crate::route::{Model, Target};
use crate::soon::Soon;
use crate::spend::ledger::USER_MAX;
use crate::spend::{NoBound, Usd, Why, Worst, output_bound};

/// How long a caller who was refused because of requests that run shall wait: nobody knows when they end.
const HELD_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// No more budgets than these pay for most requests.
const FUNDS_MOST: usize = 4;

/// What is set aside for a request. Dropped before anything was called, it goes back.
#[derive(Default)]
pub struct Money {
    /// In budgets that are never exceeded.
    parts: Vec<(Arc<Fund>, Part)>,
    /// Budgets that only count.
    counting: Vec<(Arc<Fund>, Arc<Page>)>,
    /// The tokens of all answers that money is reserved for.
    pub output_tokens: Option<u64>,
}

/// Whether anybody's money pays for a request.
pub fn is_budgeted(key: &Key, model: &Model) -> bool {
    funds(key, model).next().is_some() || !key.team.per_user.is_empty()
}

/// Every fund that pays for a request besides its user's: the key's, the team's for the model, the team's.
fn funds<'a>(key: &'a Key, model: &'a Model) -> impl Iterator<Item = &'a Arc<Fund>> + Clone {
    let of_model = key.team.per_model.get(&*model.name);
    let of_model = of_model.map_or(&[][..], Vec::as_slice);
    key.funds.iter().chain(of_model).chain(&key.team.funds)
}

/// Whether one of the budgets is spent that then want the cheapest target.
pub fn is_thrifty(gateway: &Gateway, key: &Key, model: &Model, incoming: &Incoming) -> bool {
    let treasury = &gateway.treasury;
    let is_cheapest = |budget: &Budget| budget.when_spent == WhenSpent::Cheapest;
    let is_spent = |fund: &Fund| {
        let standing = fund.page(treasury, treasury.now()).standing();
        standing.spent >= fund.budget.usd + standing.adjusted
    };
    let mut of_all = funds(key, model).filter(|fund| is_cheapest(&fund.budget));
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
        let Asked {
            gateway,
            key,
            model,
            ..
        } = asked;
        let time = gateway.treasury.time(bill.time);
        let page = |fund: &Fund| fund.page(&gateway.treasury, time);
        let of_users = key.team.per_user.iter();
        let of_user = funds_of_user(of_users, asked.incoming, &gateway.treasury, time);
        let of_user: Vec<_> = of_user.collect();
        let all = || of_user.iter().chain(funds(key, model));
        let hard = || all().filter(|fund| fund.is_hard());
        let counting = all().filter(|fund| !fund.is_hard());
        let mut money = Self {
            parts: Vec::new(),
            counting: counting.map(|fund| (fund.clone(), page(fund))).collect(),
            output_tokens: None,
        };
        let Some(first) = hard().next() else {
            return Soon::Now(Ok((money, None)));
        };
        let worst = match worst(&first.owner, hard(), asked, target, bill) {
            Ok(worst) => worst,
            Err(error) => return Soon::Now(Err(error)),
        };
        let choices = asked.demand().choices;
        money.output_tokens = Some(worst.output_max().saturating_mul(choices));
        let (amount, now) = (worst.usd(), Instant::now());
        money.parts.reserve(FUNDS_MOST);
        for fund in hard() {
            let Some(part) = page(fund).take(fund.budget.usd, amount, now) else {
                // What was taken of others goes back.
                money.parts.clear();
                let hard = hard().cloned().collect();
                return Soon::later(money.wait(hard, worst, asked, time));
            };
            money.parts.push((fund.clone(), part));
        }
        Soon::Now(Ok((money, None)))
    }

    /// Reserves in one budget after the other, as much as all of them have.
    async fn wait(
        mut self,
        hard: Vec<Arc<Fund>>,
        worst: Worst,
        asked: &Asked<'_>,
        time: DateTime<Utc>,
    ) -> Result<Reserved, Error> {
        let demand = asked.demand();
        let mut amount = worst.usd();
        for fund in hard {
            let floor = fund.budget.floor_tokens.max(demand.output_min);
            let need = worst.usd_for(floor.min(worst.output_max())).min(amount);
            let page = fund.page(&asked.gateway.treasury, time);
            let reserved = page
                .reserve(fund.budget.usd, need, amount, fund.budget.wait, WAITING_MAX)
                .await;
            let part = reserved.map_err(|refusal| refused(&fund, refusal, need, &page))?;
            amount = part.amount();
            self.parts.push((fund, part));
        }
        if amount == worst.usd() {
            return Ok((self, None));
        }
        // What is reserved is what the answer that is asked for can cost, in all budgets alike.
        let output_max = worst.fitting(amount).unwrap_or(0);
        self.output_tokens = Some(output_max.saturating_mul(demand.choices));
        let amount = worst.usd_for(output_max);
        self.parts
            .iter_mut()
            .for_each(|(_, part)| part.shrink(amount));
        Ok((self, Some(output_max)))
    }

    /// A provider is about to be called.
    pub fn spend(&mut self) {
        self.parts
            .iter_mut()
            .for_each(|(_, part)| part.is_called = true);
    }

    /// The request cost so much; None if nobody can say, though it had a price: then all that was reserved counts.
    pub fn settle(self, cost: Option<Usd>, notify: &dyn Fn(Notice)) {
        let now = Instant::now();
        for (fund, part) in self.parts {
            let reserved = part.amount();
            let cost = cost.unwrap_or(reserved);
            let reached = part.settle(cost, &fund.budget, now);
            // What has no bound was left out of it, where that is allowed.
            if cost > reserved && fund.budget.allow.is_empty() {
                let fund = fund.clone();
                notify(Notice::Overshot {
                    fund,
                    reserved,
                    cost,
                });
            }
            tell(&fund, reached, notify);
        }
        for (fund, page) in self.counting {
            let reached = page.add(cost.unwrap_or_default(), &fund.budget);
            tell(&fund, reached, notify);
        }
    }
}

/// Tells of the shares that are reached now.
fn tell(fund: &Arc<Fund>, reached: Vec<Reached>, notify: &dyn Fn(Notice)) {
    for reached in reached {
        notify(Notice::Reached {
            fund: fund.clone(),
            reached,
        });
    }
}

/// What a request can cost at the most, as far as every one of the budgets asks for it.
fn worst<'f>(
    owner: &Owner,
    hard: impl Iterator<Item = &'f Arc<Fund>> + Clone,
    asked: &Asked<'_>,
    target: &Target,
    bill: &Bill,
) -> Result<Worst, Error> {
    let Some(tariff) = &bill.tariff else {
        let message = format!(
            "the target `{}` has no price, and the budget of {owner} is never exceeded",
            target.name
        );
        return Err(not_priced(message));
    };
    let is_allowed = |kind| hard.clone().all(|fund| fund.budget.allows(kind));
    let kinds = [
        (Unbounded::Tools, &[Paid::Tools, Paid::Models][..]),
        (Unbounded::Media, &[Paid::Media, Paid::Output]),
        (Unbounded::Tier, &[Paid::Tier]),
        (Unbounded::Stored, &[Paid::Stored]),
    ];
    let allowed = kinds.into_iter().filter(|(kind, _)| is_allowed(*kind));
    let allowed: Vec<Paid> = allowed.flat_map(|(_, paid)| paid).copied().collect();
    let output_bound = asked
        .model
        .max_output_tokens
        .or_else(|| output_bound(&target.model));
    let worst = Worst::of(
        asked.demand(),
        &target.model,
        tariff,
        bill.time,
        output_bound,
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

fn refused(fund: &Fund, refusal: Refusal, need: Usd, page: &Page) -> Error {
    let message = fund.refusal(refusal, need, page);
    match refusal {
        Refusal::Spent => Error::new(Kind::QuotaSpent, message),
        Refusal::Held => Error::new(Kind::RateLimited, message).retry_after(HELD_WAIT),
        Refusal::Lost => Error::new(Kind::StateLost, message).retry_after(HELD_WAIT),
    }
}
