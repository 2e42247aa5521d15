//! A Postgres server: its URL, TLS with it, and connections to it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};

use super::LedgerError;
use super::error::ErrorKind;
use super::section::InvalidLocation;
use crate::trust::{crypto, roots};

/// How long one host of the URL may take to connect, where the URL does not say (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unacknowledged, where the URL does not say (`tcp_user_timeout`).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take in all, TLS and the password included.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// A Postgres URL. Printing it shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    config: Config,
    /// Trusted besides the usual ones.
    root_certificates: Vec<CertificateDer<'static>>,
}

impl ServerUrl {
    /// Reads a URL, and the root certificate that it names.
    pub(super) fn parse(url: &str) -> Result<Self, InvalidLocation> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut root_certificates = Vec::new();
        let mut parameters = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                // A certificate is checked in every mode; the library knows only the one word for it.
                Some(("sslmode", "verify-ca" | "verify-full")) => {
                    parameters.push("sslmode=require")
                }
                Some(("sslrootcert", path)) => root_certificates = certificates(path)?,
                _ => parameters.push(parameter),
            }
        }
        let separator = if parameters.is_empty() { "" } else { "?" };
        let url = format!("{base}{separator}{}", parameters.join("&"));
        // What the library says may repeat a part of the password: it is not passed on.
        let mut config: Config = url.parse().map_err(|_| InvalidLocation::Url)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty()
            || config.get_user().is_none()
        {
            return Err(InvalidLocation::Incomplete);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("tollgate");
        }
        Ok(Self {
            config,
            root_certificates,
        })
    }

    /// Connects, and drives the connection from a task of this runtime.
    pub(super) async fn connect(&self) -> Result<Client, LedgerError> {
        let tls = Tls::new(self);
        let connecting = tokio::time::timeout(CONNECT_MAX, self.config.connect(tls));
        let Ok(connected) = connecting.await else {
            let detail = format!("no connection within {} s", CONNECT_MAX.as_secs());
            return Err(LedgerError::new(
                ErrorKind::Unreachable,
                &self.to_string(),
                detail,
            ));
        };
        let (client, connection) = connected.map_err(|error| self.error(&error))?;
        // What ends the connection is told to whoever uses it next.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// What an error of the library means. It holds no secret: the server never repeats a password.
    pub(super) fn error(&self, error: &tokio_postgres::Error) -> LedgerError {
        let detail = match error.as_db_error() {
            Some(said) => format!("{} ({})", said.message(), said.code().code()),
            None => with_causes(error),
        };
        LedgerError::new(kind_of(error), &self.to_string(), detail)
    }
}

/// As a URL, without the password.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.config.get_user().unwrap_or(""))?;
        let ports = self.config.get_ports();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
            }
        }
        let user = self.config.get_user().unwrap_or("");
        write!(f, "/{}", self.config.get_dbname().unwrap_or(user))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, InvalidLocation> {
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path.as_ref())
        .and_then(Iterator::collect)
        .map_err(|_| InvalidLocation::RootCertificate)?;
    if certificates.is_empty() {
        return Err(InvalidLocation::RootCertificate);
    }
    Ok(certificates)
}

fn kind_of(error: &tokio_postgres::Error) -> ErrorKind {
    let Some(state) = error.code() else {
        let text = error.to_string();
        return match () {
            () if text.contains("TLS") => ErrorKind::Tls,
            () if text.contains("authentication") || text.contains("password") => ErrorKind::Denied,
            () => ErrorKind::Unreachable,
        };
    };
    match (state, state.code().get(..2)) {
        (&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED, _) => {
            ErrorKind::Conflict
        }
        // A replica that waited for another to make the tables may still remember that there were none; a new
        // transaction knows better.
        (
            &SqlState::DUPLICATE_TABLE
            | &SqlState::DUPLICATE_SCHEMA
            | &SqlState::INVALID_SCHEMA_NAME,
            _,
        ) => ErrorKind::Conflict,
        (&SqlState::DISK_FULL, _) => ErrorKind::Full,
        (&SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED, _) => ErrorKind::Locked,
        (&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::READ_ONLY_SQL_TRANSACTION, _) => {
            ErrorKind::Denied
        }
        // Data exceptions, constraints, and limits of the program.
        (_, Some("22" | "23" | "54")) => ErrorKind::Row,
        (_, Some("28" | "3D")) => ErrorKind::Denied,
        // Connections, shutdown and start of the server, and too many connections.
        (_, Some("08" | "57" | "53")) => ErrorKind::Unreachable,
        _ => ErrorKind::Other,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

// === TLS ===

/// TLS to Postgres by the program's own rustls. The crates that do this bring a parser of certificates for channel binding;
/// without it the password is protected by TLS all the same, because the server's certificate is always checked.
#[derive(Clone)]
struct Tls(tokio_rustls::TlsConnector);

impl Tls {
    fn new(url: &ServerUrl) -> Self {
        let mut roots = match url.config.get_ssl_mode() {
            // Reading the system's roots takes milliseconds that nobody would profit from.
            SslMode::Disable => rustls::RootCertStore::empty(),
            _ => roots().0,
        };
        roots.add_parsable_certificates(url.root_certificates.iter().cloned());
        let mut config = ClientConfig::builder_with_provider(crypto())
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // For `sslnegotiation=direct`, which asks for it; servers that do not know it pass over it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Self(Arc::new(config).into())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Secured<S>;
    type TlsConnect = Handshake;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Self::Error> {
        // A server on a Unix socket has no name, and offers no TLS.
        let host = if host.is_empty() { "localhost" } else { host };
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Handshake(self.0.clone(), name))
    }
}

/// One handshake that is about to begin.
struct Handshake(tokio_rustls::TlsConnector, ServerName<'static>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.0.connect(self.1, stream);
        Box::pin(async { Ok(Secured(handshake.await?)) })
    }
}

/// A connection under TLS.
struct Secured<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
