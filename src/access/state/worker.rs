//! The store's thread: it keeps a connection, hands calls to it, beats, and tells what Redis pushes.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use redis::aio::SendError;
use redis::{PushInfo, PushKind};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::call::Call;
use super::connect::{Connector, Driver};
use super::holding::{Holding, looked};
use super::live::{Failure, Live};
use super::{ANSWER_WITHIN, Shared, members};

/// How often the replica says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// And while nothing is granted: Redis is still to be told of something, or others of this replica.
const SETTLE_EVERY: Duration = Duration::from_millis(50);

/// How long it is until the next try to connect: twice as long each time.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The name that prompts are told by when some may have been missed.
pub(super) const ALL: &str = "*";

/// Works until nobody can call any more.
pub(super) async fn work(shared: Arc<Shared>, calls: mpsc::UnboundedReceiver<Call>) {
    tokio::select! {
        () = hand_over(&shared, calls) => {}
        never = keep_connected(&shared) => match never {},
    }
}

async fn hand_over(shared: &Shared, mut calls: mpsc::UnboundedReceiver<Call>) {
    while let Some(call) = calls.recv().await {
        let live = shared.live.lock().clone();
        // A call that is dropped is answered: lost.
        if let Some(live) = live {
            tokio::spawn(call.carry_out(live));
        }
    }
}

async fn keep_connected(shared: &Arc<Shared>) -> Infallible {
    let mut connector = Connector::new(&shared.settings);
    let mut backoff = BACKOFF_MIN;
    loop {
        let began = Instant::now();
        let reason = match connect(shared, &mut connector).await {
            Ok(connected) => connected.serve(shared).await,
            Err(reason) => reason,
        };
        shared.health.down(&reason);
        if began.elapsed() > BACKOFF_MAX * 4 {
            backoff = BACKOFF_MIN;
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// A connection that is subscribed to what is published.
struct Connected {
    driver: Driver,
    live: Live,
    broken: watch::Receiver<Option<String>>,
}

async fn connect(shared: &Arc<Shared>, connector: &mut Connector) -> Result<Connected, String> {
    let pushed = shared.clone();
    let pushes = move |push: PushInfo| {
        tell(&pushed, &push);
        Ok::<(), SendError>(())
    };
    let (sender, broken) = watch::channel(None);
    let on_end = sender.clone();
    let ended = move || {
        on_end.send_replace(Some("the connection was closed".to_owned()));
    };
    let (connection, driver) = connector.connect(pushes, ended).await?;
    let mut live = Live::new(connection, &shared.settings, sender);
    let until = Instant::now() + ANSWER_WITHIN;
    let channels = [&*shared.prompts_channel, &*shared.members_channel];
    let subscribed = tokio::time::timeout_at(until, live.subscribe(&channels)).await;
    subscribed.unwrap_or_else(|_| Err("no answer to SUBSCRIBE".to_owned()))?;
    Ok(Connected {
        driver,
        live,
        broken,
    })
}

impl Connected {
    /// Serves calls until the connection is of no more use, and returns the reason.
    async fn serve(mut self, shared: &Shared) -> String {
        let reason = tokio::select! {
            broken = self.broken.wait_for(Option::is_some) => match broken {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the connection was closed".to_owned(),
            },
            reason = beat_for_ever(shared, &self.live) => reason,
        };
        // Before those who wait hear of it.
        *shared.live.lock() = None;
        shared.health.down(&reason);
        drop(self.driver);
        reason
    }
}

/// Beats, and lets calls through from the first beat on. Returns why no beat comes through any more.
async fn beat_for_ever(shared: &Shared, live: &Live) -> String {
    loop {
        let began = Instant::now();
        let every = match beat(shared, live).await {
            Ok(is_granted) if is_granted => BEAT_EVERY,
            Ok(_) => SETTLE_EVERY,
            // Once more at once: after a second silence the connection is given up.
            Err(Failure::Late) => continue,
            Err(Failure::Lost(reason) | Failure::Refused(reason)) => return reason,
        };
        if !shared.health.is_up() {
            *shared.live.lock() = Some(live.clone());
            shared.health.up();
            // What was published meanwhile was missed.
            prompt(shared, ALL);
        }
        tell_holdings(shared);
        tokio::select! {
            () = sleep_until(began + every) => {}
            () = shared.beat.notified() => {}
        }
    }
}

async fn beat(shared: &Shared, live: &Live) -> Result<bool, Failure> {
    if shared.has_left() {
        return Ok(true);
    }
    let arguments = {
        let holdings = shared.holdings.read().all();
        let members = shared.members.lock();
        let run = members.run();
        let run = run.filter(|_| shared.has_all_holdings.load(Ordering::Acquire));
        let looked = run.and_then(|run| looked(&holdings, run));
        members.arguments(&shared.members_channel, looked)
    };
    let key = shared.key(members::KEY);
    let until = Instant::now() + ANSWER_WITHIN;
    let sent = Utc::now();
    let reply = live.run(&members::BEAT, &key, &arguments, until).await?;
    let answered = Utc::now();
    let beaten = {
        let mut members = shared.members.lock();
        let beaten = members.note(&reply);
        shared.joined.store(members.joined(), Ordering::Relaxed);
        beaten
    };
    let beaten = beaten.ok_or_else(|| {
        Failure::Refused(format!("the list of replicas cannot be read: {reply:?}"))
    })?;
    let offset = {
        let mut clock = shared.clock.lock();
        clock.measure(sent, beaten.now, answered);
        clock.offset().num_microseconds().unwrap_or_default()
    };
    shared.offset.store(offset, Ordering::Relaxed);
    if beaten.is_news {
        shared.beat.notify_one();
    }
    Ok(beaten.is_granted)
}

/// Tells this life of Redis what it has not heard of.
fn tell_holdings(shared: &Shared) {
    let Some(era) = shared.members.lock().era() else {
        return;
    };
    let holdings = shared.holdings.read().all();
    let untold = holdings
        .into_iter()
        .filter(|holding| !holding.has_told(&era.run));
    untold.for_each(Holding::tell);
}

/// What Redis pushes: messages on the two channels.
fn tell(shared: &Shared, push: &PushInfo) {
    if push.kind != PushKind::Message {
        return;
    }
    let text = |index: usize| match push.data.get(index) {
        Some(redis::Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    match (text(0), text(1)) {
        (Some(channel), Some(name)) if *channel == *shared.prompts_channel => prompt(shared, name),
        _ => shared.beat.notify_one(),
    }
}

/// Calls the handlers of a name's kind, or all of them, and the holding of that name.
fn prompt(shared: &Shared, name: &str) {
    let holding = shared.holdings.read().get(name);
    if let Some(holding) = holding {
        holding.recall();
    }
    let kind = name.split_once(':').map(|(kind, _)| kind);
    let prompted = shared.prompted.read().clone();
    for (_, told) in prompted
        .iter()
        .filter(|(its, _)| name == ALL || kind == Some(its))
    {
        if catch_unwind(AssertUnwindSafe(|| told(name))).is_err() {
            shared.health.bug(name);
        }
    }
}
