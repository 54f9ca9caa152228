//! What is asked of the pipeline while things go wrong, and what has to come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use prunella_testkit::harness::{Installation, block_on};
use prunella_testkit::source::{Shop, ShopConfig, ShopHandle, is_bad};
use serde_json::json;

/// Two steps that ask nothing of the world.
pub(crate) const CHAIN: &str = r#"
workflow: chain
trigger: {}
deadline: 15m
steps:
  - id: double
    extract: { inline: { n: "{{ trigger.n }}" } }
    transform: '{ "n": n, "twice": n * 2 }'
    schema: { type: object, required: [n, twice], properties: { twice: { type: integer } } }
  - id: again
    needs: [double]
    extract: { inline: { n: "{{ steps.double.n }}" } }
    transform: '{ "n": n, "twice": n * 2 }'
    schema: { type: object, required: [n, twice] }
output: { from: again, key: $string(n) }
"#;

/// Pages of a source, some items of which are not valid.
pub(crate) const ORDERS: &str = r##"
workflow: orders
trigger: {}
deadline: 15m
steps:
  - id: fetch
    extract:
      http:
        url: "{{ trigger.shop }}/orders/by-cursor"
        pagination: { cursor: { path: next, param: cursor } }
        retry: { attempts: 8, backoff: 100ms, max-backoff: 1s }
      items: data
    transform: '{ "id": orderId, "lines": [items.{ "sku": sku, "quantity": qty }] }'
    schema:
      type: object
      required: [id, lines]
      properties:
        id: { type: string, pattern: "^ORD-[0-9]{7}$" }
        lines: { type: array, items: { properties: { quantity: { type: integer, minimum: 1 } } } }
output: { from: fetch, key: id }
"##;

pub(crate) fn stream(input: &str) -> String {
    format!(
        "kind: stream\nstream: ticks\ninput: {{ topic: {input} }}\n\
         transform: '{{ \"key\": key, \"n\": n, \"twice\": n * 2 }}'\n\
         schema: {{ type: object, properties: {{ n: {{ type: integer, minimum: 0 }} }} }}\n"
    )
}

pub(crate) const ORDERS_PER_RUN: u64 = 60;
pub(crate) const BAD_ONE_IN: u64 = 10;
pub(crate) const KEYS: u64 = 7;

/// Records of the stream with this number are not valid.
pub(crate) fn is_bad_tick(n: u64) -> bool {
    n % 23 == 5
}

pub(crate) fn good_and_bad_orders() -> (BTreeSet<u64>, BTreeSet<u64>) {
    (0..ORDERS_PER_RUN).partition(|number| !is_bad(*number, BAD_ONE_IN))
}

/// What Kafka has confirmed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    /// Runs of `chain`, with the idempotency keys `0…`.
    pub(crate) chain: u64,
    /// Runs of `orders`, likewise.
    pub(crate) orders: u64,
    /// Records of the stream, `n` from 0, with the key `n % KEYS`.
    pub(crate) ticks: u64,
}

impl Sent {
    /// Numbers by key, in the order they were sent.
    pub(crate) fn good_ticks(&self) -> BTreeMap<String, Vec<u64>> {
        let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for n in (0..self.ticks).filter(|n| !is_bad_tick(*n)) {
            by_key.entry((n % KEYS).to_string()).or_default().push(n);
        }
        by_key
    }
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    counts: [Arc<AtomicU64>; 3],
    _shop: ShopHandle,
}

impl Load {
    pub(crate) fn start(installation: &Arc<Installation>, input: &str) -> Self {
        let shop = block_on(Shop::start(ShopConfig {
            orders: ORDERS_PER_RUN,
            page_size: 15,
            bad_one_in: BAD_ONE_IN,
            latency: Duration::from_millis(20),
            ..ShopConfig::default()
        }));
        let shop = shop.expect("a shop");
        let base = shop.base_url();
        let stop = Arc::new(AtomicBool::new(false));
        let counts: [Arc<AtomicU64>; 3] = Default::default();
        let mut threads = Vec::new();
        let mut repeat = |count: &Arc<AtomicU64>, pause: Duration, send: Box<dyn Fn(u64) + Send>| {
            let (stop, count) = (stop.clone(), count.clone());
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    send(count.load(Ordering::Relaxed));
                    count.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(pause);
                }
            }));
        };
        let trigger = |workflow: &str, payload: Box<dyn Fn(u64) -> String + Send>| -> Box<dyn Fn(u64) + Send> {
            let (installation, topic) =
                (installation.clone(), installation.topic(&format!("trigger.default.{workflow}")));
            Box::new(move |n| {
                let key = n.to_string();
                let headers = [("idempotency-key", key.as_bytes())];
                installation.kafka().produce(&topic, Some(key.as_bytes()), Some(payload(n).as_bytes()), &headers);
            })
        };
        repeat(&counts[0], Duration::from_millis(40), trigger("chain", Box::new(|n| json!({ "n": n }).to_string())));
        let payload = move |_| json!({ "shop": base }).to_string();
        repeat(&counts[1], Duration::from_millis(700), trigger("orders", Box::new(payload)));
        let (ticks, input) = (installation.clone(), input.to_owned());
        let tick = move |n: u64| {
            let value = if is_bad_tick(n) { json!(-1) } else { json!(n) };
            let key = (n % KEYS).to_string();
            let payload = json!({ "key": key, "n": value, "number": n }).to_string();
            ticks.kafka().produce(&input, Some(key.as_bytes()), Some(payload.as_bytes()), &[]);
        };
        repeat(&counts[2], Duration::from_millis(15), Box::new(tick));
        Self { stop, threads, counts, _shop: shop }
    }

    /// Stops asking; what was asked for is still to be done, so the shop stays open.
    pub(crate) fn end(&mut self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("records are accepted");
        }
        let [chain, orders, ticks] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Sent { chain, orders, ticks }
    }
}
