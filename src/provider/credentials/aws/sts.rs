//! The Security Token Service: temporary credentials of a role, for another's keys or for a web identity token.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, StatusCode};

use super::super::{Outgoing, web};
use super::chain::{Chain, Variables};
use super::sign::Keys;
use super::{Credentials, suffix_of};
use crate::config::Secret;
use crate::provider::fetch;

const VERSION: &str = "2011-06-15";

/// What a session is called that nobody named.
const SESSION_NAME: &str = "tollgate";

/// A role to be assumed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Role<'a> {
    pub arn: &'a str,
    pub session_name: Option<&'a str>,
    pub external_id: Option<&'a str>,
    /// In seconds.
    pub duration: Option<&'a str>,
}

/// A role that is assumed by a token that lies in a file, as in a Kubernetes pod.
pub struct WebIdentity<'a> {
    pub token_file: &'a str,
    pub role: Role<'a>,
}

impl<'a> WebIdentity<'a> {
    pub fn of_environment(variables: &'a Variables) -> Option<Self> {
        Some(Self {
            token_file: variables.named("AWS_WEB_IDENTITY_TOKEN_FILE")?,
            role: Role {
                arn: variables.named("AWS_ROLE_ARN")?,
                session_name: variables.named("AWS_ROLE_SESSION_NAME"),
                ..Role::default()
            },
        })
    }
}

/// Shows a web identity token.
pub async fn assume_with_web_identity(
    chain: &Chain,
    identity: &WebIdentity<'_>,
) -> Result<Credentials, String> {
    let token = web::read_file(identity.token_file).await?;
    let mut pairs = pairs("AssumeRoleWithWebIdentity", &identity.role);
    pairs.push(("WebIdentityToken", &token));
    let request = web::post_form(&endpoint(chain), web::form(&pairs))?;
    ask(chain, request, &[&token]).await
}

/// Signs with another's keys.
pub async fn assume(
    chain: &Chain,
    role: &Role<'_>,
    source: Credentials,
) -> Result<Credentials, String> {
    let body = web::form(&pairs("AssumeRole", role));
    let mut request = web::post_form(&endpoint(chain), body.clone())?;
    // A refusal may quote the canonical request, and with it the token.
    let mut secrets = vec![source.secret_access_key.clone()];
    secrets.extend(source.token.clone());
    let keys = Keys::new(source)?;
    sign(&mut request, &body, &keys, &chain.region)?;
    let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    ask(chain, request, &secrets).await
}

fn sign(
    request: &mut Request<Bytes>,
    body: &Bytes,
    keys: &Keys,
    region: &str,
) -> Result<(), String> {
    let uri = request.uri().clone();
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let call = Outgoing {
        method: request.method().as_str(),
        path: uri.path(),
        host,
        body: std::slice::from_ref(body),
    };
    let fields = keys.sign(&call, "sts", region, Utc::now())?;
    request.headers_mut().extend(fields);
    Ok(())
}

fn pairs<'a>(action: &'a str, role: &Role<'a>) -> Vec<(&'static str, &'a str)> {
    let mut pairs = vec![
        ("Action", action),
        ("Version", VERSION),
        ("RoleArn", role.arn),
        ("RoleSessionName", role.session_name.unwrap_or(SESSION_NAME)),
    ];
    pairs.extend(role.external_id.map(|id| ("ExternalId", id)));
    pairs.extend(role.duration.map(|seconds| ("DurationSeconds", seconds)));
    pairs
}

/// The region's own, with a slash at its end.
fn endpoint(chain: &Chain) -> String {
    let region = &chain.region;
    let named = |name| chain.variables.named(name);
    let is_ignored =
        named("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|said| said == "true");
    let said = named("AWS_ENDPOINT_URL_STS").or_else(|| named("AWS_ENDPOINT_URL"));
    match said.filter(|_| !is_ignored) {
        Some(url) => format!("{}/", url.trim_end_matches('/')),
        None => format!("https://sts.{region}.{}/", suffix_of(region)),
    }
}

async fn ask(
    chain: &Chain,
    request: Request<Bytes>,
    secrets: &[&str],
) -> Result<Credentials, String> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let answer = fetch::ask(&*chain.fetch, request, fetch::PATIENCE).await?;
    let xml = std::str::from_utf8(answer.body()).unwrap_or_default();
    if answer.status() != StatusCode::OK {
        let said = |tag| text_of(xml, tag).map(|text| web::quoted(&text, secrets));
        let reason = [said("Code"), said("Message")].into_iter().flatten();
        let reason: String = reason.map(|reason| format!(": {reason}")).collect();
        return Err(format!(
            "{host} answered {}{reason}",
            answer.status().as_u16()
        ));
    }
    credentials(xml).ok_or_else(|| format!("{host}: the answer holds no credentials"))
}

fn credentials(xml: &str) -> Option<Credentials> {
    let block = text_between(xml, "Credentials")?;
    let expiration: DateTime<Utc> = text_of(block, "Expiration")?.parse().ok()?;
    Some(Credentials {
        access_key_id: text_of(block, "AccessKeyId")?,
        secret_access_key: Secret::from(text_of(block, "SecretAccessKey")?),
        token: Some(Secret::from(text_of(block, "SessionToken")?)),
        expiration: Some(expiration),
    })
}

/// The text of the first element of this name. These answers have neither attributes on it nor CDATA.
fn text_of(xml: &str, tag: &str) -> Option<String> {
    let raw = text_between(xml, tag)?.trim();
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let unescaped = entities
        .iter()
        .fold(raw.to_owned(), |text, (entity, c)| text.replace(entity, c));
    (!unescaped.is_empty()).then_some(unescaped)
}

fn text_between<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    let (text, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(text)
}
