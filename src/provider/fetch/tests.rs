use http::Method;
use tokio::net::TcpListener;

use super::server::Server;
use super::*;
use crate::provider::credentials::web;

fn dialled() -> Dialled {
    Dialled(Arc::new(Dialer::new()))
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let server = Server::answering(403, "no").await;
    let field = ("x-field", HeaderValue::from_static("value"));
    let url = format!("{}/a/b?c=d%20e", server.url);
    let request = web::request(Method::PUT, &url, &[field]).unwrap();
    let answer = dialled().fetch(request).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.body()[..]),
        (403, &b"no"[..])
    );
    let request = web::post_form(&server.url, web::form(&[("a", "b c/ü")])).unwrap();
    dialled().fetch(request).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("PUT", "/a/b?c=d%20e")
    );
    assert_eq!(seen[0].field("x-field"), "value");
    assert_eq!(
        seen[0].field("host"),
        server.url.strip_prefix("http://").unwrap()
    );
    assert_eq!(
        (seen[1].method.as_str(), seen[1].path.as_str()),
        ("POST", "/")
    );
    assert_eq!(seen[1].body, "a=b%20c%2F%C3%BC");
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let server = Server::answering(200, &"x".repeat(ANSWER_MAX + 1)).await;
    let request = web::request(Method::GET, &server.url, &[]).unwrap();
    let error = dialled().fetch(request).await.unwrap_err();
    assert!(error.starts_with("over 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let request = web::request(Method::GET, &url, &[]).unwrap();
    let error = dialled().fetch(request).await.unwrap_err();
    assert!(error.contains("refused"), "{error}");
    let request = web::request(Method::GET, "ftp://example.com/", &[]).unwrap();
    let error = dialled().fetch(request).await.unwrap_err();
    assert!(error.contains("https://"), "{error}");
}
