//! Requests for credentials over the connections that providers' calls are made of: the same roots, proxy and bounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};

use super::token::Pending;
use super::web::{ANSWER_MAX, Fetch};
use crate::provider::dial::Dialer;
use crate::provider::settings::base;
use crate::provider::upstream::{Message, Upstream};

/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(5);

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
