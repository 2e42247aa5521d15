//! From a provider's section to what a call needs; mistakes are told, not passed on.

use http::{HeaderName, HeaderValue, Uri, header};

use super::api::Api;
use super::calls::check_calls;
use super::credentials::{Authorization, Means, VertexSection, region_of, suffix_of};
use super::dial::Destination;
use super::keys::check_keys;
use super::known;
use super::proxy::Proxy;
use super::section::{DialectName, ProviderSection};
use super::simulated::{self, Simulation};
use crate::config::Document;

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

/// The fields of every call to this provider that is made with this key.
pub(super) fn fields(
    name: &str,
    section: &ProviderSection,
    key: Option<&(HeaderName, HeaderValue)>,
    document: &mut Document,
) -> Vec<(HeaderName, HeaderValue)> {
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    let mut fields = vec![
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::USER_AGENT, HeaderValue::from_static(agent)),
    ];
    fields.extend(key.cloned());
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
    fields
}

/// The shape of the provider's API.
pub(super) fn api(name: &str, section: &ProviderSection, document: &mut Document) -> Option<Api> {
    let is_anthropic = section.dialect == DialectName::Anthropic;
    if let Some(vertex) = &section.vertex {
        let mut are_fit = true;
        for (field, value) in [("project", &vertex.project), ("location", &vertex.location)] {
            let is_fit = |char: char| char.is_ascii_alphanumeric() || "-_.:".contains(char);
            if value.is_empty() || !value.chars().all(is_fit) {
                let path = ["providers", name, "vertex", field];
                document.error(&path, format!("`{field}` is no {field} of Google Cloud's"));
                are_fit = false;
            }
        }
        if !are_fit {
            return None;
        }
        let VertexSection { project, location } = vertex;
        return Some(Api::Vertex {
            parent: format!("/projects/{project}/locations/{location}"),
            is_anthropic,
        });
    }
    Some(match (section.dialect, &section.azure) {
        (DialectName::OpenAi, Some(azure)) => Api::Azure(azure.api_version.clone()),
        (DialectName::OpenAi | DialectName::Simulated, _) => Api::OpenAi,
        (DialectName::Anthropic, _) => Api::Anthropic,
        (DialectName::Gemini, _) => Api::Gemini,
        (DialectName::Bedrock, _) => Api::Bedrock,
        (DialectName::Cohere, _) => Api::Cohere,
    })
}

/// The base URL, given or the dialect's own.
pub(super) fn base_url(
    name: &str,
    section: &ProviderSection,
    document: &mut Document,
) -> Option<String> {
    if let Some(url) = &section.base_url {
        return Some(url.clone());
    }
    if let Some(vertex) = &section.vertex {
        return Some(match vertex.location.as_str() {
            "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
            "eu" | "us" => {
                let location = &vertex.location;
                format!("https://aiplatform.{location}.rep.googleapis.com/v1")
            }
            location => format!("https://{location}-aiplatform.googleapis.com/v1"),
        });
    }
    if section.azure.is_some() {
        document
            .error(&["providers", name], "`azure` needs a `base_url`")
            .help("the resource's: https://NAME.openai.azure.com");
        return None;
    }
    let url = match section.dialect {
        // Servers that are well known go by their names.
        DialectName::OpenAi | DialectName::Simulated => match known::base_url(name) {
            Some(url) => url,
            None => {
                if let Some(meant) = known::meant_by(name) {
                    let message = format!(
                        "without `base_url` the provider `{name}` would be asked at api.openai.com"
                    );
                    let url = known::base_url(meant).unwrap_or_default();
                    document
                        .error(&["providers", name], message)
                        .help(format!("if it is {meant}: `base_url: {url}`"));
                    return None;
                }
                "https://api.openai.com/v1"
            }
        },
        DialectName::Anthropic => "https://api.anthropic.com/v1",
        DialectName::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        DialectName::Cohere => "https://api.cohere.com/v2",
        DialectName::Bedrock => {
            let region = region(name, section, document)?;
            let suffix = suffix_of(&region);
            return Some(format!("https://bedrock-runtime.{region}.{suffix}"));
        }
    };
    Some(url.to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The AWS region.
fn region(name: &str, section: &ProviderSection, document: &mut Document) -> Option<String> {
    let Some(region) = section.region.clone().or_else(|| region_of(&variable)) else {
        document
            .error(&["providers", name], "the AWS region is not known")
            .help("add `region: eu-west-1`, or set AWS_REGION");
        return None;
    };
    let is_fit = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if region.is_empty() || !region.chars().all(is_fit) {
        let path = ["providers", name, "region"];
        let place = if section.region.is_some() {
            &path[..]
        } else {
            &path[..2]
        };
        document
            .error(place, format!("`{region}` is no region of AWS"))
            .help("it looks like eu-west-1");
        return None;
    }
    Some(region)
}

/// What authorises the calls where it is no field that stays the same.
pub(super) fn authorization(
    name: &str,
    section: &ProviderSection,
    means: &Means,
    document: &mut Document,
) -> Option<Authorization> {
    let (field, resolved) = match (section.dialect, &section.azure) {
        _ if section.has_key() => return None,
        (DialectName::Bedrock, _) => {
            let region = region(name, section, document)?;
            let bedrock = Authorization::bedrock(None, &region, &variable, means);
            ("region", bedrock)
        }
        (DialectName::OpenAi, Some(azure)) => {
            let entra = azure.entra.as_ref()?;
            ("azure", Authorization::entra(entra, &variable, means))
        }
        _ if section.vertex.is_some() => {
            let credentials = section.credentials.as_ref();
            (
                "credentials",
                Authorization::google(credentials, &variable, means),
            )
        }
        _ => return None,
    };
    match resolved {
        Ok(authorization) => Some(authorization),
        Err(problem) => {
            let path = ["providers", name, field];
            let place = if document.has(&path) {
                &path[..]
            } else {
                &path[..2]
            };
            document.error(place, problem);
            None
        }
    }
}

/// What the section says that its dialect does not know.
pub(super) fn check_section(name: &str, section: &ProviderSection, document: &mut Document) {
    check_calls(
        &["providers", name],
        &section.timeout,
        section.retry.as_ref(),
        section.health.as_ref(),
        document,
    );
    use DialectName::{Anthropic, Bedrock, Cohere, Gemini, OpenAi, Simulated};
    let dialect = section.dialect;
    let is_simulated = dialect == Simulated;
    let given: [(&str, bool, bool); 13] = [
        // The field, whether it is given, whether the dialect knows it.
        ("base_url", section.base_url.is_some(), !is_simulated),
        ("api_key", section.api_key.is_some(), !is_simulated),
        ("api_keys", section.api_keys.is_some(), !is_simulated),
        ("azure", section.azure.is_some(), dialect == OpenAi),
        (
            "vertex",
            section.vertex.is_some(),
            matches!(dialect, Gemini | Anthropic),
        ),
        (
            "credentials",
            section.credentials.is_some(),
            section.vertex.is_some(),
        ),
        ("region", section.region.is_some(), dialect == Bedrock),
        (
            "auto_cache",
            section.auto_cache,
            matches!(dialect, Anthropic | Bedrock | Gemini),
        ),
        ("prefill", section.prefill.is_some(), dialect != Cohere),
        ("first_token", section.first_token.is_some(), is_simulated),
        (
            "tokens_per_second",
            section.tokens_per_second.is_some(),
            is_simulated,
        ),
        ("faults", section.faults.is_some(), is_simulated),
        ("headers", !section.headers.is_empty(), !is_simulated),
    ];
    for (field, is_given, is_known) in given {
        if is_given && !is_known {
            let word = dialect.name();
            document
                .error_at_key(
                    &["providers", name, field],
                    format!("`{field}` means nothing to the dialect `{word}`"),
                )
                .help(format!("remove it, or mend `providers.{name}.dialect`"));
        }
    }
    if section.auto_cache && dialect == Gemini && section.vertex.is_none() {
        document
            .error_at_key(
                &["providers", name, "auto_cache"],
                "Gemini caches unasked: `auto_cache` is for Claude, at Vertex too",
            )
            .help("remove it");
    }
    check_keys(name, section, document);
    check_credentials(name, section, document);
}

/// Credentials that shadow one another, and calls without any.
fn check_credentials(name: &str, section: &ProviderSection, document: &mut Document) {
    let at = |field| ["providers", name, field];
    let has_entra = section
        .azure
        .as_ref()
        .is_some_and(|azure| azure.entra.is_some());
    let fetched = [
        ("credentials", section.credentials.is_some()),
        ("azure.entra", has_entra),
    ];
    for (field, is_given) in fetched {
        if is_given && section.has_key() {
            let key = match section.api_key {
                Some(_) => "api_key",
                None => "api_keys",
            };
            document
                .error(
                    &at(key),
                    format!("`{key}` and `{field}` are two credentials"),
                )
                .help("leave one of them");
        }
    }
    let is_own = |field: &String| {
        let field = field.to_ascii_lowercase();
        ["authorization", "x-api-key", "x-goog-api-key", "api-key"].contains(&field.as_str())
    };
    let own = section.headers.keys().find(|field| is_own(field));
    let is_fetched = has_entra || section.vertex.is_some();
    if let Some(field) = own
        && is_fetched
        && !section.has_key()
    {
        let message = format!("`{field}` and a fetched token are two credentials");
        document.error_at_key(&["providers", name, "headers", field], message);
    }
    // Whoever runs a server of his own may need none; the providers' own hosts all do.
    let is_hosted = section.base_url.is_none() && section.vertex.is_none();
    let needs_key = match section.dialect {
        DialectName::Simulated | DialectName::Bedrock => false,
        DialectName::OpenAi if section.azure.is_some() => !has_entra,
        DialectName::OpenAi => is_hosted && !known::is_local(name),
        _ => is_hosted,
    };
    let has_key = ["api_key", "api_keys"].map(|field| document.has(&at(field)));
    if needs_key && has_key == [false; 2] && own.is_none() {
        document
            .warning(
                &["providers", name],
                "there is no credential: its calls will be refused",
            )
            .help("add `api_key`");
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
