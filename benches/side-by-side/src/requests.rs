//! Whole answers: as many as a number of connections can get, or a low and steady rate of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use side_by_side::http::Head;

/// Longest wait for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Connections that share a steady rate.
const STEADY_CONNECTIONS: u32 = 8;

/// Keeps so many connections busy until `duration` is over. Returns the answers that came and the time they took.
pub async fn saturate(
    address: SocketAddr,
    request: &Arc<[u8]>,
    connections: usize,
    duration: Duration,
) -> io::Result<(u64, Duration)> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let request = Arc::clone(request);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut answers = 0;
            while start.elapsed() < duration {
                connection.exchange(&request).await?;
                answers += 1;
            }
            io::Result::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(done) = tasks.join_next().await {
        answers += done??;
    }
    Ok((answers, start.elapsed()))
}

/// Sends so many requests a second for `duration`. Returns the time that each took, from its first byte out to its last
/// byte in.
pub async fn steady(
    address: SocketAddr,
    request: &Arc<[u8]>,
    per_second: u32,
    duration: Duration,
) -> io::Result<Vec<Duration>> {
    let start = tokio::time::Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..STEADY_CONNECTIONS {
        let request = Arc::clone(request);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut due = start + Duration::from_secs(1) * (number + 1) / per_second;
            let mut times = Vec::new();
            while due < start + duration {
                tokio::time::sleep_until(due).await;
                let sent = Instant::now();
                connection.exchange(&request).await?;
                times.push(sent.elapsed());
                due += Duration::from_secs(1) * STEADY_CONNECTIONS / per_second;
            }
            io::Result::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}

struct Connection {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            answer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends the request and reads the answer, which must be a 200.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        self.socket.write_all(request).await?;
        self.answer.clear();
        match tokio::time::timeout(ANSWER_TIME_MAX, self.answer()).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::other("an answer took too long")),
        }
    }

    async fn answer(&mut self) -> io::Result<()> {
        let mut head: Option<Head> = None;
        loop {
            let read = self.socket.read_buf(&mut self.answer).await?;
            if read == 0 || self.answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("an answer was cut, or is far too long"));
            }
            if head.is_none() {
                head = Head::of_answer(&self.answer)?;
            }
            let Some(head) = &head else { continue };
            if head.status != 200 {
                let text = String::from_utf8_lossy(&self.answer).into_owned();
                return Err(io::Error::other(format!("not a 200: {text}")));
            }
            if head.is_whole(&self.answer) {
                return Ok(());
            }
        }
    }
}
