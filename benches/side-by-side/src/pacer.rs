//! The upstream of the streams: it answers every request with chunks 10 ms apart, which nginx by itself cannot, until
//! it is told that it is enough.
//!
//! One task owns every stream and one timer drives them, so that a chunk costs one write and no wake-up of its own.
//! Streams are spread over ten slots of one millisecond.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use side_by_side::http::Head;

/// The time between two chunks of a stream.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// What stands before a chunk's stamp.
pub const STAMP_MARK: &[u8] = b"\"fp_";
/// Digits of a stamp.
pub const STAMP_DIGITS: usize = 16;

const SLOTS: usize = 10;
/// A lag beyond this is forgiven instead of made up for.
const LAG_MAX: Duration = Duration::from_millis(50);
/// Longest request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &[u8] = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

/// Nanoseconds since the first call in this process: what a chunk is stamped with when it is sent.
pub fn stamp() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Serves until the process ends. Streams go on while `enough` is false.
pub async fn serve(listener: TcpListener, enough: Arc<AtomicBool>) -> io::Result<()> {
    let (streams, arriving) = mpsc::channel(1024);
    tokio::spawn(pace(arriving, enough));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(answer(socket, streams.clone()));
    }
}

/// One connection: a request, its stream, and the next one. Ends when the caller leaves.
async fn answer(mut socket: TcpStream, streams: mpsc::Sender<Stream>) {
    while read_request(&mut socket).await.is_ok() {
        if socket.write_all(HEAD).await.is_err() {
            return;
        }
        let (back, returned) = oneshot::channel();
        let stream = Stream {
            socket,
            unsent: Vec::new(),
            back,
        };
        if streams.send(stream).await.is_err() {
            return;
        }
        let Ok(finished) = returned.await else { return };
        socket = finished;
        if socket.write_all(END).await.is_err() {
            return;
        }
    }
}

/// A whole request.
pub async fn read_request(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::with_capacity(4096);
    loop {
        let read = socket.read_buf(&mut request).await?;
        if read == 0 || request.len() > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if Head::of_request(&request)?.is_some_and(|head| head.is_whole(&request)) {
            return Ok(request);
        }
    }
}

struct Stream {
    socket: TcpStream,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    /// Where the socket goes after the last chunk.
    back: oneshot::Sender<TcpStream>,
}

/// What came of a stream's turn.
enum Turn {
    GoesOn,
    Finished,
    Broken,
}

async fn pace(mut arriving: mpsc::Receiver<Stream>, enough: Arc<AtomicBool>) {
    let mut slots: [Vec<Stream>; SLOTS] = Default::default();
    let mut frame = Frame::new();
    let mut due = tokio::time::Instant::now();
    for tick in (0..SLOTS).cycle() {
        if slots.iter().all(Vec::is_empty) {
            let Some(stream) = arriving.recv().await else {
                return;
            };
            slots[tick].push(stream);
        }
        while let Ok(stream) = arriving.try_recv() {
            // The next slot with the fewest streams: an even spread, and the first chunk soon.
            let next = (tick..SLOTS).chain(0..tick);
            let chosen = next.min_by_key(|slot| slots[*slot].len());
            slots[chosen.unwrap_or(tick)].push(stream);
        }
        let slot = &mut slots[tick];
        let mut index = 0;
        while index < slot.len() {
            match slot[index].turn(&mut frame, enough.load(Ordering::Relaxed)) {
                Turn::GoesOn => index += 1,
                Turn::Broken => drop(slot.swap_remove(index)),
                Turn::Finished => {
                    let stream = slot.swap_remove(index);
                    let _ = stream.back.send(stream.socket); // its connection may be gone
                }
            }
        }
        due = (due + INTERVAL / SLOTS as u32).max(tokio::time::Instant::now() - LAG_MAX);
        tokio::time::sleep_until(due).await;
    }
}

impl Stream {
    /// Sends one more chunk, unless the socket is still full or it is enough.
    fn turn(&mut self, frame: &mut Frame, enough: bool) -> Turn {
        if self.unsent.is_empty() && enough {
            return Turn::Finished;
        }
        if self.unsent.is_empty() {
            self.unsent.extend_from_slice(frame.stamped());
        }
        match self.socket.try_write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written);
                Turn::GoesOn
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::GoesOn,
            Err(_) => Turn::Broken,
        }
    }
}

/// A chunk of a stream as OpenAI sends it, about 250 bytes of JSON, as one HTTP chunk.
struct Frame {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Frame {
    fn new() -> Self {
        let zeros = "0".repeat(STAMP_DIGITS);
        let event = format!(
            concat!(
                "data: ",
                r#"{{"id":"chatcmpl-CkX1Vq0p6mY2nT8rB4sL7dW9","object":"chat.completion.chunk","created":1763980000,"#,
                r#""model":"gpt-5-mini","service_tier":"default","system_fingerprint":"fp_{}","choices":[{{"index":0,"#,
                r#""delta":{{"content":" token"}},"logprobs":null,"finish_reason":null}}]}}"#,
                "\n\n"
            ),
            zeros
        );
        let bytes = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
        let mark = bytes
            .windows(STAMP_MARK.len())
            .position(|window| window == STAMP_MARK);
        Self {
            stamp_at: mark.expect("it was just written") + STAMP_MARK.len(),
            bytes,
        }
    }

    fn stamped(&mut self) -> &[u8] {
        let mut rest = stamp();
        for digit in self.bytes[self.stamp_at..self.stamp_at + STAMP_DIGITS]
            .iter_mut()
            .rev()
        {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.bytes
    }
}
