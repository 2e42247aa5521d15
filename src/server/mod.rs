//! The running program: sockets, signals, the end.

mod adjust;
mod admin;
mod app;
mod budgets;
mod listen;
mod metered;
mod reload;
mod replicas;
mod spend;
mod targets;
mod tls;
mod users;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pingora_core::server::ShutdownWatch;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::access::budgets::{ADJUST, Alerter};
use crate::access::state::{ANSWER_WITHIN, Store};
use crate::pipeline::{Gateway, Stage};
use crate::provider::Dialer;
use crate::provider::fetch::Dialled;
use crate::snapshot::Snapshot;
use crate::spend::ledger::{self, Ledger};
use crate::telemetry::{Level, Log, Metrics};
use admin::Admin;
use app::{Data, Door};
use listen::Socket;
use reload::Reloader;
use tls::Certificate;

/// How often connections to providers are looked through for those that are of no more use.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// How long the last rows may take to become durable when the process ends.
const LEDGER_CLOSE: Duration = Duration::from_secs(10);

/// How long the last alerts may take to be sent.
const ALERTS_CLOSE: Duration = Duration::from_secs(2);

/// Connections to the admin plane.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// A gateway whose sockets are bound.
pub struct Server {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    alerter: Alerter,
    certificate: Option<Arc<Certificate>>,
    /// One a worker.
    data: Vec<Socket>,
    admin: Option<Socket>,
}

/// A worker for each core that the process may use.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that ran had its end.
    Drained,
    /// A second signal did not let it.
    AtOnce,
}

impl Server {
    /// Binds the sockets of `snapshot`, which `path` held; must be called within a runtime.
    ///
    /// # Errors
    /// A port is taken, or the certificate cannot be read.
    pub fn bind(snapshot: Snapshot, path: Option<PathBuf>, dialer: Arc<Dialer>) -> Result<Self> {
        let tls = snapshot.listen.tls();
        let certificate = tls.map(Certificate::load).transpose()?.map(Arc::new);
        let data = Socket::bind_several(snapshot.listen.address(), workers())?;
        let admin = snapshot.admin.as_ref();
        let admin = admin.map(|admin| Socket::bind(&admin.listen)).transpose()?;
        let metrics = Metrics::new();
        let log = Log::start(snapshot.log, metrics.log_lines_dropped());
        // Only once a process: tests start several servers, and the first one's log will do.
        if log::set_boxed_logger(Box::new(log.clone())).is_ok() {
            log::set_max_level(log::LevelFilter::Warn);
        }
        for warning in &dialer.warnings {
            let fields = [("error", warning.as_str())];
            log.event(Level::Warn, "system root certificates not read", &fields);
        }
        expect_file_limits()?;
        let ledger = snapshot.ledger.as_ref();
        let ledger = ledger
            .map(|settings| open_ledger(settings, &log))
            .transpose()?;
        let state = match snapshot.state.clone() {
            Some(settings) => {
                let replica = replicas::own_name(snapshot.ledger.as_ref(), data[0].address)?;
                let store = Store::start(settings, replica, metrics.state(), log.clone());
                Some(store)
            }
            None => None,
        };
        let gateway = Arc::new(Gateway::new(snapshot, ledger, state, metrics, log));
        if let Some(state) = &gateway.state {
            let gateway = Arc::downgrade(&gateway);
            let told = move |key: &str| {
                if let Some(gateway) = gateway.upgrade() {
                    gateway.share_adjustments(key);
                }
            };
            state.on_prompt(ADJUST, Box::new(told));
        }
        gateway.open_books(&gateway.snapshot())?;
        if let Some(state) = &gateway.state {
            state.opened();
        }
        let alerter = Alerter::start(Arc::new(Dialled(dialer.clone())), Handle::current());
        let reloader = Reloader::new(path, gateway.clone(), dialer, certificate.clone());
        Ok(Self {
            reloader: Arc::new(reloader),
            alerter,
            gateway,
            certificate,
            data,
            admin,
        })
    }

    /// Where applications connect, as a URL.
    pub fn data_url(&self) -> String {
        let scheme = match self.certificate {
            Some(_) => "https",
            None => "http",
        };
        let address = self.data[0].address; // there is always one
        format!("{scheme}://{address}")
    }

    /// Where operators connect, as a URL.
    pub fn admin_url(&self) -> Option<String> {
        self.admin
            .as_ref()
            .map(|admin| format!("http://{}", admin.address))
    }

    /// Starts a thread a core, each with a runtime and a socket of its own. With a runtime that moves tasks between
    /// threads, one thread waits for the network and wakes the others; here each waits for its own connections, and a
    /// connection's whole way stays on one core. Each sends when its socket is closed.
    fn start_workers(
        &self,
        sockets: Vec<Socket>,
        shutdown: &ShutdownWatch,
    ) -> Result<Vec<oneshot::Receiver<()>>> {
        let snapshot = self.gateway.snapshot();
        let places = Arc::new(Semaphore::new(snapshot.server.max_connections));
        let mut listening = Vec::with_capacity(sockets.len());
        for (worker, socket) in sockets.into_iter().enumerate() {
            let tls = match (&self.certificate, snapshot.listen.tls()) {
                (Some(certificate), Some(section)) => Some(certificate.settings(section)?),
                _ => None,
            };
            let door = Door::new(self.gateway.clone(), Data, places.clone());
            let shutdown = shutdown.clone();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (closed, is_closed) = oneshot::channel();
            let work = async move {
                socket.serve("data", door, tls, shutdown).await;
                // Whoever waits for this may have given up.
                let _ = closed.send(());
                // Requests that run go on here until the process ends.
                std::future::pending::<()>().await;
            };
            std::thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || runtime.block_on(work))?;
            listening.push(is_closed);
        }
        Ok(listening)
    }

    /// Serves until a signal ends it. `ready` is called when callers are let in.
    ///
    /// # Errors
    /// Signals cannot be listened for, or TLS cannot be set up.
    pub async fn run(mut self, ready: impl FnOnce()) -> Result<Ended> {
        let mut signals = Signals::new()?;
        let (close_data, data_shutdown) = watch::channel(false);
        let (_close_admin, admin_shutdown) = watch::channel(false);
        let sockets = std::mem::take(&mut self.data);
        let listening = self.start_workers(sockets, &data_shutdown)?;
        if let Some(socket) = self.admin {
            let reloader = self.reloader.clone();
            let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
            let door = Door::new(self.gateway.clone(), Admin { reloader }, places);
            tokio::spawn(async move { socket.serve("admin", door, None, admin_shutdown).await });
        }
        tokio::spawn(budgets::tell(self.gateway.clone(), self.alerter.clone()));
        ready();

        let serving = serve_until_signal(&self.gateway, &self.reloader, &mut signals);
        serving.await;
        let ended = tokio::select! {
            () = drain(&self.gateway, &close_data, listening) => Ended::Drained,
            () = signals.end() => Ended::AtOnce,
        };
        let is_kept = self.gateway.close_ledger(LEDGER_CLOSE);
        if !is_kept {
            let message = "not all that was spent could be recorded";
            self.gateway.log.event(Level::Error, message, &[]);
        }
        // A replica that may still hold something is remembered by the others.
        let is_empty = is_kept && ended == Ended::Drained;
        if is_empty && !self.gateway.leave_state(ANSWER_WITHIN * 2) {
            let message = "the other replicas could not be told that this one has left";
            self.gateway.log.event(Level::Warn, message, &[]);
        }
        let _ = tokio::time::timeout(ALERTS_CLOSE, self.alerter.idle()).await;
        self.gateway.log.flush();
        Ok(ended)
    }
}

/// Lets a write beyond the limit on the size of files fail. Whoever writes can deal with that; the kernel would end the process,
/// unless it has said that it expects the signal. It goes on to do so when the listener is gone.
fn expect_file_limits() -> std::io::Result<()> {
    const SIGXFSZ: i32 = 25;
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// Opens the ledger; what its writer has to say later goes to the log.
fn open_ledger(settings: &ledger::Settings, log: &Log) -> Result<Arc<Ledger>> {
    let log = log.clone();
    let ledger = Ledger::open(settings, move |level, message, fields| {
        log.event(level, message, fields);
    });
    Ok(Arc::new(ledger?))
}

/// Everything that goes on besides requests, until the process is asked to end.
async fn serve_until_signal(gateway: &Gateway, reloader: &Reloader, signals: &mut Signals) {
    let sweep = async {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            gateway.sweep_books();
            gateway
                .snapshot()
                .providers()
                .for_each(|provider| provider.sweep());
        }
    };
    tokio::pin!(sweep);
    let watch = reloader.watch();
    tokio::pin!(watch);
    loop {
        tokio::select! {
            () = &mut sweep => {}
            () = &mut watch => {}
            _ = signals.hangup.recv() => {
                reloader.reload().await;
            }
            () = wait_for_end(&mut signals.terminate, &mut signals.interrupt) => return,
        }
    }
}

/// Lets what runs come to its end, as far as `server.drain` allows.
async fn drain(
    gateway: &Gateway,
    close: &watch::Sender<bool>,
    listening: Vec<oneshot::Receiver<()>>,
) {
    let server = gateway.snapshot().server.clone();
    gateway.log.event(Level::Info, "draining", &[]);
    gateway.drain.advance(Stage::Leaving);
    tokio::time::sleep(server.drain_delay.0).await;
    // From here on connections are refused, and requests on open ones answered with 503.
    close.send_replace(true);
    gateway.drain.advance(Stage::Closing);
    for is_closed in listening {
        // A worker that is gone has closed its socket, too.
        let _ = is_closed.await;
    }
    if tokio::time::timeout(server.drain.0, gateway.drain.idle())
        .await
        .is_err()
    {
        gateway.drain.advance(Stage::Cutting);
        // Long enough to write an error event to everybody who still reads.
        let _ = tokio::time::timeout(Duration::from_secs(2), gateway.drain.idle()).await;
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn end(&mut self) {
        wait_for_end(&mut self.terminate, &mut self.interrupt).await;
    }
}

async fn wait_for_end(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
