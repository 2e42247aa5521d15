//! A signature of a request, with keys that are at hand.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, header};
use ring::hmac;

use super::super::Outgoing;
use super::Credentials;
use crate::config::Secret;
use crate::hex;
use crate::sigv4::{self, Request, Scope};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Keys to sign with.
pub struct Keys {
    id: String,
    secret: Secret,
    token: Option<HeaderValue>,
    /// What signs today.
    daily: ArcSwapOption<Daily>,
}

/// A signing key, and the scope that it is good for.
struct Daily {
    scope: String,
    key: hmac::Key,
}

impl Keys {
    pub fn new(credentials: Credentials) -> Result<Self, String> {
        let token = credentials.token.filter(|token| !token.expose().is_empty());
        let token = token.map(|token| HeaderValue::from_str(token.expose()));
        let token = token.transpose();
        let mut token =
            token.map_err(|_| "the session token holds a character that no HTTP header may")?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            id: credentials.access_key_id,
            secret: credentials.secret_access_key,
            token,
            daily: ArcSwapOption::empty(),
        })
    }

    /// The fields that sign a call.
    pub fn sign(
        &self,
        call: &Outgoing<'_>,
        service: &str,
        region: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let time = sigv4::stamp(now);
        let scope = Scope {
            date: &time[..8],
            region,
            service,
        };
        let payload = sigv4::payload(call.body);
        let (path, query) = call.path.split_once('?').unwrap_or((call.path, ""));
        let mut signed: Vec<(&str, &[u8])> = vec![
            (header::HOST.as_str(), call.host.as_bytes()),
            ("x-amz-content-sha256", payload.as_bytes()),
            ("x-amz-date", time.as_bytes()),
        ];
        let mut signed_names = "host;x-amz-content-sha256;x-amz-date";
        if let Some(token) = &self.token {
            signed.push(("x-amz-security-token", token.as_bytes()));
            signed_names = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        }
        let request = Request {
            method: call.method,
            path,
            query,
            fields: &signed,
            signed_names,
            payload: &payload,
        };
        let text = sigv4::string_to_sign(&time, &scope, &request);
        let scope_text = scope.text();
        let tag = hmac::sign(&self.daily(&scope, &scope_text).key, text.as_bytes());
        let authorization = [
            sigv4::ALGORITHM,
            " Credential=",
            &self.id,
            "/",
            &scope_text,
            ", SignedHeaders=",
            signed_names,
            ", Signature=",
            &hex::encode(tag.as_ref()),
        ];
        let mut authorization = value(authorization.concat())?;
        authorization.set_sensitive(true);
        let mut fields = vec![
            (header::AUTHORIZATION, authorization),
            (HASH, value(payload)?),
            (DATE, value(time)?),
        ];
        fields.extend(self.token.clone().map(|token| (TOKEN, token)));
        Ok(fields)
    }

    /// Made once a day: four of the five HMACs of a signature.
    fn daily(&self, scope: &Scope<'_>, scope_text: &str) -> Arc<Daily> {
        let known = self.daily.load();
        if let Some(known) = known.as_ref().filter(|known| known.scope == scope_text) {
            return known.clone();
        }
        let daily = Arc::new(Daily {
            scope: scope_text.to_owned(),
            key: scope.key(self.secret.expose()),
        });
        self.daily.store(Some(daily.clone()));
        daily
    }
}

fn value(text: String) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| {
        "the access key id or the region holds a character that no HTTP header may".to_owned()
    })
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    const PATH: &str = "/model/eu.anthropic.claude%3A0/converse";

    const TIME: &str = "2015-08-30T12:36:00Z";

    fn keys(token: Option<&str>) -> Keys {
        Keys::new(Credentials::fixed("AKIDEXAMPLE", SECRET, token)).unwrap()
    }

    fn sign(keys: &Keys, path: &str, time: &str) -> Vec<(HeaderName, HeaderValue)> {
        let call = Outgoing {
            method: "POST",
            path,
            host: "bedrock-runtime.eu-west-1.amazonaws.com",
            body: &[Bytes::from_static(b"{\"x\""), Bytes::from_static(b":1}")],
        };
        let time = time.parse().unwrap();
        keys.sign(&call, "bedrock", "eu-west-1", time).unwrap()
    }

    fn signature(fields: &[(HeaderName, HeaderValue)]) -> &str {
        let mut fields = fields.iter();
        let (_, value) = fields
            .find(|(name, _)| name == header::AUTHORIZATION)
            .unwrap();
        value.to_str().unwrap().split_once("Signature=").unwrap().1
    }

    /// The signatures are botocore's.
    #[test]
    fn a_call_is_signed_as_botocore_would() {
        let fields = sign(&keys(None), PATH, TIME);
        let expected = "1c615d0b7c30e0af1017939c929e4ccbebe373d9e4447ff579bdf62a96980b15";
        assert_eq!(signature(&fields), expected);
        assert_eq!(fields.len(), 3);

        let fields = sign(&keys(Some("tok/en+=")), &[PATH, "?a=b"].concat(), TIME);
        let expected = "779006933757afa3481049cb5e24e0c1f9fc8f6dd437d63325e45a28520e487f";
        assert_eq!(signature(&fields), expected);
        let hidden = fields.iter().filter(|(_, value)| value.is_sensitive());
        let hidden: Vec<_> = hidden.map(|(name, _)| name.as_str()).collect();
        assert_eq!(hidden, ["authorization", "x-amz-security-token"]);
    }

    #[test]
    fn a_key_is_made_once_a_day() {
        let keys = keys(None);
        let today = signature(&sign(&keys, PATH, TIME)).to_owned();
        let first = keys.daily.load_full().unwrap();
        sign(&keys, PATH, "2015-08-30T23:59:59Z");
        assert!(Arc::ptr_eq(&first, &keys.daily.load_full().unwrap()));
        sign(&keys, PATH, "2015-08-31T00:00:00Z");
        assert!(!Arc::ptr_eq(&first, &keys.daily.load_full().unwrap()));
        assert_eq!(signature(&sign(&keys, PATH, TIME)), today);
    }

    #[test]
    fn keys_are_not_shown() {
        let credentials = Credentials::fixed("AKIDEXAMPLE", SECRET, Some("tok/en+="));
        let shown = format!("{credentials:?} {:?}", keys(Some("tok/en+=")));
        assert!(
            !shown.contains(SECRET) && !shown.contains("tok/en"),
            "{shown}"
        );
        let refused = Keys::new(Credentials::fixed("a", "b", Some("tok\nen"))).unwrap_err();
        assert!(!refused.contains("tok\n"), "{refused}");
    }
}
