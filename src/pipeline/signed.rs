//! Callers that sign their requests as AWS's SDKs do, instead of sending a key.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::uri::Authority;
use pingora_http::RequestHeader;

use crate::access::sigv4::{Claim, SignedHead, is_signed, secret_of};
use crate::config::Secret;
use crate::dialect::{Error, Kind};

/// A signed request whose signature is still to be checked: that takes its body.
pub struct Signed {
    method: String,
    path: String,
    query: String,
    authority: Option<String>,
    fields: HeaderMap,
    now: DateTime<Utc>,
    secret: String,
}

impl Signed {
    /// Reads a head; None if it is not signed.
    ///
    /// # Errors
    /// [`Kind::InvalidApiKey`]: it cannot belong to a request that is let in.
    pub fn read(head: &RequestHeader, aws_secret: Option<&Secret>) -> Result<Option<Self>, Error> {
        let raw = String::from_utf8_lossy(head.raw_path());
        let (path, query) = raw.split_once('?').unwrap_or((&raw, ""));
        let view = SignedHead {
            method: head.method.as_str(),
            path,
            query,
            authority: head.uri.authority().map(Authority::as_str),
            fields: &head.headers,
        };
        if !is_signed(&view) {
            return Ok(None);
        }
        let Some(aws_secret) = aws_secret else {
            let message = "signed requests are not taken here: `admin.aws_secret` is not set";
            return Err(Error::new(Kind::InvalidApiKey, message));
        };
        let now = Utc::now();
        let claim = Claim::parse(&view, now).map_err(refused)?;
        Ok(Some(Self {
            secret: secret_of(claim.id, aws_secret.expose().as_bytes()),
            now,
            method: view.method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            authority: view.authority.map(str::to_owned),
            fields: head.headers.clone(),
        }))
    }

    /// What whoever signs must have.
    pub fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Kind::InvalidApiKey`]: it is not this request's.
    pub fn check(&self, body: &[u8]) -> Result<(), Error> {
        let head = self.head();
        let claim = Claim::parse(&head, self.now).map_err(refused)?;
        claim.check(&head, body, &self.secret).map_err(refused)
    }

    fn head(&self) -> SignedHead<'_> {
        SignedHead {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authority: self.authority.as_deref(),
            fields: &self.fields,
        }
    }
}

fn refused(why: crate::access::sigv4::Refused) -> Error {
    Error::new(Kind::InvalidApiKey, why.to_string())
}
