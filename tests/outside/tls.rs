//! TLS towards callers: both protocols by ALPN, and certificates that are replaced while it runs.

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::certificates::Authority;
use crate::harness::{Gateway, config, eventually, within};
use crate::http2::Http2;
use crate::raw::{Connection, chat, chat_stream};
use crate::upstream::{COMPLETION, FRAMES, Upstream};

#[tokio::test]
async fn both_protocols_are_offered_and_serve() {
    let stage = Stage::set("").await;
    let stream = stage.handshake(&["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut client = Http2::over(stream).await.expect("a handshake");
    assert_eq!(
        within("an answer", client.ask(chat("up/m-1")))
            .await
            .expect("an answer")
            .text(),
        COMPLETION
    );
    let answer = within("a stream", client.ask(chat_stream("up/m-1")))
        .await
        .expect("an answer");
    assert_eq!(answer.text(), FRAMES.concat());

    for protocols in [&["http/1.1"][..], &[]] {
        let stream = stage.handshake(protocols).await;
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            protocols.first().map(|name| name.as_bytes())
        );
        let mut connection = Connection::over(stream);
        connection.send(chat("up/m-1").bytes()).await.expect("sent");
        assert_eq!(
            within("an answer", connection.answer())
                .await
                .expect("an answer")
                .text(),
            COMPLETION
        );
        connection
            .send(chat_stream("up/m-1").bytes())
            .await
            .expect("sent");
        assert_eq!(
            within("a stream", connection.answer())
                .await
                .expect("an answer")
                .text(),
            FRAMES.concat()
        );
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_newcomers_and_disturbs_nobody() {
    let stage = Stage::set("").await;
    let stream = stage.handshake(&["http/1.1"]).await;
    let old = shown(&stream);
    let mut connection = Connection::over(stream);
    stage.authority.issue("localhost").write(&stage.home);
    eventually("a handshake with the new certificate", async || {
        let stream = stage.handshake(&["http/1.1"]).await;
        (shown(&stream) != old).then_some(())
    })
    .await;
    connection
        .send(chat("up/m-1").bytes())
        .await
        .expect("the old connection lives on");
    assert_eq!(
        within("an answer", connection.answer())
            .await
            .expect("an answer")
            .text(),
        COMPLETION
    );
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_closed() {
    let stage = Stage::set("").await;
    let mut connection = stage.gateway.connect().await;
    let _ = connection.send(b"GET / HTTP/1.1\r\n\r\n").await;
    within("the close", connection.until_closed()).await;
}

struct Stage {
    gateway: Gateway,
    authority: Authority,
    home: TempDir,
    _upstream: Upstream,
}

// === impl Stage ===

impl Stage {
    async fn set(server: &str) -> Self {
        let upstream = Upstream::healthy().await;
        let authority = Authority::new();
        let home = TempDir::new().expect("a temporary directory");
        let (cert, key) = authority.issue("localhost").write(&home);
        let listen = format!(
            "listen: {{ address: 127.0.0.1:0, tls: {{ cert: \"{}\", key: \"{}\" }} }}\n",
            cert.display(),
            key.display()
        );
        let yaml = config(&format!("{server}\n{}", upstream.as_provider("up")));
        let gateway = Gateway::start(&yaml.replacen("listen: 127.0.0.1:0\n", &listen, 1)).await;
        Self {
            gateway,
            authority,
            home,
            _upstream: upstream,
        }
    }

    async fn handshake(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        within(
            "a handshake",
            self.authority.connect(self.gateway.address, protocols),
        )
        .await
        .expect("a handshake")
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream
        .get_ref()
        .1
        .peer_certificates()
        .expect("a server shows its certificate");
    chain[0].clone().into_owned()
}
