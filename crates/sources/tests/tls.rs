//! Sources behind TLS, with a certificate that no system trusts.

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;

use common::request;
use prunella_model::Code;
use prunella_sources::{Class, HttpClient, HttpClientConfig, HttpSource, Page, SourceError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CERTIFICATE: &str = include_str!("data/test-only.cert.pem");
const KEY: &str = include_str!("data/test-only.key.pem");

/// Answers every request on a TLS port with one item. Its certificate is for 127.0.0.1 and signed by itself.
async fn start_server() -> SocketAddr {
    let identity = native_tls::Identity::from_pkcs8(CERTIFICATE.as_bytes(), KEY.as_bytes()).expect("identity");
    let acceptor = native_tls::TlsAcceptor::new(identity).expect("acceptor");
    let acceptor = tokio_native_tls::TlsAcceptor::from(acceptor);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever does not trust the certificate hangs up here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.expect("request");
            assert!(request[..read].ends_with(b"\r\n\r\n"));
            let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{\"data\":[7]}";
            stream.write_all(answer).await.expect("answer");
        }
    });
    address
}

async fn page(url: String, ca_file: Option<PathBuf>) -> Result<Page, SourceError> {
    let client = HttpClient::new(&HttpClientConfig { ca_file, ..HttpClientConfig::default() }).expect("client");
    HttpSource::new(&client, request(&url)).expect("source").page(None).await
}

fn ca_file() -> Option<PathBuf> {
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/test-only.cert.pem")))
}

#[tokio::test]
async fn a_certificate_of_the_ca_file_is_trusted() {
    let server = start_server().await;
    let page = page(format!("https://{server}/"), ca_file()).await.expect("trusted");
    assert_eq!(page.items, ["7"]);
}

#[tokio::test]
async fn any_other_certificate_is_refused() {
    let server = start_server().await;
    let by_name = format!("https://localhost:{}/", server.port());
    for (url, ca_file) in [(format!("https://{server}/"), None), (by_name, ca_file())] {
        let error = page(url, ca_file).await.expect_err("not trusted");
        assert_eq!((error.code(), error.class()), (Code::SourceTls, Class::Permanent), "{error}");
        assert!(error.to_string().contains("certificate verify failed"), "{error}");
    }
}
