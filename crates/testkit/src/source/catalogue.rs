//! The goods of the sample shop: the same number is the same order, always.

use serde_json::{Value, json};

const FIRST_NAMES: [&str; 8] = ["Anna", "Bert", "Clara", "Élise", "Gül", "Jürgen", "Łukasz", "Kim"];
const LAST_NAMES: [&str; 7] = ["Meier", "O'Neil", "Nowak", "Øster", "Rossi", "Yılmaz", "van Dijk"];
const THINGS: [&str; 6] = ["Desk lamp", "Notebook A5", "Tea pot \"Kyoto\"", "Rain jacket", "USB-C cable", "Wall clock"];
const CITIES: [&str; 5] = ["Berlin", "Wien", "Zürich", "Paris", "Kraków"];
const STATES: [&str; 3] = ["paid", "packed", "shipped"];

/// A scrambled number: neighbours look unrelated, and it is the same on every machine.
fn scramble(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn pick<T: Copy>(values: &[T], number: u64) -> T {
    values[(number % values.len() as u64) as usize]
}

/// Customers are few, so that many orders share one.
const CUSTOMERS: u64 = 40;

pub fn customer(number: u64) -> Value {
    let x = scramble(number ^ 0x00c0_ffee);
    let (first, last) = (pick(&FIRST_NAMES, x), pick(&LAST_NAMES, x >> 8));
    json!({
        "id": format!("C-{number:05}"),
        "firstName": first,
        "lastName": last,
        "email": format!("User.{number}@Example.com"),
        "city": pick(&CITIES, x >> 16),
        "vip": x.is_multiple_of(5),
    })
}

/// Whether the shop hands out order `number` with a mistake, when one in `one_in` orders has one.
pub fn is_bad(number: u64, one_in: u64) -> bool {
    one_in > 0 && scramble(number ^ 0xbad).is_multiple_of(one_in)
}

/// An order of about 1 KB. A bad one has a quantity below zero in its first line.
pub fn order(number: u64, bad_one_in: u64) -> Value {
    let x = scramble(number);
    let lines: Vec<Value> = (0..3 + x % 4)
        .map(|line| {
            let y = scramble(x ^ line);
            json!({
                "sku": format!("{}-{:05}", pick(&["HOME", "OFFC", "ELEC", "SPRT"], y), y % 100_000),
                "name": pick(&THINGS, y >> 8),
                "qty": 1 + (y >> 16) % 5,
                "unitPriceCents": 99 + (y >> 24) % 19_900,
                "weightGrams": 50 + (y >> 32) % 4000,
                "note": "handle with care, keep dry, this side up",
            })
        })
        .collect();
    let mut order = json!({
        "orderId": format!("ORD-{number:07}"),
        "createdAt": format!("2026-{:02}-{:02}T{:02}:{:02}:00Z", 1 + x % 12, 1 + (x >> 8) % 28, (x >> 16) % 24, (x >> 24) % 60),
        "status": pick(&STATES, x >> 12),
        "currency": pick(&["EUR", "CHF", "PLN"], x >> 20),
        "customerId": format!("C-{:05}", x % CUSTOMERS),
        "items": lines,
        "shipping": { "method": pick(&["standard", "express"], x >> 28), "costCents": pick(&[0, 390, 590], x >> 30) },
        "notes": "please ring twice and leave the parcel at the blue gate",
    });
    if is_bad(number, bad_one_in) {
        order["items"][0]["qty"] = json!(-1);
    }
    order
}

/// Numbers of all customers.
pub(crate) fn customers() -> std::ops::Range<u64> {
    0..CUSTOMERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_is_the_same_order() {
        assert_eq!(order(7, 50), order(7, 50));
        let bad: Vec<u64> = (0..1000).filter(|number| is_bad(*number, 50)).collect();
        assert!((5..60).contains(&bad.len()), "{}", bad.len());
        assert_eq!(order(bad[0], 50)["items"][0]["qty"], json!(-1));
    }

    #[test]
    fn an_order_has_about_a_kilobyte() {
        let bytes: usize = (0..1000).map(|number| order(number, 0).to_string().len()).sum();
        assert!((800..1300).contains(&(bytes / 1000)), "{}", bytes / 1000);
    }
}
