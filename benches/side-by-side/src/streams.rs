//! Many streams at once, each chunk timed from when it was sent to when it arrived.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Candidate;
use crate::pacer::{STAMP_DIGITS, STAMP_MARK, stamp};
use crate::process::Server;

/// Longest wait for a chunk.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(20);
/// Most bytes that are kept of a stream: more than a chunk, and than an answer's head.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a number of streams cost and how late their chunks came.
pub struct Outcome {
    /// The delay of each chunk but every stream's first.
    pub delays: Vec<Duration>,
    /// Chunks in the window in which all streams ran.
    pub chunks: u64,
    /// The length of that window.
    pub window: Duration,
    /// CPU time of the server in that window.
    pub cpu: Duration,
    /// Resident memory of the server at its end.
    pub resident_bytes: u64,
}

/// Runs so many streams at once, each on a connection of its own. From when all have begun they go on for `time`; then
/// the upstream is told by `enough` to end them.
pub async fn run(
    candidate: &Candidate,
    request: &Arc<[u8]>,
    count: usize,
    time: Duration,
    enough: &AtomicBool,
) -> io::Result<Outcome> {
    enough.store(false, Ordering::Relaxed);
    let progress = Arc::new(Progress::default());
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (address, request, progress) = (
            candidate.streams,
            Arc::clone(request),
            Arc::clone(&progress),
        );
        tasks.spawn(async move { stream(address, &request, &progress).await });
    }
    let watched = async {
        while progress.started.load(Ordering::Relaxed) < count {
            progress.another_started.notified().await;
        }
        let outcome = watch(candidate.server, &progress.chunks, time).await;
        enough.store(true, Ordering::Relaxed);
        outcome
    };
    let collected = async {
        let mut delays = Vec::new();
        while let Some(done) = tasks.join_next().await {
            delays.extend(done??);
        }
        io::Result::Ok(delays)
    };
    let (outcome, delays) = tokio::try_join!(async { Ok(watched.await) }, collected)?;
    Ok(Outcome { delays, ..outcome })
}

async fn watch(server: Option<Server>, chunks: &AtomicU64, time: Duration) -> Outcome {
    let cpu = || server.map_or(Duration::ZERO, Server::cpu);
    let (start, cpu_before) = (Instant::now(), cpu());
    let before = chunks.load(Ordering::Relaxed);
    tokio::time::sleep(time).await;
    Outcome {
        delays: Vec::new(),
        chunks: chunks.load(Ordering::Relaxed) - before,
        window: start.elapsed(),
        cpu: cpu() - cpu_before,
        resident_bytes: server.map_or(0, Server::resident_bytes),
    }
}

#[derive(Default)]
struct Progress {
    started: AtomicUsize,
    another_started: Notify,
    chunks: AtomicU64,
}

async fn stream(
    address: SocketAddr,
    request: &[u8],
    progress: &Progress,
) -> io::Result<Vec<Duration>> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_all(request).await?;
    let mut delays = Vec::with_capacity(1024);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut is_first = true;
    loop {
        let read = tokio::time::timeout(CHUNK_TIME_MAX, socket.read_buf(&mut buffer));
        let read = read
            .await
            .map_err(|_| io::Error::other("a chunk took too long"))??;
        if read == 0 || buffer.len() >= BUFFER_BYTES {
            let text = String::from_utf8_lossy(&buffer).into_owned();
            return Err(io::Error::other(format!(
                "a stream was cut, or is none: {text}"
            )));
        }
        let arrived = stamp();
        let seen = take_stamps(&mut buffer, |sent| {
            delays.push(Duration::from_nanos(arrived.saturating_sub(sent)))
        });
        progress.chunks.fetch_add(seen, Ordering::Relaxed);
        if is_first && seen > 0 {
            is_first = false;
            delays.clear();
            progress.started.fetch_add(1, Ordering::Relaxed);
            progress.another_started.notify_one();
        }
        if buffer.ends_with(b"0\r\n\r\n") && buffer.windows(6).any(|window| window == b"[DONE]") {
            return Ok(delays);
        }
    }
}

/// Hands over the stamps in the buffer, and leaves what comes after the last one. Returns how many there were.
fn take_stamps(buffer: &mut Vec<u8>, mut each: impl FnMut(u64)) -> u64 {
    let (mut count, mut done) = (0, 0);
    let mut rest = buffer.as_slice();
    while let Some(at) = rest
        .windows(STAMP_MARK.len())
        .position(|window| window == STAMP_MARK)
    {
        let Some(digits) = rest.get(at + STAMP_MARK.len()..at + STAMP_MARK.len() + STAMP_DIGITS)
        else {
            break;
        };
        each(
            digits
                .iter()
                .fold(0, |value, digit| value * 10 + u64::from(digit - b'0')),
        );
        count += 1;
        done += at + STAMP_MARK.len() + STAMP_DIGITS;
        rest = &buffer[done..];
    }
    buffer.drain(..done);
    count
}
