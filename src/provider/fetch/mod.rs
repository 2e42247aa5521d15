//! Small requests over the connections that providers' calls are made of: the same roots, proxy and bounds. For credentials,
//! and for whatever else goes out.

#[cfg(test)]
#[allow(missing_docs)] // for tests
pub mod server;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};

use super::dial::Dialer;
use super::settings::base;
use super::upstream::{Message, Upstream};

/// The largest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 1024 * 1024;

/// How long an answer from afar may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A future that does not say what it is.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes HTTP requests. A request has a whole URL; redirects are not followed.
pub trait Fetch: Send + Sync {
    /// One exchange, with an answer of up to 1 MiB. The error is for operators and quotes nothing that was sent.
    fn fetch(&self, request: Request<Bytes>) -> Pending<'_, Result<Response<Bytes>, String>>;
}

/// One exchange. Errors name the host that was asked.
pub async fn ask(
    fetch: &dyn Fetch,
    request: Request<Bytes>,
    patience: Duration,
) -> Result<Response<Bytes>, String> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let answer = match tokio::time::timeout(patience, fetch.fetch(request)).await {
        Ok(answer) => answer.map_err(|error| format!("{host}: {error}"))?,
        Err(_) => return Err(format!("{host}: no answer within {} s", patience.as_secs())),
    };
    match answer.body().len() <= ANSWER_MAX {
        true => Ok(answer),
        false => Err(format!("{host}: the answer is too large")),
    }
}

/// Makes each request on a connection of its own: there are few, far apart.
pub struct Dialled(pub Arc<Dialer>);

impl Fetch for Dialled {
    fn fetch(&self, request: Request<Bytes>) -> Pending<'_, Result<Response<Bytes>, String>> {
        Box::pin(self.exchange(request))
    }
}

impl Dialled {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let scheme = head.uri.scheme_str().unwrap_or_default();
        let authority = head
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let (destination, authority, _) = base(&format!("{scheme}://{authority}"))?;
        let fields: Vec<(HeaderName, HeaderValue)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let message = Message {
            method: head.method.as_str(),
            path,
            fields: &fields,
            body: &[body],
            connect: CONNECT,
            taken: None,
        };
        let upstream = Arc::new(Upstream::new(destination, authority));
        let answer = upstream.send(&self.0, &message).await;
        let mut answer = answer.map_err(|failure| failure.detail)?;
        let body = answer.body.whole(ANSWER_MAX as u64).await;
        let body = body.map_err(|failure| failure.detail)?;
        Response::builder()
            .status(answer.head.status)
            .body(body)
            .map_err(|error| error.to_string())
    }
}
