//! From a provider's section to what a call needs; mistakes are told, not passed on.

use http::{HeaderName, HeaderValue, Uri, header};

use super::dial::Destination;
use super::proxy::Proxy;
use super::section::{DialectName, HealthSection, ProviderSection, RetrySection, TimeoutSection};
use super::simulated::{self, Simulation};
use crate::config::{Document, ScalarOr};

/// A base URL's destination, its `host` field, and its path without the last slash.
pub(super) fn base(url: &str) -> Result<(Destination, String, String), String> {
    let uri: Uri = url.parse().map_err(|_| "is not a URL".to_owned())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("must begin with https:// or http://".to_owned()),
    };
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must not hold a user or a password".to_owned());
    }
    if uri.query().is_some() {
        return Err("must not have a query".to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    let proxy = match tls {
        true => Proxy::for_host(&host, |name| std::env::var(name).ok()),
        false => Ok(None),
    };
    let destination = Destination {
        host,
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        tls,
        proxy: proxy.map_err(|error| format!("cannot be reached: {error}"))?,
    };
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok((destination, authority.to_string(), path))
}

/// The fields of every call to this provider.
pub(super) fn fields(
    name: &str,
    section: &ProviderSection,
    document: &mut Document,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    let mut fields = vec![
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::USER_AGENT, HeaderValue::from_static(agent)),
    ];
    if let Some(key) = &section.api_key {
        let (field, text) = match section.azure {
            Some(_) => (HeaderName::from_static("api-key"), key.expose().to_owned()),
            None => (header::AUTHORIZATION, format!("Bearer {}", key.expose())),
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            let path = ["providers", name, "api_key"];
            document.error(&path, "`api_key` holds a character that no HTTP header may");
            return None;
        };
        value.set_sensitive(true);
        fields.push((field, value));
    }
    let reserved = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ];
    let mut configured = Vec::new();
    for (field, value) in &section.headers {
        let path = ["providers", name, "headers", field];
        match (HeaderName::try_from(field), HeaderValue::from_str(value)) {
            (Ok(field), Ok(_)) if reserved.contains(&field) => {
                document.error_at_key(&path, format!("`{field}` is the gateway's own to set"));
            }
            (Ok(field), Ok(_)) if configured.contains(&field) => {
                document
                    .error_at_key(&path, format!("`{field}` is given twice"))
                    .help("upper and lower case are the same in HTTP");
            }
            (Ok(field), Ok(value)) => {
                configured.push(field.clone());
                fields.retain(|(ours, _)| *ours != field);
                fields.push((field, value));
            }
            (Err(_), _) => {
                document.error_at_key(&path, format!("`{field}` is no name of an HTTP header"));
            }
            (_, Err(_)) => {
                document.error(&path, "the value holds a character that no HTTP header may");
            }
        }
    }
    Some(fields)
}

pub(super) fn check_unbuilt(name: &str, section: &ProviderSection, document: &mut Document) {
    let word = match section.dialect {
        DialectName::OpenAi | DialectName::Simulated => None,
        DialectName::Anthropic => Some("anthropic"),
        DialectName::Gemini => Some("gemini"),
        DialectName::Bedrock => Some("bedrock"),
        DialectName::Cohere => Some("cohere"),
    };
    if let Some(word) = word {
        document
            .error(
                &["providers", name, "dialect"],
                format!("the dialect `{word}` is not built yet"),
            )
            .help("openai and simulated are");
    }
    check_calls(
        &["providers", name],
        &section.timeout,
        section.retry.as_ref(),
        section.health.as_ref(),
        document,
    );
    let is_simulated = section.dialect == DialectName::Simulated;
    let misplaced: [(&str, bool, &str); 6] = [
        (
            "base_url",
            is_simulated && section.base_url.is_some(),
            "simulated",
        ),
        (
            "api_key",
            is_simulated && section.api_key.is_some(),
            "simulated",
        ),
        (
            "azure",
            is_simulated && section.azure.is_some(),
            "simulated",
        ),
        (
            "first_token",
            !is_simulated && section.first_token.is_some(),
            "openai",
        ),
        (
            "tokens_per_second",
            !is_simulated && section.tokens_per_second.is_some(),
            "openai",
        ),
        (
            "faults",
            !is_simulated && section.faults.is_some(),
            "openai",
        ),
    ];
    for (field, is_misplaced, dialect) in misplaced {
        if is_misplaced {
            document
                .error_at_key(
                    &["providers", name, field],
                    format!("`{field}` means nothing to the dialect `{dialect}`"),
                )
                .help(format!("remove it, or mend `providers.{name}.dialect`"));
        }
    }
}

/// What a provider, a model and the defaults say alike of calls: their time, repeats and circuits.
pub fn check_calls(
    path: &[&str],
    timeout: &TimeoutSection,
    retry: Option<&RetrySection>,
    health: Option<&HealthSection>,
    document: &mut Document,
) {
    check_timeouts(path, timeout, document);
    check_retry_and_health(path, retry, health, document);
}

/// No time at all is never enough.
fn check_timeouts(path: &[&str], timeout: &TimeoutSection, document: &mut Document) {
    let fields = [
        ("connect", timeout.connect),
        ("first_token", timeout.first_token),
        ("between_tokens", timeout.between_tokens),
        ("total", timeout.total),
    ];
    for (field, limit) in fields {
        if limit.is_some_and(|limit| limit.0.is_zero()) {
            let place = [path, &["timeout", field]].concat();
            document
                .error(&place, format!("with `{field}: 0` every call would fail"))
                .help("leave it out for its default");
        }
    }
}

/// Repeats and circuits are not built: what asks for them is an error, what asks for none is fine.
fn check_retry_and_health(
    path: &[&str],
    retry: Option<&RetrySection>,
    health: Option<&HealthSection>,
    document: &mut Document,
) {
    if retry.is_some_and(|retry| retry.attempts.is_some_and(|attempts| attempts != 1)) {
        document
            .error(
                &[path, &["retry", "attempts"]].concat(),
                "repeats are not built yet",
            )
            .help("1, no repeat, is what happens");
    }
    if let Some(ScalarOr::Collection(_)) = health {
        document
            .error(&[path, &["health"]].concat(), "circuits are not built yet")
            .help("`off` is what happens");
    }
}

pub(super) fn simulation(
    name: &str,
    section: &ProviderSection,
    document: &mut Document,
) -> Simulation {
    let faults = section.faults.unwrap_or_default();
    let shares = [
        (&["error", "rate"][..], faults.error.rate),
        (&["stall"][..], faults.stall),
        (&["cut"][..], faults.cut),
    ];
    for (field, share) in shares {
        if !(0.0..=1.0).contains(&share) {
            let path = [&["providers", name, "faults"], field].concat();
            document
                .error(&path, "a share is between 0 and 1")
                .help("0.01 is one answer in a hundred");
        }
    }
    let are_shares = shares.iter().all(|(_, share)| (0.0..=1.0).contains(share));
    if are_shares && shares.iter().map(|(_, share)| share).sum::<f64>() > 1.0 {
        document.error(
            &["providers", name, "faults"],
            "the shares add up to more than 1",
        );
    }
    if !(400..600).contains(&faults.error.status) {
        let path = ["providers", name, "faults", "error", "status"];
        document.error(&path, "the status of an error is between 400 and 599");
    }
    let pace = section.tokens_per_second.unwrap_or(0.0);
    if !(pace == 0.0 || (0.01..=1e6).contains(&pace)) {
        let path = ["providers", name, "tokens_per_second"];
        document.error(&path, "the pace is between 0.01 and 1000000, or 0 for none");
    }
    Simulation {
        first_token: section
            .first_token
            .map_or_else(Default::default, |said| said.0),
        tokens_per_second: pace,
        faults: simulated::Faults {
            error: simulated::ErrorFault {
                rate: faults.error.rate,
                status: faults.error.status,
            },
            stall: faults.stall,
            cut: faults.cut,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let (to, authority, path) = base("http://[::1]:8000/openai/v1/").unwrap();
        assert_eq!((to.host.as_str(), to.port, to.tls), ("::1", 8000, false));
        assert_eq!(
            (authority.as_str(), path.as_str()),
            ("[::1]:8000", "/openai/v1")
        );
        let (to, _, path) = base("https://api.openai.com").unwrap();
        assert_eq!((to.port, to.tls, path.as_str()), (443, true, ""));
    }

    #[test]
    fn a_base_url_that_cannot_work_is_refused() {
        for url in [
            "api.openai.com",
            "ftp://x/v1",
            "https://u:p@x/v1",
            "https://x/v1?a=b",
            "",
            "https://",
        ] {
            assert!(base(url).is_err(), "{url}");
        }
    }
}
