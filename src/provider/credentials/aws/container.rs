//! Credentials of a container: ECS tasks, EKS pod identities, Greengrass.

use http::{HeaderValue, Method, StatusCode, Uri};

use super::super::web;
use super::Credentials;
use super::chain::Chain;
use crate::provider::fetch;

/// Where relative addresses lead.
const ECS: &str = "http://169.254.170.2";

/// Where EKS answers; these and loopback may be asked in clear.
const EKS: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];

/// The credentials, or nothing where the environment names no container.
pub async fn credentials(chain: &Chain) -> Option<Result<Credentials, String>> {
    let named = |name| chain.variables.named(name);
    let url = match named("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("{ECS}/{}", path.trim_start_matches('/')),
        None => named("AWS_CONTAINER_CREDENTIALS_FULL_URI")?.to_owned(),
    };
    Some(ask(chain, &url).await)
}

async fn ask(chain: &Chain, url: &str) -> Result<Credentials, String> {
    check(url)?;
    let mut fields = Vec::new();
    if let Some(token) = token(chain).await? {
        fields.push(("authorization", token));
    }
    let request = web::request(Method::GET, url, &fields)?;
    let answer = fetch::ask(&*chain.fetch, request, fetch::PATIENCE).await?;
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}", answer.status().as_u16()));
    }
    Credentials::from_json(answer.body()).ok_or_else(|| "the answer holds none".to_owned())
}

/// The token goes only where nobody can listen: over TLS, or to this machine.
fn check(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "the address is not a URL")?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    let is_near = match address {
        Ok(address) => {
            let is_known = |known: &str| known.parse() == Ok(address);
            address.is_loopback() || is_known("169.254.170.2") || EKS.into_iter().any(is_known)
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_near => Ok(()),
        _ => Err(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor on this machine".to_owned(),
        ),
    }
}

/// The file first: it is written anew when its token has expired.
async fn token(chain: &Chain) -> Result<Option<HeaderValue>, String> {
    let named = |name| chain.variables.named(name);
    let token = match named("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => web::read_file(file).await?,
        None => match named("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            Some(token) => token.to_owned(),
            None => return Ok(None),
        },
    };
    let mut token = HeaderValue::from_str(&token)
        .map_err(|_| "the authorization token holds a character that no HTTP header may")?;
    token.set_sensitive(true);
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_sent_in_clear_to_other_machines() {
        for good in [
            "https://example.com/credentials",
            "http://127.0.0.1:1234/x",
            "http://127.9.9.9/x",
            "http://localhost/x",
            "http://[::1]:80/x",
            "http://169.254.170.2/v2/x",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://example.com/",
            "http://169.254.170.3/",
            "http://localhost.example.com/",
            "http://[fd00:ec2::24]/",
            "ftp://127.0.0.1/",
            "/relative",
            "",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
