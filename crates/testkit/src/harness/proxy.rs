use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::wait::block_on;

const CHUNK: usize = 64 * 1024;

/// A TCP proxy that does to its connections what networks do. Closes when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    target: AtomicU16,
    weather: watch::Sender<Weather>,
    /// Of the connections that are open.
    cut: Mutex<CancellationToken>,
}

/// What the way through a proxy is like.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    /// Of each chunk, in both directions.
    delay: Duration,
    bytes_per_second: Option<u32>,
    /// Connections stay open and nothing passes.
    silent: bool,
    /// Nobody gets in.
    closed: bool,
}

impl Proxy {
    /// Listens on a free port and leads nowhere yet.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start() -> Self {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            let shared = Arc::new(Shared {
                target: AtomicU16::new(0),
                weather: watch::Sender::new(Weather::default()),
                cut: Mutex::default(),
            });
            let stop = CancellationToken::new();
            tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, shared.clone(), stop.clone())));
            Self { port, shared, stop }
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it leads, on the loopback interface.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::Relaxed);
    }

    /// All is well again; connections that hung go on.
    pub fn clear(&self) {
        self.shared.weather.send_replace(Weather::default());
    }

    /// Every chunk comes this much later.
    pub fn delay(&self, delay: Duration) {
        self.shared.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Of each connection and direction.
    pub fn limit(&self, bytes_per_second: u32) {
        self.shared.weather.send_modify(|weather| weather.bytes_per_second = Some(bytes_per_second));
    }

    /// Half open: connections are there, are even accepted, and nothing passes.
    pub fn silence(&self) {
        self.shared.weather.send_modify(|weather| weather.silent = true);
    }

    /// Every open connection ends at once; new ones are welcome.
    pub fn cut(&self) {
        std::mem::take(&mut *self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner)).cancel();
    }

    /// Every connection ends, and none is let in.
    pub fn close(&self) {
        self.shared.weather.send_modify(|weather| weather.closed = true);
        self.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.weather.borrow().closed {
            continue;
        }
        let cut = shared.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (shared, stop) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            // An end by either side, or by us, is what connections come to.
            let _ = stop.run_until_cancelled(cut.run_until_cancelled(join(client, shared))).await;
        });
    }
}

async fn join(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.target.load(Ordering::Relaxed))).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = pump(from_client, to_server, shared.weather.subscribe()) => ended,
        ended = pump(from_server, to_client, shared.weather.subscribe()) => ended,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let now = *weather.wait_for(|weather| !weather.silent).await.map_err(io::Error::other)?;
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if let Some(rate) = now.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(length as f64 / f64::from(rate))).await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}
