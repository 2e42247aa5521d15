//! `state` in the configuration.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::Deserialize;

use super::url::{Address, InvalidUrl, Login, Url};
use crate::config::{Document, ScalarOr, Secret, nearest};

/// Where replicas share budgets and limits: `memory` (the default: each has its own), `redis://USER:PASSWORD@HOST:PORT/DB`,
/// `rediss://…` for TLS, or with more to say about it. docs/state.md tells how it is run.
///
/// A URL holds a password, so the whole place is treated as a secret.
pub type StateSection = ScalarOr<Secret, DetailedStateSection>;

/// A shared state with more to say about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedStateSection {
    /// `redis://USER:PASSWORD@HOST:PORT/DB`, of which all but the host may be left out, or `rediss://…` for TLS. With `sentinels`
    /// it names no host: `redis://USER:PASSWORD@/DB`. In USER and PASSWORD all but letters, digits and `-._~` is
    /// percent-encoded.
    pub url: Secret,
    /// What happens while Redis is away: `reject` refuses what needs it, as soon as what this replica holds is used up; `local` goes
    /// on with limits and budgets of this replica's own.
    pub when_store_lost: Option<WhenStoreLost>,
    /// What the names of all keys and channels begin with. Gateways with the same one share what they have. Default: `tollgate:`.
    pub prefix: Option<String>,
    /// A file in PEM with root certificates that are trusted besides the system's and the bundled ones; with `rediss://`.
    pub root_certificate: Option<PathBuf>,
    /// Sentinels as `host:port`, which know where Redis is. Where the URL is `rediss://`, they speak TLS, too.
    pub sentinels: Option<Vec<String>>,
    /// The name of the Redis that the sentinels watch.
    pub master: Option<String>,
    /// The user to the sentinels, where they ask for one.
    pub sentinel_username: Option<String>,
    /// The password to the sentinels, where they ask for one.
    pub sentinel_password: Option<Secret>,
    /// How many replicas of Redis have each write before it counts, at most 16: by default 1 with `sentinels`, so that nothing is
    /// lost in a failover, and 0 without.
    #[schemars(range(max = 16))]
    pub replicas: Option<u32>,
}

/// What happens while Redis is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenStoreLost {
    /// What needs it is refused.
    #[default]
    Reject,
    /// Each replica goes on by itself.
    Local,
}

/// A shared state that can be connected to: it is valid once it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where Redis is.
    pub location: Location,
    /// Who we are to it.
    pub login: Login,
    /// The number of the database.
    pub database: i64,
    /// Whom we trust besides the usual ones; None without TLS.
    pub tls: Option<Vec<CertificateDer<'static>>>,
    /// What happens while it is away.
    pub when_store_lost: WhenStoreLost,
    /// What the names of keys and channels begin with.
    pub prefix: String,
    /// How many replicas of Redis have a write before it counts.
    pub replicas: u32,
}

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Always in one place.
    Server(Address),
    /// Where sentinels say.
    Sentinels {
        /// Any of them may be asked.
        addresses: Vec<Address>,
        /// What they call it.
        master: String,
        /// Who we are to them.
        login: Login,
    },
}

/// The word for no shared state.
const MEMORY: &str = "memory";

const PREFIX: &str = "tollgate:";

/// It stands in every key.
const PREFIX_MAX: usize = 64;

const SENTINEL_PORT: u16 = 26379;

/// The fields of the mapping that only a Redis has a use for.
const OF_REDIS: [&str; 8] = [
    "when_store_lost",
    "prefix",
    "root_certificate",
    "sentinels",
    "master",
    "sentinel_username",
    "sentinel_password",
    "replicas",
];

/// The fields that only sentinels have a use for.
const OF_SENTINELS: [&str; 3] = ["master", "sentinel_username", "sentinel_password"];

impl Settings {
    /// The state that the section at `path` of a document asks for; None for `memory`, and where something is wrong, which
    /// the document is told.
    pub fn resolve(section: &StateSection, path: &[&str], document: &mut Document) -> Option<Self> {
        let mut resolver = Resolver { path, document };
        match section {
            ScalarOr::Scalar(word) if word.expose() == MEMORY => None,
            ScalarOr::Scalar(url) => resolver.plain(url),
            ScalarOr::Collection(detailed) if detailed.url.expose() == MEMORY => {
                resolver.refuse(&OF_REDIS, "is for a Redis, and `url` is `memory`");
                None
            }
            ScalarOr::Collection(detailed) => resolver.detailed(detailed),
        }
    }
}

/// Where Redis is, for operators.
impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(address) => address.fmt(f),
            Self::Sentinels { master, .. } => write!(f, "{master}"),
        }
    }
}

/// Reads a section, and tells the document what is wrong.
struct Resolver<'a> {
    path: &'a [&'a str],
    document: &'a mut Document,
}

impl Resolver<'_> {
    /// A URL and nothing more.
    fn plain(&mut self, text: &Secret) -> Option<Settings> {
        let url = self.url(text, &[])?;
        let address = self.host(&url, &[])?;
        Some(Settings {
            location: Location::Server(address),
            login: url.login,
            database: url.database,
            tls: url.is_tls.then(Vec::new),
            when_store_lost: WhenStoreLost::default(),
            prefix: PREFIX.to_owned(),
            replicas: 0,
        })
    }

    fn detailed(&mut self, section: &DetailedStateSection) -> Option<Settings> {
        let url = self.url(&section.url, &["url"]);
        let prefix = self.prefix(section.prefix.as_deref().unwrap_or(PREFIX));
        let is_tls = url.as_ref().is_none_or(|url| url.is_tls);
        let certificates = self.certificates(section.root_certificate.as_deref(), is_tls);
        let location = match &section.sentinels {
            None => {
                let is_alone = self.refuse(&OF_SENTINELS, "needs `sentinels`");
                let address = url.as_ref().and_then(|url| self.host(url, &["url"]));
                address.filter(|_| is_alone).map(Location::Server)
            }
            Some(sentinels) => self.sentinels(sentinels, section, url.as_ref()),
        };
        let (url, certificates) = (url?, certificates?);
        Some(Settings {
            location: location?,
            login: url.login,
            database: url.database,
            tls: url.is_tls.then_some(certificates),
            when_store_lost: section.when_store_lost.unwrap_or_default(),
            prefix: prefix?,
            replicas: section
                .replicas
                .unwrap_or(u32::from(section.sentinels.is_some())),
        })
    }

    /// Refuses those of `fields` that are there, with the reason; tells whether there were none.
    fn refuse(&mut self, fields: &[&str], reason: &str) -> bool {
        let mut is_good = true;
        for field in fields {
            let path = [self.path, &[field]].concat();
            if self.document.has(&path) {
                self.document
                    .error_at_key(&path, format!("`{field}` {reason}"));
                is_good = false;
            }
        }
        is_good
    }

    fn url(&mut self, text: &Secret, field: &[&str]) -> Option<Url> {
        let text = text.expose();
        let error = match Url::parse(text) {
            Ok(url) => return Some(url),
            Err(error) => error,
        };
        let path = [self.path, field].concat();
        let diagnostic = self.document.error(&path, error.to_string());
        // Only what precedes the colon: the rest may hold a password.
        let scheme = text.split(':').next().unwrap_or_default();
        let meant = nearest(scheme, [MEMORY, "redis", "rediss"]);
        if let (InvalidUrl::Scheme, Some(meant)) = (error, meant) {
            let slashes = if meant == MEMORY { "" } else { "://…" };
            diagnostic.help(format!("did you mean `{meant}{slashes}`?"));
        }
        None
    }

    /// The host of a URL that has to name one.
    fn host(&mut self, url: &Url, field: &[&str]) -> Option<Address> {
        if url.address.is_none() {
            let path = [self.path, field].concat();
            self.document.error(&path, "the URL names no host");
        }
        url.address.clone()
    }

    fn sentinels(
        &mut self,
        sentinels: &[String],
        section: &DetailedStateSection,
        url: Option<&Url>,
    ) -> Option<Location> {
        let path = [self.path, &["sentinels"]].concat();
        if sentinels.is_empty() {
            self.document
                .error(&path, "`sentinels` names none")
                .help("three are usual: [sentinel-0:26379, sentinel-1:26379, sentinel-2:26379]");
        }
        let mut addresses = Vec::new();
        for (index, text) in sentinels.iter().enumerate() {
            let address = Address::parse(text, SENTINEL_PORT);
            if address.is_none() {
                let index = index.to_string();
                let path = [&path[..], &[index.as_str()]].concat();
                let message = format!("`{text}` is no address of a sentinel");
                let diagnostic = self.document.error(&path, message);
                diagnostic.help("it has the form host:port, such as sentinel-0:26379");
            }
            addresses.extend(address);
        }
        let master = section.master.clone().filter(|name| !name.is_empty());
        if master.is_none() {
            let message = "`sentinels` needs `master`: what they call the Redis that they watch";
            self.document.error_at_key(&path, message);
        }
        let is_placeless = url.is_none_or(|url| url.address.is_none());
        if !is_placeless {
            let path = [self.path, &["url"]].concat();
            self.document
                .error(
                    &path,
                    "with `sentinels` the URL names no host: they say where Redis is",
                )
                .help("write `redis://USER:PASSWORD@/DB`");
        }
        let login = Login {
            user: section.sentinel_username.clone(),
            password: section.sentinel_password.clone(),
        };
        let is_login = login.user.is_none() || login.password.is_some();
        if !is_login {
            let path = [self.path, &["sentinel_username"]].concat();
            let message = "`sentinel_username` needs `sentinel_password`";
            self.document.error_at_key(&path, message);
        }
        let is_good =
            is_placeless && is_login && !sentinels.is_empty() && addresses.len() == sentinels.len();
        master
            .filter(|_| is_good)
            .map(|master| Location::Sentinels {
                addresses,
                master,
                login,
            })
    }

    /// A prefix within which the braces around the rest of a key's name are the first.
    fn prefix(&mut self, prefix: &str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"{}".contains(&byte);
        let is_good = (1..=PREFIX_MAX).contains(&prefix.len()) && prefix.bytes().all(is_plain);
        if !is_good {
            let path = [self.path, &["prefix"]].concat();
            let message = format!(
                "`prefix` is 1 to {PREFIX_MAX} printable ASCII characters without spaces and braces"
            );
            self.document.error(&path, message);
        }
        is_good.then(|| prefix.to_owned())
    }

    fn certificates(
        &mut self,
        file: Option<&Path>,
        is_tls: bool,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let Some(file) = file else {
            return Some(Vec::new());
        };
        let path = [self.path, &["root_certificate"]].concat();
        if !is_tls {
            let message = "`root_certificate` is for TLS, which a URL with `rediss://` asks for";
            self.document.error_at_key(&path, message);
            return None;
        }
        let read: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        match read {
            Ok(certificates) if !certificates.is_empty() => Some(certificates),
            Ok(_) => {
                let message = "the file holds no certificate in PEM";
                self.document.error(&path, message);
                None
            }
            Err(error) => {
                let message = format!("cannot read the file: {error}");
                self.document.error(&path, message);
                None
            }
        }
    }
}
