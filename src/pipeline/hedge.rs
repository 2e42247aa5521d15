//! A second call where the first one's answer is late: whoever begins first answers.

use std::pin::pin;
use std::time::Instant;

use super::End;
use super::around::Around;
use super::asked::Asked;
use super::attempt::Reply;
use super::caller::Caller;
use super::failed::Failed;
use super::flight::{Flight, Prepared, prepare};
use super::record::Record;
use super::route::{Walk, attend};
use super::trial::Verdict;
use crate::route::hedge::Hedge;

/// One call, and perhaps a second beside it.
pub(super) struct Race<'r, 'a, 'm> {
    pub asked: &'r Asked<'a>,
    pub hedge: &'r Hedge,
    pub walk: &'r mut Walk<'m>,
}

/// Who came in, and with what.
type Came = (Box<Flight>, Result<Reply, Failed>);

impl Race<'_, '_, '_> {
    /// Makes the call, and another one to another target if its answer is late and there is one. The other's is dropped, which
    /// ends it, and paid.
    pub async fn run(
        &mut self,
        first: Box<Flight>,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Came, End> {
        let asked = self.asked;
        let stream = asked.incoming.stream;
        let health = &first.target.health;
        health.hedges.call(self.hedge);
        let Some(late) = self.hedge.late(health, stream) else {
            let reply = attend(first.run(asked), asked, caller, record).await?;
            return Ok((first, reply));
        };
        let mut second = None;
        let (is_first, reply) = {
            let mut running = pin!(first.run(asked));
            let in_time = async {
                tokio::select! {
                    biased;
                    reply = &mut running => Some(reply),
                    () = pingora_timeout::sleep(late) => None,
                }
            };
            let in_time = attend(in_time, asked, caller, record).await?;
            if in_time.is_none() {
                second = self.second(&first, caller, record).await?;
            }
            match (in_time, &second) {
                (Some(reply), _) => (true, reply),
                (None, None) => (true, attend(running, asked, caller, record).await?),
                (None, Some(second)) => {
                    let mut beside = pin!(second.run(asked));
                    let came = async {
                        tokio::select! {
                            biased;
                            reply = &mut running => (true, reply),
                            reply = &mut beside => (false, reply),
                        }
                    };
                    // Where one has failed, it depends on the other.
                    match attend(came, asked, caller, record).await? {
                        (true, Err(failed)) => {
                            self.failed(&first, failed, record);
                            (false, attend(beside, asked, caller, record).await?)
                        }
                        (false, Err(failed)) => {
                            self.failed(second, failed, record);
                            (true, attend(running, asked, caller, record).await?)
                        }
                        won => won,
                    }
                }
            }
        };
        let (winner, other) = match (is_first, second) {
            (_, None) => return Ok((first, reply)),
            (true, Some(second)) => (first, second),
            (false, Some(second)) => (second, first),
        };
        // One that has failed is closed already.
        give_up(&other, stream, record);
        record.answer_by(winner.number);
        Ok((winner, reply))
    }

    /// The call that is made beside the first; None where there is no other target, or enough such calls have been made.
    async fn second(
        &mut self,
        first: &Flight,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Option<Box<Flight>>, End> {
        let (asked, around) = (self.asked, Around(self.asked));
        let Some(spot) = self.walk.course.beside(&around) else {
            return Ok(None);
        };
        if !first.target.health.hedges.take() {
            return Ok(None);
        }
        let (target, now) = (asked.target(spot), Instant::now());
        let settings = asked.model.spots[spot].health.as_ref();
        let Ok(entered) = target.health.enter(settings, now) else {
            return Ok(None);
        };
        let due = self.walk.course.due(spot, &around, now, asked.deadline);
        let prepared = prepare(asked, target, entered, due, caller, record).await?;
        let Prepared::Ready(second) = prepared else {
            return Ok(None);
        };
        self.walk.course.called(spot);
        Ok(Some(second))
    }

    fn failed(&mut self, flight: &Flight, failed: Failed, record: &mut Record<'_>) {
        let Flight { target, number, .. } = flight;
        self.walk.fail(self.asked, target, *number, failed, record);
    }
}

/// The other one was faster. What this one has used by then is paid.
fn give_up(flight: &Flight, stream: bool, record: &mut Record<'_>) {
    let Some(trial) = record.trial(flight.number) else {
        return;
    };
    trial.entered.outrun(stream, Instant::now());
    let word = "cancelled".into();
    record.judged(flight.number, Verdict { word, status: 499 });
    record.close(flight.number);
}
