//! Upstreams that fare badly: one that takes requests and never answers, one whose answers take long now and then.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::pacer::read_request;

/// How an upstream answers.
#[derive(Clone, Copy)]
pub enum Manner {
    AtOnce,
    Never,
    /// After [`USUAL`], but one call of [`SLOW_ONE_IN`] after [`SLOW`].
    SlowNowAndThen,
}

/// How long most calls take.
pub const USUAL: Duration = Duration::from_millis(20);
/// How long the others do.
pub const SLOW: Duration = Duration::from_millis(400);
/// One call of so many is slow.
pub const SLOW_ONE_IN: u64 = 20;

/// Requests that an upstream has got.
pub type Calls = Arc<AtomicU64>;

const ANSWER: &str = concat!(
    r#"{"id":"chatcmpl-1","object":"chat.completion","created":1763980000,"model":"gpt-5-mini","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"A gateway stands between applications and models."},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":190,"completion_tokens":10,"total_tokens":200}}"#
);

const EVENTS: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763980000,"model":"gpt-5-mini","choices":[{"#,
    r#""index":0,"delta":{"role":"assistant","content":"A gateway."},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763980000,"model":"gpt-5-mini","choices":[{"#,
    r#""index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\ndata: [DONE]\n\n"
);

/// Serves at all these addresses, on a thread of its own, until the process ends. They count their calls together.
pub fn serve(addresses: &[SocketAddr], manner: Manner) -> io::Result<Calls> {
    let calls = Calls::default();
    for address in addresses {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let calls = Arc::clone(&calls);
        std::thread::spawn(move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(accept(listener, manner, calls))
        });
    }
    Ok(calls)
}

async fn accept(listener: TcpListener, manner: Manner, calls: Calls) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(answer(socket, manner, Arc::clone(&calls)));
    }
}

/// One connection. Ends when the caller leaves.
async fn answer(mut socket: TcpStream, manner: Manner, calls: Calls) -> io::Result<()> {
    loop {
        let request = read_request(&mut socket).await?;
        let number = calls.fetch_add(1, Ordering::Relaxed);
        match manner {
            Manner::AtOnce => {}
            Manner::Never => continue,
            Manner::SlowNowAndThen => {
                let is_slow = spread(number).is_multiple_of(SLOW_ONE_IN);
                tokio::time::sleep(if is_slow { SLOW } else { USUAL }).await;
            }
        }
        let is_stream = request
            .windows(STREAM.len())
            .any(|window| window == STREAM.as_bytes());
        let (media_type, body) = match is_stream {
            true => ("text/event-stream", EVENTS),
            false => ("application/json", ANSWER),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        socket
            .write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .await?;
    }
}

/// As the load asks for a stream.
const STREAM: &str = r#""stream":true"#;

/// Numbers in a row, spread out: SplitMix64's finish.
fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
