//! Small requests for credentials, and what may be told of their answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::bearer;
use super::token::Fresh;
use crate::provider::fetch::{Fetch, ask};

/// The longest text of another's that an error quotes, in characters.
const QUOTED_MAX: usize = 300;

/// Everything but RFC 3986's unreserved characters is encoded in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request without a body.
pub fn request(
    method: Method,
    url: &str,
    fields: &[(&'static str, HeaderValue)],
) -> Result<Request<Bytes>, String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    let request = request.body(Bytes::new());
    request.map_err(|_| "the URL to ask is not a URL".to_owned())
}

/// A form as the body of a POST.
pub fn form(pairs: &[(&str, &str)]) -> Bytes {
    let mut body = String::new();
    for (name, value) in pairs {
        if !body.is_empty() {
            body.push('&');
        }
        body.extend([name, "="]);
        body.extend(utf8_percent_encode(value, FORM));
    }
    body.into()
}

/// Posts a form.
pub fn post_form(url: &str, body: Bytes) -> Result<Request<Bytes>, String> {
    let content = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut request = request(
        Method::POST,
        url,
        &[(header::CONTENT_TYPE.as_str(), content)],
    )?;
    *request.body_mut() = body;
    Ok(request)
}

/// A URL's host, for errors; nothing where it has none.
pub fn host(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host);
    host.unwrap_or_default().to_owned()
}

/// Another's text as an error may quote it: short, in one line, and without the secrets that it was told.
pub fn quoted(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(QUOTED_MAX).collect()
}

/// What an OAuth token endpoint answers (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    /// Seconds.
    #[serde(default = "short")]
    expires_in: u64,
}

/// What an endpoint that does not say is taken to mean.
const fn short() -> u64 {
    300
}

/// What it answers when it refuses (section 5.2).
#[derive(Deserialize)]
struct RefusedBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Asks for an access token; `secrets` are those that the request holds.
pub async fn access_token(
    fetch: &dyn Fetch,
    request: Request<Bytes>,
    patience: Duration,
    secrets: &[&str],
) -> Result<Fresh<HeaderValue>, String> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let answer = ask(fetch, request, patience).await?;
    let status = answer.status();
    if status != StatusCode::OK {
        let refused = serde_json::from_slice::<RefusedBody>(answer.body());
        let reason = refused.map_or(String::new(), |refused| {
            let reason = [refused.error, refused.error_description].join(": ");
            format!(": {}", quoted(reason.trim_end_matches([':', ' ']), secrets))
        });
        return Err(format!("{host} answered {}{reason}", status.as_u16()));
    }
    let issued = serde_json::from_slice::<Issued>(answer.body())
        .map_err(|_| format!("{host} answered something other than an access token"))?;
    let value = bearer(issued.access_token.trim());
    Ok(Fresh {
        value: value.map_err(|error| format!("{host} answered a token that {error}"))?,
        life: Some(Duration::from_secs(issued.expires_in)),
    })
}

/// A file's text, without white space around it. The error names the file.
pub async fn read_file(path: &str) -> Result<String, String> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}
