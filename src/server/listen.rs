//! Listening sockets. pingora retries a taken port for half a minute and then panics, so they are bound here and handed
//! over.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;

/// A connection's buffers, in bytes: an answer's head and a body of usual size leave in one write, and a connection
/// that waits holds little.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;

/// A bound socket that nobody serves yet.
pub struct Socket {
    listener: TcpListener,
    /// Where it really listens: a port 0 has become one.
    pub address: SocketAddr,
}

impl Socket {
    /// Binds `host:port`.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub fn bind(address: &str) -> Result<Self> {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        bound.with_context(|| format!("cannot listen on {address}"))
    }

    /// Serves connections until `shutdown` says so; then the socket is closed, and what runs goes on.
    pub async fn serve<A>(
        self,
        name: &str,
        app: A,
        tls: Option<TlsSettings>,
        shutdown: ShutdownWatch,
    ) where
        A: ServerApp + Send + Sync + 'static,
    {
        let address = self.address.to_string();
        let buffers = L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER);
        let mut config = ListenerConfig::tcp(&address).l4_buffer(buffers);
        if let Some(tls) = tls {
            config = config.tls(tls);
        }
        let mut fds = Fds::new();
        // From here on the descriptor is pingora's to close.
        fds.add(address, self.listener.into_raw_fd());
        let mut service = Service::new(name.to_owned(), app);
        service.add_listener(config);
        let fds = Arc::new(Mutex::new(fds));
        service.start_service(Some(fds), shutdown, 1).await;
    }
}
