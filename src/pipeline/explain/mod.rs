//! What would happen to a request, told without asking anybody: who is asked, in which order, why, and what that can cost.
//!
//! The same course as in [`super::route`], by what is passed in: the configuration, the request, who is left alone, chance and
//! the time. So a decision can be made again.

mod told;

pub use told::Explanation;

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Uri};

use super::around::{start, usual_price, usual_step};
use super::bill::Bill;
use super::flight::check_fits;
use super::plan::{Plan, Written, told, unserved};
use super::surface::{self, Ask, Surface};
use super::{check_priced, stored};
use crate::config::nearest;
use crate::dialect::{Demand, Error, Incoming, Kind, Needs, Operation, Tier, Usage};
use crate::route::gates::Hold;
use crate::route::health::{Closed, Fault, Readings, Standing, Why};
use crate::route::{Course, Model, Next, Spot, Start, Step, Surroundings, Target};
use crate::snapshot::Snapshot;
use crate::spend::{Family, Usd, Worst, input_tokens};
use told::{Call, Cost, HedgeTold, StepTold, TargetTold, TimeoutsTold};

/// What a course goes by besides the configuration and the request.
pub struct Circumstances<'a> {
    /// Targets that are left alone: `provider/model-name`.
    pub closed: &'a [String],
    /// What chance comes from.
    pub seed: u64,
    /// When: prices change by dates and by the time of day.
    pub at: DateTime<Utc>,
}

/// Tells what would happen to a request with this body at this path.
///
/// # Errors
/// It would be refused before anybody was asked; or what is to be left alone is no target.
pub fn explain(
    snapshot: &Snapshot,
    path: &str,
    body: Bytes,
    circumstances: &Circumstances<'_>,
) -> Result<Explanation, Error> {
    let ask = ask(path)?;
    let incoming = Incoming::read(ask.operation, body, ask.path)?;
    let found = snapshot.models.find(&incoming.model);
    let (model, star) = found.ok_or_else(|| unknown(snapshot, &incoming.model))?;
    let targets = (0..model.spots.len()).map(|spot| model.target(spot, star, &snapshot.wards));
    let request = Foretold {
        snapshot,
        incoming: &incoming,
        model,
        targets: targets.collect(),
        demand: incoming.demand(),
        circumstances,
    };
    request.explain()
}

fn unknown(snapshot: &Snapshot, model: &str) -> Error {
    let near = nearest(model, snapshot.models.names());
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Error::new(
        Kind::ModelNotFound,
        format!("there is no model `{model}`{hint}"),
    )
}

/// What is asked at a path.
fn ask(path: &str) -> Result<Ask, Error> {
    let uri: Uri = path.parse().map_err(|_| {
        let message = format!("`{path}` is no path such as /v1/chat/completions");
        Error::invalid("path", message)
    })?;
    let dialect = surface::dialect(uri.path(), &http::HeaderMap::new());
    match Surface::of(&Method::POST, &uri, dialect)? {
        Surface::Ask(ask) => Ok(ask),
        _ => Err(Error::invalid("path", format!("`{path}` asks no model"))),
    }
}

/// A request, and where it might go.
struct Foretold<'a> {
    snapshot: &'a Snapshot,
    incoming: &'a Incoming,
    model: &'a Model,
    targets: Vec<Target>,
    demand: Demand,
    circumstances: &'a Circumstances<'a>,
}

impl Surroundings for Foretold<'_> {
    fn standing(&self, spot: usize) -> Standing {
        match self.is_closed(spot) {
            true => Standing::Closed(Closed {
                // It does not come back while the request runs.
                until: Instant::now() + self.model.total,
                why: Why::Failing,
            }),
            false => Standing::Well,
        }
    }

    fn readings(&self, _: usize) -> Readings {
        Readings::default()
    }

    fn price(&self, spot: usize) -> Option<Usd> {
        let bill = self.bill(&self.targets[spot]);
        let forecast = self.snapshot.forecast(self.model);
        usual_price(&bill, forecast, self.incoming)
    }
}

impl Foretold<'_> {
    fn explain(&self) -> Result<Explanation, Error> {
        let Incoming {
            operation, stream, ..
        } = self.incoming;
        let mut closed = self.circumstances.closed.iter();
        if let Some(unknown) = closed.find(|name| !self.snapshot.models.leads_to(name)) {
            let message = format!("no model leads to a target `{unknown}`");
            return Err(Error::invalid("closed", message));
        }
        let forecast = self.snapshot.forecast(self.model);
        let step = usual_step(self.model, self.incoming, forecast);
        let start = start(self.model, self.incoming, step, false);
        let unable = self
            .model
            .unable(self.model.steps[step].spots.start, self.incoming);
        let refusals: Vec<_> = self
            .targets
            .iter()
            .map(|target| self.plan(target, &unable))
            .collect();
        let (order, calls, beside) = self.course(start, |spot| refusals[spot].is_err());
        let steps = self.model.steps.iter().map(|step| {
            let mut spots: Vec<_> = step.spots.clone().collect();
            let place = |spot: &usize| order.iter().position(|asked| asked == spot);
            spots.sort_by_key(|spot| place(spot).unwrap_or(usize::MAX));
            let targets = spots
                .into_iter()
                .map(|spot| self.tell(spot, &refusals[spot]));
            tell_step(step, targets.collect())
        });
        Ok(Explanation {
            model: self.incoming.model.clone(),
            configured_as: self.model.name.to_string(),
            dialect: operation.dialect().name(),
            stream: *stream,
            target: calls.first().map(|call| call.target.clone()),
            total_ms: millis(self.model.total),
            max_output_tokens: self.model.max_output_tokens,
            strict: self.model.strict,
            r#continue: self.model.continues,
            hedge: self.model.hedge.as_ref().map(|hedge| HedgeTold {
                after: hedge.after.to_string(),
                at_most: hedge.at_most,
                target: beside.map(|spot| self.targets[spot].name.to_string()),
            }),
            steps: steps.collect(),
            if_all_fail: calls,
        })
    }

    /// The spots in the order in which they are looked at, the calls, where each fails that is made, and who would be asked beside the
    /// first.
    fn course(
        &self,
        start: Start,
        cannot_be_asked: impl Fn(usize) -> bool,
    ) -> (Vec<usize>, Vec<Call>, Option<usize>) {
        let mut course = Course::new(self.model, start, self.circumstances.seed);
        let mut now = Instant::now();
        let deadline = now + self.model.total;
        let (mut order, mut calls, mut beside) = (Vec::new(), Vec::new(), None);
        loop {
            let (spot, pause) = match course.next(self, now, deadline) {
                Next::Call(spot) | Next::Resort(spot) => (spot, Duration::ZERO),
                Next::Repeat(spot, pause) | Next::Wait(spot, pause) => (spot, pause),
                Next::End(_) => return (order, calls, beside),
            };
            order.push(spot);
            if cannot_be_asked(spot) {
                course.skip(spot);
                continue;
            }
            calls.push(Call {
                target: self.targets[spot].name.to_string(),
                step: course.step() + 1,
                after_ms: millis(pause),
            });
            now += pause;
            course.called(spot);
            if calls.len() == 1 {
                let other = course.beside(self);
                beside = other.filter(|spot| !cannot_be_asked(*spot));
            }
            course.failed(spot, Fault::Failed("status"), now);
        }
    }

    /// How a target would be asked: in which dialect, and what is dropped; or why it is not, as those are not who are `unable`.
    fn plan(
        &self,
        target: &Target,
        unable: &[(usize, Needs)],
    ) -> Result<(&'static str, Vec<String>), Error> {
        let (incoming, model) = (self.incoming, self.model);
        if let Some((_, lacks)) = unable.iter().find(|(spot, _)| *spot == target.spot) {
            let message = format!(
                "it lacks what the request needs and another target has: {}",
                lacks.names()
            );
            return Err(Error::new(Kind::InvalidRequest, message));
        }
        check_priced(&self.bill(target), self.snapshot, target)?;
        check_fits(self.snapshot, model, incoming, target)?;
        let caller = incoming.operation.dialect();
        let plan = match incoming.operation {
            Operation::Generate(_) => {
                let dialect = target.provider.dialect_for(caller, &target.model);
                let dialect = dialect.ok_or_else(|| unserved(incoming))?;
                if dialect == caller {
                    return Ok((dialect.name(), Vec::new()));
                }
                stored::check_begins_anew(incoming)?;
                let request =
                    caller.read_request(incoming.body(), &incoming.model, incoming.stream)?;
                let Written { dropped, .. } = Written::of(&request, dialect, target)?;
                told(&dropped, model)?;
                let dropped = dropped.names().map(str::to_owned).collect();
                return Ok((dialect.name(), dropped));
            }
            Operation::Embed(_) => Some(Plan::embeddings(incoming, model, target)?),
            Operation::CountTokens(_) => Plan::count(incoming, target)?,
        };
        let dialect = plan
            .as_ref()
            .map_or(caller, |plan| plan.operation.dialect());
        let dropped = plan.and_then(|plan| plan.dropped);
        let dropped = dropped.as_ref().and_then(|dropped| dropped.to_str().ok());
        let dropped = dropped.into_iter().flat_map(|names| names.split(','));
        Ok((dialect.name(), dropped.map(str::to_owned).collect()))
    }

    fn tell(
        &self,
        spot: usize,
        planned: &Result<(&'static str, Vec<String>), Error>,
    ) -> TargetTold {
        let Spot {
            weight,
            timeouts,
            retry,
            window,
            ..
        } = &self.model.spots[spot];
        let target = &self.targets[spot];
        let (dialect, dropped) = match planned {
            Ok((dialect, dropped)) => (Some(*dialect), dropped.clone()),
            Err(_) => (None, Vec::new()),
        };
        TargetTold {
            target: target.name.to_string(),
            weight: *weight,
            skipped: match planned {
                Err(error) => Some(error.message.clone()),
                Ok(_) if self.is_closed(spot) => Some("it is left alone".to_owned()),
                Ok(_) => None,
            },
            is_translated: dialect
                .is_some_and(|dialect| dialect != self.incoming.operation.dialect().name()),
            dialect,
            dropped,
            attempts: retry.attempts,
            backoff_ms: [millis(retry.pause_min), millis(retry.pause_max)],
            timeout_ms: TimeoutsTold {
                connect: millis(timeouts.connect),
                first_token: millis(timeouts.first_token),
                between_tokens: millis(timeouts.between_tokens),
                total: millis(timeouts.total),
                attempt: timeouts.attempt.map(millis),
            },
            window_tokens: *window,
            cost: self.cost(target),
        }
    }

    fn cost(&self, target: &Target) -> Cost {
        let (input_tokens, output_tokens, expected) = self.expected(target);
        let bill = self.bill(target);
        let longest = self.model.max_output_tokens;
        let worst = bill.tariff.as_ref().map(|tariff| {
            let (demand, time) = (&self.demand, bill.time);
            Worst::of(demand, &target.model, tariff, time, longest, &[])
        });
        let known = worst.as_ref().and_then(|worst| worst.as_ref().ok());
        Cost {
            input_tokens,
            output_tokens,
            expected_usd: expected.map(|usd| usd.to_string()),
            worst_output_tokens: known.map(Worst::output_max),
            worst_usd: known.map(|worst| worst.usd().to_string()),
            unknown: match &worst {
                None => Some("the target has no price".to_owned()),
                Some(Err(none)) => Some(none.to_string()),
                Some(Ok(_)) => None,
            },
        }
    }

    /// The tokens that are expected of a request, counted, and of its answer, guessed; and what they cost.
    fn expected(&self, target: &Target) -> (u64, u64, Option<Usd>) {
        let Incoming {
            operation,
            model,
            stream,
            ..
        } = self.incoming;
        let body = self.incoming.body();
        let forecast = self.snapshot.forecast(self.model);
        let (guessed, output_tokens) = forecast.parts(body.len(), self.demand.output_max);
        let longest = self.model.max_output_tokens.unwrap_or(u64::MAX);
        let output_tokens = match operation {
            Operation::Generate(_) => output_tokens.min(longest),
            Operation::Embed(_) | Operation::CountTokens(_) => 0,
        };
        let input_tokens = match operation {
            Operation::Generate(caller) => {
                let request = caller.read_request(body, model, *stream);
                let counted = |request| input_tokens(&request, Family::of(&target.model));
                request.map_or(guessed, counted)
            }
            Operation::Embed(_) | Operation::CountTokens(_) => guessed,
        };
        let usage = Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        };
        let cost = match self.demand.is_free {
            true => Some(Usd::ZERO),
            false => {
                let priced = self.bill(target).price(&usage, Tier::Standard);
                priced.map(|priced| priced.cost.usd())
            }
        };
        (input_tokens, output_tokens, cost)
    }

    fn bill(&self, target: &Target) -> Bill {
        Bill {
            tariff: target.tariff(&self.snapshot.prices),
            is_own: target.provider.is_own,
            time: self.circumstances.at,
            began: Instant::now(),
        }
    }

    fn is_closed(&self, spot: usize) -> bool {
        let mut closed = self.circumstances.closed.iter();
        closed.any(|name| **name == *self.targets[spot].name)
    }
}

fn tell_step(step: &Step, targets: Vec<TargetTold>) -> StepTold {
    StepTold {
        pick: step.pick,
        escalate_when: step.gates.iter().flat_map(|gates| gates.names()).collect(),
        hold: match step.hold {
            Hold::First(0) => "none".to_owned(),
            Hold::First(tokens) => format!("first {tokens} tokens"),
            Hold::All => "all".to_owned(),
        },
        targets,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
