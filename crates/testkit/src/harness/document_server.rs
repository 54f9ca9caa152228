use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::wait::block_on;

/// An HTTP server with one JSON document. Closes when dropped.
pub struct DocumentServer {
    address: SocketAddr,
    stop: CancellationToken,
}

impl DocumentServer {
    /// # Panics
    /// When there is no free port.
    pub fn start(document: Vec<u8>) -> Self {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let answer = move || async move { ([(CONTENT_TYPE, "application/json")], document.clone()) };
            let router = Router::new().route("/document.json", get(answer));
            let stop = CancellationToken::new();
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move { axum::serve(listener, router).await }));
            Self { address, stop }
        })
    }

    /// The document is at `/document.json` below it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for DocumentServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
