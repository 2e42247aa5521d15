//! `botocore.json` holds requests as botocore 1.44 made and signed them with an id and a secret of our form.

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Recorded {
    id: String,
    secret: String,
    requests: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    name: String,
    method: String,
    path: String,
    fields: Vec<(String, String)>,
    body: String,
}

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("botocore.json")).unwrap()
}

impl Signed {
    fn fields(&self) -> HeaderMap {
        let fields = self.fields.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        fields.collect()
    }

    fn time(&self) -> DateTime<Utc> {
        let fields = self.fields();
        let time = fields["x-amz-date"].to_str().unwrap();
        NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ")
            .unwrap()
            .and_utc()
    }

    fn head<'a>(&'a self, fields: &'a HeaderMap) -> SignedHead<'a> {
        SignedHead {
            method: &self.method,
            path: &self.path,
            query: "",
            authority: None,
            fields,
        }
    }
}

#[test]
fn what_botocore_signs_is_let_in() {
    let recorded = recorded();
    assert!(!recorded.requests.is_empty());
    for signed in &recorded.requests {
        let fields = signed.fields();
        let head = signed.head(&fields);
        assert!(is_signed(&head));
        let claim = Claim::parse(&head, signed.time()).unwrap();
        assert_eq!(claim.id, recorded.id);
        let body = signed.body.as_bytes();
        let checked = claim.check(&head, body, &recorded.secret);
        assert_eq!(checked, Ok(()), "{}", signed.name);
        let other = claim.check(&head, body, "another secret");
        assert_eq!(other, Err(Refused::Signature), "{}", signed.name);
    }
}

#[test]
fn a_host_may_be_http2s_authority() {
    let recorded = recorded();
    let signed = &recorded.requests[0];
    let mut fields = signed.fields();
    let host = fields.remove("host").unwrap();
    let mut head = signed.head(&fields);
    let body = signed.body.as_bytes();
    let missing = verify(&head, body, &recorded.secret, signed.time());
    assert_eq!(missing, Err(Refused::Fields));
    head.authority = host.to_str().ok();
    assert_eq!(verify(&head, body, &recorded.secret, signed.time()), Ok(()));
}

/// Changes one thing of a good request.
fn after(change: impl FnOnce(&mut HeaderMap, &mut SignedHead<'_>, &mut String)) -> Refused {
    let recorded = recorded();
    let signed = &recorded.requests[0];
    let (mut fields, none) = (signed.fields(), HeaderMap::new());
    let mut head = signed.head(&none);
    let mut body = signed.body.clone();
    change(&mut fields, &mut head, &mut body);
    let head = SignedHead {
        fields: &fields,
        ..head
    };
    verify(&head, body.as_bytes(), &recorded.secret, signed.time()).unwrap_err()
}

fn replace(fields: &mut HeaderMap, name: &'static str, from: &str, to: &str) {
    let value = fields[name].to_str().unwrap().replace(from, to);
    fields.insert(name, value.parse().unwrap());
}

#[test]
fn whatever_is_changed_on_the_way_is_noticed() {
    assert_eq!(after(|_, _, body| body.push(' ')), Refused::Signature);
    assert_eq!(after(|_, head, _| head.method = "PUT"), Refused::Signature);
    assert_eq!(after(|_, head, _| head.query = "a=b"), Refused::Signature);
    let decoded = "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1:0/converse";
    assert_eq!(after(|_, head, _| head.path = decoded), Refused::Signature);
    let other_host = |fields: &mut HeaderMap, _: &mut SignedHead<'_>, _: &mut String| {
        fields.insert("host", HeaderValue::from_static("elsewhere"));
    };
    assert_eq!(after(other_host), Refused::Signature);
    let second_type = |fields: &mut HeaderMap, _: &mut SignedHead<'_>, _: &mut String| {
        fields.append("content-type", HeaderValue::from_static("text/plain"));
    };
    assert_eq!(after(second_type), Refused::Signature);
}

#[test]
fn what_is_not_of_the_form_is_refused_by_name() {
    let with = |from: &'static str, to: &'static str| {
        after(move |fields, _, _| replace(fields, "authorization", from, to))
    };
    let cases = [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", Refused::Malformed),
        (
            "AWS4-HMAC-SHA256",
            "AWS4-ECDSA-P256-SHA256",
            Refused::Malformed,
        ),
        ("Signature=b", "Signature=B", Refused::Malformed),
        ("Signature=", "Signature=0", Refused::Malformed),
        (
            ", Signature",
            ", Signature=0, Signature",
            Refused::Malformed,
        ),
        ("aws4_request", "aws4_request/x", Refused::Malformed),
        ("aws4_request", "aws5", Refused::Malformed),
        ("TGAK", "AKIA", Refused::UnknownId),
        ("/bedrock/", "/s3/", Refused::Scope),
        ("/2026", "/2025", Refused::Scope),
        ("/eu-west-1/", "/us-east-1/", Refused::Signature),
        ("host;x-amz-date", "host", Refused::Fields),
        ("host;x-amz-date", "x-amz-date", Refused::Fields),
        (
            "host;x-amz-date",
            "host;x-amz-date;x-missing",
            Refused::Fields,
        ),
        ("content-type;host", "host;content-type", Refused::Fields),
        ("content-type;host", "Content-Type;host", Refused::Fields),
        (
            "content-type;host",
            "content-type;host;host",
            Refused::Fields,
        ),
        ("content-type;host", "host", Refused::Signature),
    ];
    for (from, to, refused) in cases {
        assert_eq!(with(from, to), refused, "{from} -> {to}");
    }
}

#[test]
fn a_presigned_query_is_refused_as_such() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    assert_eq!(after(|_, head, _| head.query = query), Refused::Presigned);
}

#[test]
fn a_signature_is_good_for_a_quarter_of_an_hour() {
    let recorded = recorded();
    let signed = &recorded.requests[0];
    let fields = signed.fields();
    for (minutes, expected) in [
        (15, Ok(())),
        (-15, Ok(())),
        (16, Err(Refused::Clock)),
        (-16, Err(Refused::Clock)),
    ] {
        let now = signed.time() + TimeDelta::minutes(minutes);
        let head = signed.head(&fields);
        let body = signed.body.as_bytes();
        assert_eq!(verify(&head, body, &recorded.secret, now), expected);
    }
    let no_date = |fields: &mut HeaderMap, _: &mut SignedHead<'_>, _: &mut String| {
        fields.remove("x-amz-date");
    };
    assert_eq!(after(no_date), Refused::Clock);
}

#[test]
fn a_stated_hash_must_be_the_bodys() {
    let stating = |value: &'static str| {
        after(move |fields, _, _| {
            fields.insert("x-amz-content-sha256", HeaderValue::from_static(value));
        })
    };
    assert_eq!(stating("UNSIGNED-PAYLOAD"), Refused::Body);
    assert_eq!(stating("00"), Refused::Body);
}

#[test]
fn other_credentials_are_not_signatures() {
    let fields = HeaderMap::from_iter([(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer tg_demo"),
    )]);
    let head = SignedHead {
        method: "POST",
        path: "/model/fast/converse",
        query: "",
        authority: None,
        fields: &fields,
    };
    assert!(!is_signed(&head));
    let refused = Claim::parse(&head, Utc::now()).unwrap_err();
    assert_eq!(refused, Refused::Malformed);
}

#[test]
fn a_new_id_has_its_form() {
    let id = new_id().unwrap();
    assert!(is_id(&id), "{id}");
    assert_ne!(new_id().unwrap(), id);
    for other in ["", "TGAK", "TGAKAAAAAAAAAAAAAAA1", "AKIAAAAAAAAAAAAAAAAA"] {
        assert!(!is_id(other), "{other}");
    }
}

#[test]
fn a_secret_follows_from_its_id_and_the_operators_secret() {
    let id = "TGAKAAAAAAAAAAAAAAAA";
    let secret = secret_of(id, b"operator");
    // python: base64.b64encode(hmac.digest(b"operator", id, "sha256")[:30])
    assert_eq!(secret, "T0r2ijFN+w1JSrxQjeS0AhplVno3OPg8D5DI+w8h");
    assert_ne!(secret_of(id, b"another"), secret);
    assert_ne!(secret_of("TGAKAAAAAAAAAAAAAAAB", b"operator"), secret);
}
