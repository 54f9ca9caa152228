//! A web shop with an API: orders in four kinds of pagination, customers, and bad days.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::catalogue;
use super::pages;
use super::releases::Release;

/// What the shop has, and how it behaves.
#[derive(Debug, Clone)]
pub struct ShopConfig {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    pub orders: u64,
    /// Orders per page when a request does not say.
    pub page_size: u64,
    /// Most orders per page, whatever a request says; like many real APIs, the shop does not mention it.
    pub largest_page: u64,
    /// One in so many orders has a mistake; 0: none.
    pub bad_one_in: u64,
    /// Pages, by number from 0, that fail this many times before they answer.
    pub flaky: HashMap<u64, u32>,
    /// How they fail.
    pub bad_day: BadDay,
    /// Time each answer takes.
    pub latency: Duration,
    /// When set, requests need `Authorization: Bearer <token>`.
    pub token: Option<String>,
}

/// How a flaky page fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadDay {
    /// 500.
    Error,
    /// 503.
    Closed,
    /// 429 with this `Retry-After`.
    Busy { retry_after: String },
}

impl Default for ShopConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            orders: 100,
            page_size: 50,
            largest_page: 1000,
            bad_one_in: 0,
            flaky: HashMap::new(),
            bad_day: BadDay::Closed,
            latency: Duration::ZERO,
            token: None,
        }
    }
}

/// Orders in the list of the newest ones.
const NEWEST: u64 = 20;

pub(crate) struct ShopState {
    pub(crate) config: ShopConfig,
    failures_left: Mutex<HashMap<u64, u32>>,
    requests: AtomicU64,
    connections: AtomicU64,
    pages_served: AtomicU64,
    release: Mutex<Release>,
    asked_for_newest: AtomicU64,
}

impl ShopState {
    pub(crate) fn release(&self) -> Release {
        *self.release.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers of the newest orders, the newest first. Somebody buys something at every other request.
    pub(crate) fn newest_orders(&self) -> impl Iterator<Item = u64> + use<> {
        let sold = self.asked_for_newest.fetch_add(1, Ordering::Relaxed) / 2;
        let next = self.config.orders + sold + NEWEST;
        (next - NEWEST..next).rev()
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_page(&self) {
        self.pages_served.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether page `number` fails this time.
    pub(crate) fn fails(&self, number: u64) -> bool {
        let mut failures = self.failures_left.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get_mut(&number) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// The shop itself; see [`Shop::start`].
pub struct Shop;

/// A running shop. Closes when dropped.
pub struct ShopHandle {
    address: SocketAddr,
    state: Arc<ShopState>,
    stop: CancellationToken,
}

impl ShopHandle {
    /// `http://127.0.0.1:<port>`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows the newest orders as this release does from now on.
    pub fn relaunch(&self, release: Release) {
        *self.state.release.lock().unwrap_or_else(PoisonError::into_inner) = release;
    }

    /// Requests so far, refused ones included.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Connections that were opened so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Pages of orders that were answered.
    pub fn pages_served(&self) -> u64 {
        self.state.pages_served.load(Ordering::Relaxed)
    }

    /// Order `number` (from 0), as every page that holds it has it.
    pub fn order(&self, number: u64) -> Value {
        catalogue::order(number, self.state.config.bad_one_in)
    }

    /// Numbers of the orders that have a mistake.
    pub fn bad_orders(&self) -> Vec<u64> {
        let config = &self.state.config;
        (0..config.orders).filter(|number| catalogue::is_bad(*number, config.bad_one_in)).collect()
    }
}

impl Drop for ShopHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shop {
    /// Opens a shop. Every list of orders is `{"data": […], "total": …}`:
    ///
    /// * `/orders?page=1&size=50`: numbered pages;
    /// * `/orders/by-offset?offset=0&limit=50`;
    /// * `/orders/by-cursor?cursor=…`: the next cursor is at `next`;
    /// * `/orders/by-link`: the next address is in the `Link` header, and at `links.next`;
    /// * `/orders/latest`: the 20 newest, a new one with every other request, in the form of a [`Release`];
    /// * `/customers`: all of them, `{"customers": […]}`; `/customers/C-00007`: one.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(config: ShopConfig) -> std::io::Result<ShopHandle> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(ShopState {
            failures_left: Mutex::new(config.flaky.clone()),
            config,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            pages_served: AtomicU64::new(0),
            release: Mutex::new(Release::First),
            asked_for_newest: AtomicU64::new(0),
        });
        let router = pages::router(state.clone());
        let counted = state.clone();
        let listener = listener.tap_io(move |_| {
            counted.connections.fetch_add(1, Ordering::Relaxed);
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await }).await
        });
        Ok(ShopHandle { address, state, stop })
    }
}
