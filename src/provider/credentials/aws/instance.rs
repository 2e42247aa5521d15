//! Credentials of the role of an EC2 instance, by version 2 of the instance metadata service.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;

use super::super::web;
use super::Credentials;
use super::chain::Chain;
use crate::provider::fetch;

const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";

/// The service is near, or nowhere.
const NEAR: Duration = Duration::from_secs(2);

/// How long a session is good, in seconds; it is used for one fetch.
const SESSION_LIFE: &str = "300";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verdict {
    code: Option<String>,
}

/// The credentials of the instance's role.
pub async fn credentials(chain: &Chain) -> Result<Credentials, String> {
    let named = |name| chain.variables.named(name);
    if named("AWS_EC2_METADATA_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true")) {
        return Err("AWS_EC2_METADATA_DISABLED is set".to_owned());
    }
    let mode = named("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").unwrap_or("IPv4");
    let usual = match mode.eq_ignore_ascii_case("IPv6") {
        true => IPV6,
        false => IPV4,
    };
    let endpoint = named("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(usual);
    let endpoint = endpoint.trim_end_matches('/');

    let life = HeaderValue::from_static(SESSION_LIFE);
    let life = ("x-aws-ec2-metadata-token-ttl-seconds", life);
    let session = ask(
        chain,
        Method::PUT,
        &[endpoint, "/latest/api/token"].concat(),
        life,
    )
    .await?;
    let session = HeaderValue::from_bytes(session.body());
    let mut session = session.map_err(|_| "the metadata service's session is not one")?;
    session.set_sensitive(true);
    let session = ("x-aws-ec2-metadata-token", session);

    let roles = [endpoint, ROLES].concat();
    let role = ask(chain, Method::GET, &roles, session.clone()).await?;
    let role = std::str::from_utf8(role.body()).ok();
    let role = role
        .and_then(|roles| roles.lines().next())
        .unwrap_or("")
        .trim();
    if role.is_empty() {
        return Err("the instance has no role".to_owned());
    }
    let answer = ask(chain, Method::GET, &[&roles, role].concat(), session).await?;
    let verdict: Option<Verdict> = serde_json::from_slice(answer.body()).ok();
    match verdict.and_then(|verdict| verdict.code) {
        Some(code) if code != "Success" => Err(format!(
            "the metadata service says {}",
            web::quoted(&code, &[])
        )),
        _ => Credentials::from_json(answer.body())
            .ok_or_else(|| "the metadata service's answer holds none".to_owned()),
    }
}

async fn ask(
    chain: &Chain,
    method: Method,
    url: &str,
    field: (&'static str, HeaderValue),
) -> Result<Response<Bytes>, String> {
    let request = web::request(method, url, &[field])?;
    let answer = fetch::ask(&*chain.fetch, request, NEAR).await?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        StatusCode::NOT_FOUND => Err("the instance has no role".to_owned()),
        status => Err(format!("the metadata service answered {}", status.as_u16())),
    }
}
