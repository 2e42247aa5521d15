//! New connections: TCP (or a tunnel through a proxy), and TLS over it.
//!
//! pingora's own connector is not used: it takes an address instead of a name, one root file instead of two stores, and
//! switches certificate checks off for an empty host name. Its stream types are, so that its HTTP clients read them.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::l4::stream::Stream as TcpLayer;
use pingora_core::protocols::{ALPN, Stream, tls};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, FailureKind, Phase};
use super::names::Resolver;
use super::proxy::Proxy;
use crate::trust::{crypto, roots};

/// How long one address of several gets before the next is tried.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

/// The largest answer of a proxy to CONNECT, in bytes.
const PROXY_ANSWER_MAX: usize = 8 * 1024;

/// Makes connections for every provider.
pub struct Dialer {
    resolver: Resolver,
    tls: TlsConnector,
    /// What could not be read of the system's root certificates, for the log.
    pub warnings: Vec<String>,
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Host name or IP address, without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken; the certificate must be the host's.
    pub tls: bool,
    /// The proxy that tunnels there.
    pub proxy: Option<Proxy>,
}

impl Dialer {
    /// Trusts the system's roots (or those of `SSL_CERT_FILE`) and the bundled ones.
    pub fn new() -> Self {
        let (roots, warnings) = roots();
        let mut config = ClientConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            resolver: Resolver::default(),
            tls: TlsConnector::from(Arc::new(config)),
            warnings,
        }
    }

    /// Connects within `patience`; tells whether HTTP/2 was agreed on.
    pub async fn dial(
        &self,
        to: &Destination,
        patience: Duration,
    ) -> Result<(Stream, bool), Failure> {
        match tokio::time::timeout(patience, self.connect(to)).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::timeout(Phase::Connect)),
        }
    }

    async fn connect(&self, to: &Destination) -> Result<(Stream, bool), Failure> {
        let socket = match &to.proxy {
            None => self.tcp(&to.host, to.port).await?,
            Some(proxy) => {
                let socket = self.tcp(&proxy.host, proxy.port).await?;
                tunnel(socket, proxy, to).await?
            }
        };
        let layer = TcpLayer::from(socket);
        if !to.tls {
            return Ok((Box::new(layer), false));
        }
        let secured = tls::client::handshake(&self.tls, &to.host, layer)
            .await
            .map_err(|error| Failure::new(FailureKind::Tls, error))?;
        let stream: Stream = Box::new(secured);
        let is_h2 = stream.selected_alpn_proto() == Some(ALPN::H2);
        Ok((stream, is_h2))
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let addresses = self.resolver.addresses(host, port).await?;
        let mut last = Failure::new(FailureKind::Connect, "no address answered");
        for address in addresses.iter() {
            match tokio::time::timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    // A request leaves in one write; waiting for more would only delay it.
                    let _ = socket.set_nodelay(true);
                    return Ok(socket);
                }
                Ok(Err(error)) => last = Failure::new(FailureKind::Connect, error),
                // The only address gets all the time there is.
                Err(_) if addresses.len() == 1 => {
                    return TcpStream::connect(address)
                        .await
                        .map_err(|error| Failure::new(FailureKind::Connect, error));
                }
                Err(_) => {}
            }
        }
        Err(last)
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
async fn tunnel(
    mut socket: TcpStream,
    proxy: &Proxy,
    to: &Destination,
) -> Result<TcpStream, Failure> {
    let failed = |detail: &str| Failure::new(FailureKind::Connect, format!("proxy: {detail}"));
    let authority = format!("{}:{}", to.host, to.port);
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
    if let Some(credentials) = &proxy.authorization {
        head.push_str(&format!("proxy-authorization: {credentials}\r\n"));
    }
    head.push_str("\r\n");
    socket
        .write_all(head.as_bytes())
        .await
        .map_err(|error| failed(&error.to_string()))?;

    // Byte by byte behind the head there must be nothing: the tunnel's first word is ours.
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER_MAX {
            return Err(failed("answer too long"));
        }
        let byte = socket.read_u8().await;
        answer.push(byte.map_err(|error| failed(&error.to_string()))?);
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    match (parsed.parse(&answer), parsed.code) {
        (Ok(_), Some(200..=299)) => Ok(socket),
        (Ok(_), Some(code)) => Err(failed(&format!("answered {code}"))),
        _ => Err(failed("did not answer in HTTP")),
    }
}
