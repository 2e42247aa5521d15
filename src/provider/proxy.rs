//! `HTTPS_PROXY` and `NO_PROXY`, read as curl reads them: the lower-case name first, and a host matches its domain.

use std::fmt;

use base64::Engine;
use http::Uri;

/// A proxy that tunnels TLS by CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The value of `proxy-authorization`, from the URL's user and password.
    pub authorization: Option<String>,
}

impl Proxy {
    /// The proxy for TLS connections to `host`, if the environment names one.
    ///
    /// # Errors
    /// `HTTPS_PROXY` is set to something that is not `http://[user:password@]host[:port]`.
    pub fn for_host(
        host: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let either = |name: &str| {
            variable(&name.to_lowercase())
                .or_else(|| variable(name))
                .filter(|value| !value.is_empty())
        };
        let Some(url) = either("HTTPS_PROXY") else {
            return Ok(None);
        };
        let exceptions = either("NO_PROXY").unwrap_or_default();
        if exceptions
            .split(',')
            .any(|entry| covers(entry.trim(), host))
        {
            return Ok(None);
        }
        Self::parse(&url).map(Some).ok_or(InvalidProxy)
    }

    fn parse(url: &str) -> Option<Self> {
        let with_scheme = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let uri: Uri = with_scheme.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let authority = uri.authority()?;
        let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        Some(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(1080),
            authorization: user.map(basic),
        })
    }
}

/// The environment names a proxy that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("HTTPS_PROXY must have the form http://[user:password@]host[:port]")]
pub struct InvalidProxy;

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

/// `Basic` credentials (RFC 7617); the URL's percent-encoding is resolved.
fn basic(user: &str) -> String {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(decoded);
    format!("Basic {encoded}")
}

fn covers(entry: &str, host: &str) -> bool {
    let entry = entry.trim_start_matches('.');
    let is_under = || {
        host.len() > entry.len()
            && host.is_char_boundary(host.len() - entry.len())
            && host[host.len() - entry.len()..].eq_ignore_ascii_case(entry)
            && host.as_bytes()[host.len() - entry.len() - 1] == b'.'
    };
    !entry.is_empty() && (entry == "*" || host.eq_ignore_ascii_case(entry) || is_under())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(host: &str, environment: &[(&str, &str)]) -> Option<Proxy> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxy::for_host(host, variable).unwrap()
    }

    #[test]
    fn the_environment_names_the_proxy() {
        let found = proxy(
            "api.openai.com",
            &[("HTTPS_PROXY", "http://me:p%40ss@proxy:3128")],
        );
        let expected = Proxy {
            host: "proxy".into(),
            port: 3128,
            authorization: Some("Basic bWU6cEBzcw==".into()),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(proxy("api.openai.com", &[]), None);
        assert_eq!(
            proxy("h", &[("https_proxy", "proxy:1"), ("HTTPS_PROXY", "x:2")])
                .unwrap()
                .port,
            1
        );
    }

    #[test]
    fn exceptions_cover_a_domain_and_what_is_under_it() {
        for (entry, host, direct) in [
            ("openai.com", "api.openai.com", true),
            (".openai.com", "api.openai.com", true),
            ("openai.com", "openai.com", true),
            ("openai.com", "notopenai.com", false),
            ("*", "anything", true),
            ("a,  Internal ", "internal", true),
            ("", "internal", false),
        ] {
            let environment = [("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", entry)];
            assert_eq!(
                proxy(host, &environment).is_none(),
                direct,
                "{entry} {host}"
            );
        }
    }

    #[test]
    fn another_scheme_is_refused() {
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://proxy".to_owned());
        assert!(Proxy::for_host("h", variable).is_err());
    }
}
