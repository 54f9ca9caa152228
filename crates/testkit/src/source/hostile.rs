//! A server whose answers are wrong in one way each. It writes bytes to the socket itself: a proper HTTP
//! library would not let it lie.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::hostile_answers::{Act, acts};

/// One way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hostility {
    /// 200 with an error page.
    Html,
    /// 200 with XML.
    Xml,
    /// 200 and text that is no JSON.
    NotJson,
    /// Half a JSON document, complete as HTTP goes.
    HalfJson,
    /// The connection ends before as many bytes as announced.
    CutBody,
    /// The connection ends in the middle of a chunk.
    CutChunk,
    /// The connection ends without an answer.
    Hangup,
    /// The connection is reset without an answer.
    Reset,
    /// No answer, for ever.
    Silence,
    /// The head of the answer never ends.
    EndlessHead,
    /// Bytes trickle, for ever.
    Dribble,
    /// Bytes stream, for ever.
    Endless,
    /// A `Content-Length` of 5 GB.
    FiveGigabytes,
    /// 204.
    NoContent,
    /// 200 and no body.
    Empty,
    /// 200 and valid JSON, compressed.
    Gzip,
    /// 64 MiB of blanks in 64 KB.
    GzipBomb,
    /// Says gzip and is none.
    NoGzip,
    /// gzip that ends too early.
    CutGzip,
    /// `Content-Encoding: br`, which was not asked for.
    Brotli,
    /// Redirects to itself.
    RedirectToItself,
    /// Redirects there and back.
    RedirectCircle,
    /// Every redirect leads to a new address.
    RedirectFlight,
    /// Redirects to an address that is none.
    RedirectNowhere,
    /// UTF-16 with a byte-order mark.
    Utf16,
    /// latin1, and says so.
    Latin1,
    /// latin1, and says nothing.
    UndeclaredLatin1,
    /// UTF-8 behind a byte-order mark.
    Bom,
    /// A charset that nobody knows.
    UnknownCharset,
    /// Arrays in arrays, 5,000 deep.
    DeepNesting,
    /// Fields that occur twice, numbers no computer has.
    OddItems,
    /// 401 that repeats what it was sent.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 403 with `Retry-After`.
    ForbiddenForAWhile,
    /// 404.
    NotFound,
    /// 408, 425, 429, 500, 502, 503 or 504.
    Status(u16),
    /// 503 with this `Retry-After`.
    RetryAfter(&'static str),
    /// Every page leads to itself by its cursor.
    SameCursor,
    /// Pages lead round in a circle of seven.
    CursorCircle,
    /// Every answer has the same items, whatever page was asked for.
    SamePage,
    /// There is always one more page.
    EveryPageHasANext,
    /// The next page is on another host.
    NextElsewhere,
    /// The cursor is an object.
    StrangeCursor,
}

impl Hostility {
    /// Path and query of an address that answers in this way.
    pub fn path(self) -> String {
        match self {
            Self::Status(status) => format!("/status?code={status}"),
            Self::RetryAfter(wish) => format!("/retry-after?wish={}", wish.replace(' ', "_")),
            other => format!("/{other:?}"),
        }
    }
}

/// A running hostile server, on a free port of the loopback interface. Closes when dropped, also what hangs.
pub struct HostileServer {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    open: AtomicU64,
}

impl HostileServer {
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (counters, stop) = (Arc::new(Counters::default()), CancellationToken::new());
        let (counted, stopped) = (counters.clone(), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counters, stopped) = (counted.clone(), stopped.clone());
                tokio::spawn(async move {
                    counters.open.fetch_add(1, Ordering::SeqCst);
                    // Whoever hangs up on a hostile server is right to.
                    let _ = stopped.run_until_cancelled(serve(stream, &counters)).await;
                    counters.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }));
        Ok(Self { address, counters, stop })
    }

    pub fn url(&self, hostility: Hostility) -> String {
        format!("http://{}{}", self.address, hostility.path())
    }

    /// `http://127.0.0.1:<port>`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.counters.requests.load(Ordering::SeqCst)
    }

    /// Bytes that were written, heads included.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::SeqCst)
    }

    /// Connections whose answer is still being written.
    pub fn open_connections(&self) -> u64 {
        self.counters.open.load(Ordering::SeqCst)
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One request for each connection: its end is part of many answers.
async fn serve(mut stream: TcpStream, counters: &Counters) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    counters.requests.fetch_add(1, Ordering::SeqCst);
    for act in acts(&head) {
        match act {
            Act::Write(bytes) => write(&mut stream, &bytes, counters).await?,
            Act::Repeat { bytes, times, every } => {
                for _ in 0..times {
                    write(&mut stream, &bytes, counters).await?;
                    tokio::time::sleep(every).await;
                }
            }
            Act::Wait => {
                // Until the other side hangs up.
                let mut rest = [0; 64];
                while stream.read(&mut rest).await? > 0 {}
            }
            Act::Reset => return reset(&stream),
        }
    }
    stream.shutdown().await
}

async fn write(stream: &mut TcpStream, bytes: &[u8], counters: &Counters) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    counters.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    Ok(())
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).await? > 2 {}
    // A socket that is closed with unread bytes resets the connection, and the answer may be lost.
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    tokio::io::copy(&mut reader.take(length.unwrap_or(0)), &mut tokio::io::sink()).await?;
    Ok(head)
}

/// With no time to linger, closing a socket sends a reset.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()
}
