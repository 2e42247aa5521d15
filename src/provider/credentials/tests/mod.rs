//! Fetching credentials over real HTTP, from servers on loopback.

mod aws;
mod entra;
mod google;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::provider::fetch::Pending;
use crate::provider::fetch::server::Server;

/// HTTP/1.1 in clear, one connection a request.
struct Plain;

impl Fetch for Plain {
    fn fetch(&self, request: Request<Bytes>) -> Pending<'_, Result<Response<Bytes>, String>> {
        Box::pin(async move {
            let exchange = exchange(request).await;
            exchange.map_err(|error| error.to_string())
        })
    }
}

async fn exchange(request: Request<Bytes>) -> std::io::Result<Response<Bytes>> {
    let (parts, body) = request.into_parts();
    let host = parts.uri.authority().unwrap().as_str();
    let mut socket = TcpStream::connect(host).await?;
    let path = parts.uri.path_and_query().unwrap();
    let mut head = format!("{} {path} HTTP/1.1\r\nhost: {host}\r\n", parts.method);
    for (name, value) in &parts.headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&body).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    let response = Response::builder().status(status);
    Ok(response.body(Bytes::from(body.to_owned())).unwrap())
}

/// What was reported.
type Reports = Arc<Mutex<Vec<String>>>;

fn means() -> (Means, Reports) {
    let reports = Reports::default();
    let noted = reports.clone();
    let means = Means {
        fetch: Arc::new(Plain),
        report: Arc::new(move |text| noted.lock().unwrap().push(text.to_owned())),
    };
    (means, reports)
}

/// An environment that holds nothing else.
fn variables<const N: usize>(pairs: [(&str, &str); N]) -> impl Fn(&str) -> Option<String> + use<N> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let variables: HashMap<_, _> = pairs.into_iter().map(owned).collect();
    move |name| variables.get(name).cloned()
}

/// What a call would be sent with.
async fn authorized(authorization: &Authorization) -> Result<HeaderMap, NoCredential> {
    let call = Outgoing {
        method: "POST",
        path: "/model/m/converse",
        host: "example.com",
        body: &[Bytes::from_static(b"{}")],
    };
    let mut fields = Vec::new();
    authorization.authorize(&call, &mut fields).await?;
    assert!(fields[0].1.is_sensitive());
    Ok(fields.into_iter().collect())
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

#[tokio::test]
async fn a_key_is_a_bearer_token() {
    let (means, _) = means();
    let key = secret("a key");
    let nothing = variables([]);
    let said = Authorization::bedrock(Some(&key), "eu-west-1", &nothing, &means).unwrap();
    let fields = authorized(&said).await.unwrap();
    assert_eq!(fields["authorization"], "Bearer a key");

    let environment = variables([("AWS_BEARER_TOKEN_BEDROCK", "abc")]);
    let found = Authorization::bedrock(None, "eu-west-1", &environment, &means).unwrap();
    let fields = authorized(&found).await.unwrap();
    assert_eq!(fields["authorization"], "Bearer abc");

    let environment = variables([("AWS_BEARER_TOKEN_BEDROCK", "ab\nc")]);
    let refused = Authorization::bedrock(None, "eu-west-1", &environment, &means);
    let Err(refused) = refused else {
        panic!("a header with a line break")
    };
    assert!(!refused.contains("ab\nc"), "{refused}");
}
