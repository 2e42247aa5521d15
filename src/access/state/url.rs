//! The URL of a Redis.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::config::Secret;

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub is_tls: bool,
    pub login: Login,
    pub address: Option<Address>,
    pub database: i64,
}

/// Who we are. Printing it shows no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Redis's own default user if there is none.
    pub user: Option<String>,
    /// None where none is asked for.
    pub password: Option<Secret>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Why a text is no URL of a Redis. It does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidUrl {
    #[error("a state is `memory`, `redis://USER:PASSWORD@HOST:PORT/DB`, or `rediss://…` with TLS")]
    Scheme,
    #[error("the host of the URL is no `HOST:PORT`")]
    Address,
    #[error("what follows the host in the URL is no number of a database, such as `/0`")]
    Database,
    #[error("the URL names a user and no password: `redis://USER:PASSWORD@…`")]
    Password,
    #[error(
        "`?` and `#` have no meaning in the URL of a Redis; in a password they are percent-encoded"
    )]
    Query,
}

const PORT: u16 = 6379;

/// More than any Redis is set up for; the default is 16.
const DATABASE_MAX: i64 = 65_535;

impl Url {
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let is_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidUrl::Query);
        }
        let (login, place) = match rest.rsplit_once('@') {
            None => (Login::default(), rest),
            Some((login, place)) => (Login::parse(login)?, place),
        };
        let (host, database) = place.split_once('/').unwrap_or((place, ""));
        let address = match host {
            "" => None,
            host => Some(Address::parse(host, PORT).ok_or(InvalidUrl::Address)?),
        };
        let database = match database {
            "" => 0,
            digits => digits.parse().map_err(|_| InvalidUrl::Database)?,
        };
        if !(0..=DATABASE_MAX).contains(&database) {
            return Err(InvalidUrl::Database);
        }
        Ok(Self {
            is_tls,
            login,
            address,
            database,
        })
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = text.split_once(':').ok_or(InvalidUrl::Password)?;
        if password.is_empty() {
            return Err(InvalidUrl::Password);
        }
        Ok(Self {
            user: Some(decoded(user)).filter(|user| !user.is_empty()),
            password: Some(decoded(password).into()),
        })
    }
}

impl Address {
    /// Reads `host`, `host:port` or `[address]:port`.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let is_bracketed = text.starts_with('[');
        let (host, port) = match text.rsplit_once(':') {
            // The last colon is within an address.
            Some((_, within)) if within.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let host = match is_bracketed {
            true => host.strip_prefix('[')?.strip_suffix(']')?,
            false => host,
        };
        let is_good = match is_bracketed {
            true => host.parse::<std::net::Ipv6Addr>().is_ok(),
            false => {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                !host.is_empty() && host.bytes().all(is_plain)
            }
        };
        let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
        (is_good && port > 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
