//! AWS Signature Version 4, from a request's parts to its signature. Pure: no I/O, no clock, no configuration.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide. Written by hand because the crate aws-sigv4 brings 25
//! others, among them a second SHA-2 and HMAC, and signs only: callers' signatures must be checked here, too.
//!
//! Invariant: what is signed is what is on the wire. A path is not normalised, only encoded once more, as every service
//! but S3 wants it.

use bytes::Bytes;
use chrono::{DateTime, Datelike, Timelike, Utc};
use ring::{digest, hmac};

use crate::hex;

/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What ends every scope.
pub const TERMINATOR: &str = "aws4_request";

/// The parts of a request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path as it is on the wire.
    pub path: &'a str,
    /// What follows the `?`, as it is on the wire.
    pub query: &'a str,
    /// The signed fields: lower-case names in order, the values of a repeated one behind one another.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The names of `fields`, each once, with semicolons between.
    pub signed_names: &'a str,
    /// The body's SHA-256 in lower-case hexadecimal.
    pub payload: &'a str,
}

/// What a signature holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The day: `20150830`.
    pub date: &'a str,
    /// `eu-west-1`
    pub region: &'a str,
    /// `bedrock`
    pub service: &'a str,
}

impl Scope<'_> {
    /// `20150830/eu-west-1/bedrock/aws4_request`
    pub fn text(&self) -> String {
        [self.date, self.region, self.service, TERMINATOR].join("/")
    }

    /// The key that signs within this scope.
    pub fn key(&self, secret: &str) -> hmac::Key {
        let parts = [self.date, self.region, self.service, TERMINATOR];
        let first = hmac_key(["AWS4", secret].concat().as_bytes());
        parts.into_iter().fold(first, |key, part| {
            hmac_key(hmac::sign(&key, part.as_bytes()).as_ref())
        })
    }
}

/// What is signed for a request that is made at `time` (`20150830T123600Z`).
pub fn string_to_sign(time: &str, scope: &Scope<'_>, request: &Request<'_>) -> String {
    let hash = digest::digest(&digest::SHA256, &canonical(request));
    [ALGORITHM, time, &scope.text(), &hex::encode(hash.as_ref())].join("\n")
}

/// A moment as AWS writes it: `20150830T123600Z`. The first eight characters are the day.
pub fn stamp(time: DateTime<Utc>) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The SHA-256 of a body, whose pieces stand one behind the other, in lower-case hexadecimal.
pub fn payload(pieces: &[Bytes]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    hex::encode(context.finish().as_ref())
}

fn hmac_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

/// The canonical request.
fn canonical(request: &Request<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(request.method.as_bytes());
    text.push(b'\n');
    match request.path.is_empty() {
        true => text.push(b'/'),
        false => encode(request.path.as_bytes(), b"/", &mut text),
    }
    text.push(b'\n');
    write_query(request.query, &mut text);
    text.push(b'\n');
    let mut last_name = None;
    for (name, value) in request.fields {
        if last_name == Some(name) {
            // The next value of the same field: it replaces the line's end.
            text.pop();
            text.push(b',');
        } else {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
        }
        write_value(value, &mut text);
        text.push(b'\n');
        last_name = Some(name);
    }
    for part in ["\n", request.signed_names, "\n", request.payload] {
        text.extend_from_slice(part.as_bytes());
    }
    text
}

/// Sorted by name and value; a name without a value has an empty one. What is encoded already is left alone.
fn write_query(query: &str, text: &mut Vec<u8>) {
    let encoded = |part: &str| {
        let mut encoded = Vec::with_capacity(part.len());
        encode(part.as_bytes(), b"%", &mut encoded);
        encoded
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push(b'&');
        }
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
    }
}

/// A field's value without outer white space, each inner run of it a single space.
fn write_value(value: &[u8], text: &mut Vec<u8>) {
    let words = value.split(u8::is_ascii_whitespace);
    for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

/// Encodes all but RFC 3986's unreserved characters and those of `kept`.
fn encode(part: &[u8], kept: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in part {
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_unreserved || kept.contains(&byte) {
            text.push(byte);
        } else {
            let high = DIGITS[usize::from(byte >> 4)];
            let low = DIGITS[usize::from(byte & 0xf)];
            text.extend_from_slice(&[b'%', high, low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const TIME: &str = "20150830T123600Z";
    const DATE: (&str, &[u8]) = ("x-amz-date", TIME.as_bytes());
    const HOST: (&str, &[u8]) = ("host", b"example.amazonaws.com");

    struct Case {
        scope: (&'static str, &'static str),
        method: &'static str,
        path: &'static str,
        query: &'static str,
        fields: &'static [(&'static str, &'static [u8])],
        body: &'static str,
        signature: &'static str,
    }

    const VANILLA: Case = Case {
        scope: ("us-east-1", "service"),
        method: "GET",
        path: "/",
        query: "",
        fields: &[HOST, DATE],
        body: "",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };

    fn check(case: &Case) {
        let mut names: Vec<&str> = case.fields.iter().map(|(name, _)| *name).collect();
        names.dedup();
        let request = Request {
            method: case.method,
            path: case.path,
            query: case.query,
            fields: case.fields,
            signed_names: &names.join(";"),
            payload: &payload(&[Bytes::from_static(case.body.as_bytes())]),
        };
        let (region, service) = case.scope;
        let scope = Scope {
            date: &TIME[..8],
            region,
            service,
        };
        let text = string_to_sign(TIME, &scope, &request);
        let signature = hmac::sign(&scope.key(SECRET), text.as_bytes());
        let canonical = String::from_utf8(canonical(&request)).unwrap();
        assert_eq!(
            hex::encode(signature.as_ref()),
            case.signature,
            "{canonical}"
        );
    }

    #[test]
    fn the_published_test_suite_is_met() {
        let cases = [
            VANILLA,
            Case {
                path: "",
                ..VANILLA
            },
            Case {
                query: "Param2=value2&Param1=value1",
                signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                ..VANILLA
            },
            Case {
                method: "POST",
                signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
                ..VANILLA
            },
            Case {
                fields: &[
                    HOST,
                    ("my-header1", b" value1"),
                    ("my-header2", b" \"a   b   c\""),
                    DATE,
                ],
                signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
                ..VANILLA
            },
            Case {
                method: "POST",
                fields: &[
                    ("content-type", b"application/x-www-form-urlencoded"),
                    HOST,
                    DATE,
                ],
                body: "Param1=value1",
                signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
                ..VANILLA
            },
        ];
        cases.iter().for_each(check);
    }

    /// The signatures are botocore's.
    #[test]
    fn an_encoded_path_is_encoded_once_more() {
        check(&Case {
            path: "/example%20space/",
            signature: "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662",
            ..VANILLA
        });
        check(&Case {
            scope: ("eu-west-1", "bedrock"),
            method: "POST",
            path: "/model/a%3Ab%2Fc%20d%25e~f_g.h-i/converse",
            fields: &[
                ("host", b"bedrock-runtime.eu-west-1.amazonaws.com"),
                DATE,
                ("x-amz-security-token", b"tok/en+="),
            ],
            body: r#"{"x":1}"#,
            signature: "8b3026b7deaf9181ed08de1884eafdc83627dc582e7d8eed40a6edf97e89920e",
            ..VANILLA
        });
    }

    #[test]
    fn a_signing_key_is_the_one_of_the_user_guide() {
        let scope = Scope {
            date: "20150830",
            region: "us-east-1",
            service: "iam",
        };
        // The guide's signature of the string whose last line is this digest.
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = hmac::sign(&scope.key(SECRET), text.as_bytes());
        let expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert_eq!(hex::encode(signature.as_ref()), expected);
    }

    #[test]
    fn a_repeated_field_is_one_line() {
        let request = Request {
            method: "GET",
            path: "/",
            query: "",
            fields: &[("a", b"1"), ("a", b" 2  3 "), ("b", b"")],
            signed_names: "a;b",
            payload: "p",
        };
        assert_eq!(canonical(&request), b"GET\n/\n\na:1,2 3\nb:\n\na;b\np");
    }

    #[test]
    fn a_moment_is_written_without_separators() {
        let time = "2015-08-30T12:36:00.9Z".parse().unwrap();
        assert_eq!(stamp(time), TIME);
    }

    #[test]
    fn a_body_in_pieces_has_the_hash_of_the_whole() {
        let pieces = ["Param1", "=", "value1"].map(|piece| Bytes::from_static(piece.as_bytes()));
        let expected = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
        assert_eq!(payload(&pieces), expected);
    }
}
