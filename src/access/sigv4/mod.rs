//! Callers that sign as AWS's SDKs do: ids and secrets of our own making, and the check of a signature.
//!
//! A secret is derived from its id under the operator's `admin.aws_secret`, so none is stored: whoever has the derived
//! secret was given it, and its digest is found among the keys like that of any other key. An id alone opens nothing.
//!
//! Invariant: a signature is compared in constant time, and no refusal quotes what came.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http::{HeaderMap, header};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::hex;
use crate::sigv4::{self, Request, Scope};

/// What our ids begin with, as AWS's begin with `AKIA`.
const ID_PREFIX: &str = "TGAK";

/// Random characters of an id: 80 bits.
const ID_RANDOM: usize = 16;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes of a secret: 240 bits, in base64 the 40 characters of AWS's own.
const SECRET_BYTES: usize = 30;

/// The service that SDKs name when they sign a call of `bedrock-runtime`.
const SERVICE: &str = "bedrock";

/// How far a caller's clock may be off.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(15);

/// Signed fields of a request; SDKs sign less than ten.
const SIGNED_MAX: usize = 64;

/// A new id: `TGAK` and 16 characters of base32.
///
/// # Errors
/// The system has no randomness.
pub fn new_id() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0_u8; ID_RANDOM];
    SystemRandom::new().fill(&mut bytes)?;
    let random = bytes.map(|byte| char::from(BASE32[usize::from(byte % 32)]));
    Ok(ID_PREFIX.chars().chain(random).collect())
}

/// Whether `text` has the form of our ids.
pub fn is_id(text: &str) -> bool {
    text.strip_prefix(ID_PREFIX).is_some_and(|random| {
        random.len() == ID_RANDOM && random.bytes().all(|byte| BASE32.contains(&byte))
    })
}

/// The secret that belongs to an id: its HMAC-SHA256 under `aws_secret`, less two bytes, in base64.
pub fn secret_of(id: &str, aws_secret: &[u8]) -> String {
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, aws_secret),
        id.as_bytes(),
    );
    STANDARD_NO_PAD.encode(&tag.as_ref()[..SECRET_BYTES])
}

/// Whether a request comes with a signature, in its head or in its query.
pub fn is_signed(head: &SignedHead<'_>) -> bool {
    is_presigned(head.query) || authorization(head.fields).is_some()
}

/// The head of a request as it came, with nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct SignedHead<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, in its raw form.
    pub path: &'a str,
    /// What follows the `?`, in its raw form.
    pub query: &'a str,
    /// HTTP/2's `:authority`, which stands for a `host` field that is not there.
    pub authority: Option<&'a str>,
    /// The fields.
    pub fields: &'a HeaderMap,
}

/// Why a signature does not let its request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not of the form that AWS prescribes.
    #[error("the `Authorization` header is not a well-formed AWS Signature Version 4")]
    Malformed,
    /// Signed in the query.
    #[error("presigned URLs are not supported: sign the request in its `Authorization` header")]
    Presigned,
    /// An id that we did not make.
    #[error("the access key id is not one of this gateway's")]
    UnknownId,
    /// Signed for another service, or for another day than it says.
    #[error("the credential's scope must be of the request's day and the service `bedrock`")]
    Scope,
    /// `x-amz-date` is missing, unreadable, or too far away.
    #[error("`x-amz-date` is missing or more than 15 minutes off")]
    Clock,
    /// A field that must be signed is not.
    #[error("`host` and `x-amz-date` must be signed, and every signed header present")]
    Fields,
    /// The body is not the one that was signed, or was not signed at all.
    #[error("`x-amz-content-sha256` is not the SHA-256 of the body")]
    Body,
    /// The signature is another one.
    #[error(
        "the signature does not match: is the secret right, and does a proxy change the request?"
    )]
    Signature,
}

/// Checks a request's signature: [`Claim::parse`] and [`Claim::check`] in one.
///
/// # Errors
/// The request is not signed with `secret`, not now, or not for us.
pub fn verify(
    head: &SignedHead<'_>,
    body: &[u8],
    secret: &str,
    now: DateTime<Utc>,
) -> Result<(), Refused> {
    Claim::parse(head, now)?.check(head, body, secret)
}

/// Who a signed request says it comes from; what can be known before its body is there.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The access key id; one of our form.
    pub id: &'a str,
    scope: Scope<'a>,
    time: &'a str,
    signed_names: &'a str,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    /// Reads a head. Nothing of it is proved yet.
    ///
    /// # Errors
    /// The head cannot belong to a request that is let in.
    pub fn parse(head: &SignedHead<'a>, now: DateTime<Utc>) -> Result<Self, Refused> {
        if is_presigned(head.query) {
            return Err(Refused::Presigned);
        }
        let text = authorization(head.fields).ok_or(Refused::Malformed)?;
        let parts = Parts::parse(text).ok_or(Refused::Malformed)?;
        let (id, scope) = credential(parts.credential).ok_or(Refused::Malformed)?;
        if !is_id(id) {
            return Err(Refused::UnknownId);
        }
        let time = single(head.fields, "x-amz-date").ok_or(Refused::Clock)?;
        let signed = NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ");
        let signed = signed.map_err(|_| Refused::Clock)?.and_utc();
        if now.signed_duration_since(signed).abs() > SKEW_MAX {
            return Err(Refused::Clock);
        }
        if scope.service != SERVICE || !time.starts_with(scope.date) {
            return Err(Refused::Scope);
        }
        Ok(Self {
            id,
            scope,
            time,
            signed_names: parts.signed_names,
            signature: hex::digest(parts.signature).ok_or(Refused::Malformed)?,
        })
    }

    /// Proves it, with the head that it was read from and the body as it came, still compressed if it was.
    ///
    /// # Errors
    /// The request is not signed with `secret`.
    pub fn check(&self, head: &SignedHead<'_>, body: &[u8], secret: &str) -> Result<(), Refused> {
        let fields = signed_fields(self.signed_names, head)?;
        let hash = ring::digest::digest(&ring::digest::SHA256, body);
        let payload = hex::encode(hash.as_ref());
        let stated = head.fields.get("x-amz-content-sha256");
        if stated.is_some_and(|stated| stated.as_bytes() != payload.as_bytes()) {
            return Err(Refused::Body);
        }
        let request = Request {
            method: head.method,
            path: head.path,
            query: head.query,
            fields: &fields,
            signed_names: self.signed_names,
            payload: &payload,
        };
        let text = sigv4::string_to_sign(self.time, &self.scope, &request);
        hmac::verify(&self.scope.key(secret), text.as_bytes(), &self.signature)
            .map_err(|_| Refused::Signature)
    }
}

/// An `Authorization` of this scheme, less its name.
fn authorization(fields: &HeaderMap) -> Option<&str> {
    let text = single(fields, header::AUTHORIZATION.as_str())?;
    text.strip_prefix(sigv4::ALGORITHM)?.strip_prefix(' ')
}

fn is_presigned(query: &str) -> bool {
    let names = query.split('&').filter_map(|pair| pair.split('=').next());
    names.into_iter().any(|name| {
        ["x-amz-signature", "x-amz-algorithm"]
            .iter()
            .any(|presigned| name.eq_ignore_ascii_case(presigned))
    })
}

/// The value of a field that is there once.
fn single<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = fields.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The three parts of an `Authorization`, each there once.
struct Parts<'a> {
    credential: &'a str,
    signed_names: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (mut credential, mut signed_names, mut signature) = (None, None, None);
        for part in text.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_names,
                "Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            credential: credential?,
            signed_names: signed_names?,
            signature: signature?,
        })
    }
}

/// `id/date/region/service/aws4_request`
fn credential(text: &str) -> Option<(&str, Scope<'_>)> {
    let parts: Vec<&str> = text.splitn(6, '/').collect();
    let [id, date, region, service, sigv4::TERMINATOR] = parts[..] else {
        return None;
    };
    let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let scope = Scope {
        date,
        region,
        service,
    };
    is_date.then_some((id, scope))
}

/// The fields that were signed, with their values. The names must be in order, as the canonical form has them.
fn signed_fields<'a>(
    names: &'a str,
    head: &SignedHead<'a>,
) -> Result<Vec<(&'a str, &'a [u8])>, Refused> {
    let names: Vec<&str> = names.split(';').take(SIGNED_MAX + 1).collect();
    let is_ordered = names.is_sorted_by(|name, next| name < next);
    let is_lower = |name: &&str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let is_complete = ["host", "x-amz-date"]
        .iter()
        .all(|name| names.contains(name));
    if names.len() > SIGNED_MAX || !is_ordered || !names.iter().all(is_lower) || !is_complete {
        return Err(Refused::Fields);
    }
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let known = fields.len();
        let values = head.fields.get_all(name).iter();
        fields.extend(values.map(|value| (name, value.as_bytes())));
        if fields.len() > known {
            continue;
        }
        match head.authority {
            Some(authority) if name == "host" => fields.push((name, authority.as_bytes())),
            _ => return Err(Refused::Fields),
        }
    }
    Ok(fields)
}
