//! Listening sockets. pingora retries a taken port for half a minute and then panics, so they are bound here and handed
//! over.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
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
use socket2::{Domain, Type};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// What a connection gathers before it writes, in bytes: the head and the body of a usual answer leave in one write.
/// Nothing is gathered when reading: what reads has buffers of its own.
const WRITE_BUFFER: usize = 8 * 1024;

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
        let bound = address.to_socket_addrs().and_then(|mut addresses| {
            let none = || io::Error::other("the name has no address");
            let address = addresses.next().ok_or_else(none)?;
            let socket = new_socket(address)?;
            socket.bind(&address.into())?;
            // Only now: set before, it would let two gateways take the same port without a word.
            socket.set_reuse_port(true)?;
            Self::listen(socket)
        });
        bound.with_context(|| format!("cannot listen on {address}"))
    }

    /// Binds several sockets, at least one, to the same address: the kernel shares the connections out among them.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub fn bind_several(address: &str, count: usize) -> Result<Vec<Self>> {
        let mut sockets = vec![Self::bind(address)?];
        while sockets.len() < count {
            let shared = sockets[0].share();
            sockets.push(shared.with_context(|| format!("cannot share {address}"))?);
        }
        Ok(sockets)
    }

    fn share(&self) -> io::Result<Self> {
        let socket = new_socket(self.address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&self.address.into())?;
        Self::listen(socket)
    }

    fn listen(socket: socket2::Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
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
        let buffers = L4BufferSettings::new(0, WRITE_BUFFER);
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

fn new_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A port that was just closed can be taken again.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_and_a_shared_one_is_not() {
        let sockets = Socket::bind_several("127.0.0.1:0", 3).unwrap();
        let address = sockets[0].address;
        assert!(sockets.iter().all(|socket| socket.address == address));
        assert!(Socket::bind(&address.to_string()).is_err());
        assert!(Socket::bind_several(&address.to_string(), 2).is_err());
    }
}
