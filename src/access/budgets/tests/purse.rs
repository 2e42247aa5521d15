//! A purse of few slots, each a nano-dollar, against an account.

use std::time::{Duration, Instant};

use crate::access::budgets::Kind;
use crate::access::budgets::account::{Account, Ask};
use crate::access::budgets::purse::{Effect, Past, Purse, Refusal};
use crate::spend::Usd;

const SLOT: Usd = Usd::from_nano(1);

/// A purse, the account that it draws on, and what it has said.
struct Slots {
    purse: Purse,
    account: Account,
    messages: usize,
    told: Vec<Effect>,
    now: Instant,
}

impl Slots {
    fn of(limit: u64) -> Self {
        let (limit, part) = (Usd::from_nano(limit), Kind::Slots.spare_part());
        Self {
            purse: Purse::new("a".into(), limit, part, Past::default(), 0),
            account: Account::default(),
            messages: 0,
            told: Vec::new(),
            now: Instant::now(),
        }
    }

    /// Another replica has so many.
    fn lend(&mut self, limit: u64, held: u64) {
        let ask = Ask {
            replica: "b".into(),
            seq: 1,
            limit,
            settled: 0,
            held: 0,
            need: held,
            want: held,
            spare: 0,
        };
        assert_eq!(self.account.ask(&ask, true).granted, held);
    }

    fn carry_out(&mut self, mut effects: Vec<Effect>) {
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Ask(ask) => {
                    self.messages += 1;
                    assert!(self.messages < 10_000, "it asks for ever");
                    let answer = self.account.ask(&ask, true);
                    effects.extend(self.purse.answered(answer, self.now));
                }
                Effect::Note(_) => effects.extend(self.purse.noted(self.now)),
                told => self.told.push(told),
            }
        }
    }

    /// Whether a slot is to be had without waiting for others.
    fn take(&mut self) -> bool {
        self.told.clear();
        let (now, queue) = (self.now, 0);
        let (admitted, effects) = self.purse.reserve(1, SLOT, SLOT, now, queue, now);
        self.carry_out(effects);
        let told = std::mem::take(&mut self.told);
        match (admitted, &told[..]) {
            (Some(SLOT), []) => true,
            (None, [Effect::Admit(1, SLOT)]) => true,
            (None, [Effect::Refuse(1, Refusal::Held)]) => false,
            other => panic!("{other:?}"),
        }
    }

    fn give_back(&mut self) {
        let effects = self.purse.settle(SLOT, Usd::ZERO, self.now);
        self.carry_out(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let effects = self.purse.tick(self.now);
        self.carry_out(effects);
    }
}

#[test]
fn all_slots_are_to_be_had_and_none_more_and_quiet_is_quiet() {
    for limit in [1, 2, 10, 15, 16, 17, 31, 32, 33, 100] {
        for others in [0, 1, limit / 2, limit - 1, limit] {
            let mut slots = Slots::of(limit);
            slots.lend(limit, others);
            for _ in 0..3 {
                let taken = (0..=limit).filter(|_| slots.take()).count() as u64;
                assert_eq!(taken, limit - others, "of {limit} beside {others}");
                (0..taken).for_each(|_| slots.give_back());
                slots.pass(Duration::from_millis(70));
            }
            let before = slots.messages;
            (0..600).for_each(|_| slots.pass(Duration::from_millis(100)));
            // While it is in use, one that has no spare slots asks for some each time that it is looked at.
            let said = slots.messages - before;
            assert!(said <= 110, "{said} messages of {limit} beside {others}");
            let before = slots.messages;
            (0..600).for_each(|_| slots.pass(Duration::from_millis(100)));
            assert_eq!(slots.messages, before, "of {limit} beside {others}");
            assert_eq!(slots.account.totals(), (0, others));
        }
    }
}

#[test]
fn who_stands_behind_the_queue_waits_for_no_longer_than_an_answer() {
    let mut slots = Slots::of(2);
    slots.lend(2, 2);
    let until = slots.now + Duration::from_secs(60);
    for id in 0..4 {
        let now = slots.now;
        let (admitted, effects) = slots.purse.reserve(id, SLOT, SLOT, until, 2, now);
        assert_eq!(admitted, None);
        slots.carry_out(effects);
    }
    let refused = [2, 3].map(|id| Effect::Refuse(id, Refusal::Held));
    assert_eq!(slots.told, refused);
    // The others have their places for as long as they wait.
    slots.pass(Duration::from_secs(1));
    assert_eq!(slots.told, refused);
}

#[test]
fn an_account_that_does_not_grant_yet_is_not_called_full() {
    let (now, limit) = (Instant::now(), Usd::from_nano(10));
    let mut purse = Purse::new("a".into(), limit, 16, Past::default(), 0);
    let (admitted, effects) = purse.reserve(1, SLOT, SLOT, now, 0, now);
    let [Effect::Ask(ask)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let answer = Account::default().ask(ask, false);
    let refused = vec![Effect::Refuse(1, Refusal::Lost)];
    assert_eq!((admitted, purse.answered(answer, now)), (None, refused));
}
