//! Connections to Redis: where it is, TLS, the password, and whether it will do.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, cmd};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::section::{Location, Settings};
use super::url::{Address, Login};
use crate::trust::{crypto, roots};

/// How long connecting may take, TLS, the password and the first questions included.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// How long one sentinel may take to answer.
const SENTINEL_WITHIN: Duration = Duration::from_millis(500);

/// The oldest Redis that is supported: with ACLs for channels. (RESP3 has been there since 6.0.)
const VERSION_MIN: (u32, u32) = (6, 2);

/// How many commands may be on their way to the connection's task; more wait for it.
const PIPELINED: usize = 1_024;

/// Connects, as often as it is needed.
pub(super) struct Connector {
    settings: Settings,
    tls: Option<TlsConnector>,
    /// In the order in which they are asked: whoever answered last comes first.
    sentinels: Vec<Address>,
}

/// Ends the task of a connection when it is dropped.
pub(super) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a connection is made over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connector {
    /// Reads the root certificates where there is TLS, which takes milliseconds.
    pub fn new(settings: &Settings) -> Self {
        let sentinels = match &settings.location {
            Location::Server(_) => Vec::new(),
            Location::Sentinels { addresses, .. } => addresses.clone(),
        };
        Self {
            settings: settings.clone(),
            tls: settings.tls.as_deref().map(trusting),
            sentinels,
        }
    }

    /// Connects to the Redis that may be written to. What it pushes goes to `pushes`; `ended` is called when the connection
    /// has ended.
    ///
    /// # Errors
    /// Why not, in words and without a password.
    pub async fn connect(
        &mut self,
        pushes: impl AsyncPushSender,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<(MultiplexedConnection, Driver), String> {
        let address = self.master().await?;
        let connecting = self.connect_to(&address, pushes, ended);
        let Ok(connected) = timeout(CONNECT_WITHIN, connecting).await else {
            let seconds = CONNECT_WITHIN.as_secs();
            return Err(format!("{address}: no answer within {seconds} s"));
        };
        connected.map_err(|error| format!("{address}: {error}"))
    }

    async fn connect_to(
        &self,
        address: &Address,
        pushes: impl AsyncPushSender,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<(MultiplexedConnection, Driver), String> {
        let stream = self.open(address).await?;
        let Settings {
            login, database, ..
        } = &self.settings;
        let info = connection_info(login)
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(*database);
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINED)
            .set_push_sender(pushes);
        let words = |error| words(&error, login);
        let connecting = MultiplexedConnection::new_with_config(&info, stream, config);
        let (mut connection, driver) = connecting.await.map_err(words)?;
        let task = tokio::spawn(async {
            driver.await;
            ended();
        });
        let driver = Driver(task.abort_handle());
        let told: Result<String, _> = cmd("INFO").arg("server").query_async(&mut connection).await;
        check_version(&told.map_err(words)?)?;
        if let Location::Sentinels { .. } = self.settings.location {
            let role: Vec<redis::Value> = cmd("ROLE")
                .query_async(&mut connection)
                .await
                .map_err(words)?;
            let role = role.into_iter().next().map(redis::from_redis_value);
            let role: String = role.and_then(Result::ok).unwrap_or_default();
            if role != "master" {
                return Err(format!("it is no master but a {role}"));
            }
        }
        Ok((connection, driver))
    }

    /// Where Redis is: as configured, or as the first sentinel says that knows.
    async fn master(&mut self) -> Result<Address, String> {
        let (master, login) = match &self.settings.location {
            Location::Server(address) => return Ok(address.clone()),
            Location::Sentinels { master, login, .. } => (master, login),
        };
        let mut errors = Vec::new();
        for index in 0..self.sentinels.len() {
            let sentinel = &self.sentinels[index];
            let asking = timeout(SENTINEL_WITHIN, self.ask(sentinel, master, login));
            let answer = asking.await.unwrap_or_else(|_| {
                let milliseconds = SENTINEL_WITHIN.as_millis();
                Err(format!("no answer within {milliseconds} ms"))
            });
            match answer {
                Ok(address) => {
                    self.sentinels.swap(0, index);
                    return Ok(address);
                }
                Err(error) => errors.push(format!("sentinel {sentinel}: {error}")),
            }
        }
        Err(errors.join("; "))
    }

    async fn ask(
        &self,
        sentinel: &Address,
        master: &str,
        login: &Login,
    ) -> Result<Address, String> {
        let stream = self.open(sentinel).await?;
        let words = |error| words(&error, login);
        let (info, config) = (connection_info(login), AsyncConnectionConfig::new());
        let connecting = MultiplexedConnection::new_with_config(&info, stream, config);
        let (mut connection, driver) = connecting.await.map_err(words)?;
        let _driver = Driver(tokio::spawn(driver).abort_handle());
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(master);
        let answer: Option<(String, u16)> =
            question.query_async(&mut connection).await.map_err(words)?;
        let (host, port) = answer.ok_or_else(|| format!("it knows no `{master}`"))?;
        Ok(Address { host, port })
    }

    /// Opens a stream of bytes, under TLS where that is configured.
    async fn open(&self, address: &Address) -> Result<Box<dyn Stream>, String> {
        let words = |error: std::io::Error| error.to_string();
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = connecting.await.map_err(words)?;
        // Commands are small, and each is waited for.
        stream.set_nodelay(true).map_err(words)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(address.host.clone());
        let name = name.map_err(|error| format!("TLS: {error}"))?;
        let handshake = tls.connect(name, stream).await;
        let stream = handshake.map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }
}

/// What an error of the library says, in which a Redis may have repeated the password.
pub(super) fn words(error: &RedisError, login: &Login) -> String {
    let text = error.to_string();
    match &login.password {
        Some(password) => text.replace(password.expose(), "***"),
        None => text,
    }
}

fn connection_info(login: &Login) -> RedisConnectionInfo {
    let mut info =
        RedisConnectionInfo::default().set_lib_name("tollgate", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password.expose());
    }
    info
}

fn trusting(certificates: &[CertificateDer<'static>]) -> TlsConnector {
    let mut roots = roots().0;
    roots.add_parsable_certificates(certificates.iter().cloned());
    let config = ClientConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Refuses a Redis that is too old, by what `INFO server` tells.
fn check_version(info: &str) -> Result<(), String> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    let version = line.unwrap_or("unknown").trim();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if number >= VERSION_MIN {
        return Ok(());
    }
    let (major, minor) = VERSION_MIN;
    Err(format!(
        "its version is {version}, and {major}.{minor} is the oldest that will do"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_redis_will_not_do() {
        let said = |version: &str| {
            let info = format!("# Server\r\nredis_version:{version}\r\nrun_id:0\r\n");
            check_version(&info).map_err(|error| error.contains(version))
        };
        assert_eq!(said("6.0.16"), Err(true));
        assert_eq!(said("5.0.14"), Err(true));
        assert_eq!(said("6.2.0"), Ok(()));
        assert_eq!(said("10.0.1"), Ok(()));
    }

    #[test]
    fn a_password_that_redis_repeats_is_not_passed_on() {
        let login = Login {
            user: None,
            password: Some("hunter2".to_owned().into()),
        };
        let error = RedisError::from((
            redis::ErrorKind::Extension,
            "unknown command",
            "HELLO 3 AUTH default hunter2".to_owned(),
        ));
        assert!(!words(&error, &login).contains("hunter2"));
    }
}
