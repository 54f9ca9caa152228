//! Deterministic order documents of about 1.2 KB with four to eight items: the same bytes on every machine.

use serde::Serialize;

use crate::random::Random;

const FIRST_NAMES: [&str; 12] =
    ["Anna", "Bert", "Clara", "David", "Élise", "Frank", "Gül", "Hanna", "Ivan", "Jürgen", "Kim", "Łukasz"];
const LAST_NAMES: [&str; 10] =
    ["Meier", "Schmidt", "O'Neil", "Garcia", "Nowak", "Øster", "Rossi", "Yılmaz", "van Dijk", "Weber"];
const CITIES: [(&str, &str); 6] =
    [("Berlin", "DE"), ("Wien", "AT"), ("Zürich", "CH"), ("Paris", "FR"), ("Milano", "IT"), ("Kraków", "PL")];
const STREETS: [&str; 6] = ["Hauptstrasse", "Bahnhofstrasse", "Rue de Rivoli", "Via Roma", "Lindenallee", "Ringweg"];
const THINGS: [&str; 10] = [
    "Coffee grinder",
    "Desk lamp",
    "Notebook A5",
    "USB-C cable 2m",
    "Water bottle",
    "Rain jacket",
    "Running shoes",
    "Tea pot \"Kyoto\"",
    "Garden hose",
    "Wall clock",
];
const CATEGORIES: [&str; 5] = ["HOME", "OFFC", "ELEC", "SPRT", "GARD"];
const TAGS: [&str; 5] = ["new", "sale", "eco", "gift", "bulky"];
const NOTES: [&str; 5] = [
    "please ring twice",
    "leave at the neighbour",
    "call before delivery",
    "no signature needed",
    "back door, blue gate",
];
const SEED: u64 = 20_261_121;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
    created_at: String,
    channel: &'static str,
    status: &'static str,
    currency: &'static str,
    customer: Customer,
    items: Vec<Item>,
    shipping: Shipping,
    gift: bool,
    gift_message: String,
    notes: String,
    meta: Meta,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Customer {
    id: String,
    first_name: &'static str,
    last_name: &'static str,
    email: String,
    vip: bool,
    address: Address,
}

#[derive(Serialize)]
struct Address {
    street: String,
    zip: String,
    city: &'static str,
    country: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    sku: String,
    name: &'static str,
    qty: u64,
    unit_price_cents: u64,
    weight_grams: u64,
    tags: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shipping {
    method: &'static str,
    carrier: &'static str,
    cost_cents: u64,
}

#[derive(Serialize)]
struct Meta {
    source: &'static str,
    trace: String,
    attempt: u64,
}

/// One document as it stands in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// `ORD-` and the number in seven digits: the key of its record.
    pub(crate) key: String,
    /// JSON text.
    pub(crate) value: Vec<u8>,
}

/// The documents from number 0 on, without end.
pub(crate) struct Documents {
    random: Random,
    number: u64,
}

impl Documents {
    pub(crate) fn new() -> Self {
        Self { random: Random::new(SEED), number: 0 }
    }

    /// Fields draw their numbers in the order in which they are written here: another order is another document.
    fn order(&mut self) -> Order {
        let number = self.number;
        self.number += 1;
        let r = &mut self.random;
        let (city, country) = r.pick(&CITIES);
        let items = (0..4 + r.below(5)).map(|_| item(r)).collect();
        Order {
            order_id: order_id(number),
            created_at: format!(
                "2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                1 + r.below(12),
                1 + r.below(28),
                r.below(24),
                r.below(60),
                r.below(60),
                r.below(1000)
            ),
            channel: r.pick(&["web", "app", "store", "phone"]),
            status: r.pick(&["paid", "pending", "packed"]),
            currency: r.pick(&["EUR", "CHF", "PLN"]),
            customer: Customer {
                id: format!("C-{:06}", r.below(1_000_000)),
                first_name: r.pick(&FIRST_NAMES),
                last_name: r.pick(&LAST_NAMES),
                email: format!("User.{}@Example.com", r.below(1_000_000)),
                vip: r.below(4) == 0,
                address: Address {
                    street: format!("{} {}", r.pick(&STREETS), 1 + r.below(200)),
                    zip: format!("{:05}", r.below(100_000)),
                    city,
                    country,
                },
            },
            items,
            shipping: Shipping {
                method: r.pick(&["standard", "express"]),
                carrier: r.pick(&["DHL", "UPS", "POST"]),
                cost_cents: r.pick(&[0, 390, 590, 1290]),
            },
            gift: r.below(5) == 0,
            gift_message: format!("Happy birthday {}!", r.pick(&FIRST_NAMES)),
            notes: (0..1 + r.below(3)).map(|_| r.pick(&NOTES)).collect::<Vec<_>>().join(" / "),
            meta: Meta {
                source: "gen",
                trace: (0..4).map(|_| format!("{:08x}", r.below(1 << 31))).collect(),
                attempt: 1 + r.below(3),
            },
        }
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for Documents {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        let order = self.order();
        let value = serde_json::to_vec(&order).ok()?;
        Some(Document { key: order.order_id, value })
    }
}

/// The key of document `number`.
pub(crate) fn order_id(number: u64) -> String {
    format!("ORD-{number:07}")
}

/// The number in a key.
pub(crate) fn order_number(key: &[u8]) -> Option<u64> {
    std::str::from_utf8(key).ok()?.strip_prefix("ORD-")?.parse().ok()
}

fn item(r: &mut Random) -> Item {
    Item {
        sku: format!("{}-{:05}", r.pick(&CATEGORIES), r.below(100_000)),
        name: r.pick(&THINGS),
        qty: 1 + r.below(5),
        unit_price_cents: 99 + r.below(19_900),
        weight_grams: 50 + r.below(4000),
        tags: (0..r.below(3)).map(|_| r.pick(&TAGS)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_documents_are_those_of_the_sample_byte_by_byte() {
        let sample = include_str!("../../../benches/stream/input-sample.jsonl");
        assert_eq!(sample.lines().count(), 20);
        for (line, document) in sample.lines().zip(Documents::new()) {
            assert_eq!(String::from_utf8_lossy(&document.value), line);
        }
    }

    #[test]
    fn keys_and_numbers_belong_together() {
        let document = Documents::new().nth(7).expect("documents have no end");
        assert_eq!(document.key, "ORD-0000007");
        assert_eq!(order_number(document.key.as_bytes()), Some(7));
        assert_eq!(order_number(b"ORD-x"), None);
    }
}
