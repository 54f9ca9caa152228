//! The shop's list of the newest orders, as the releases of its API show it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::catalogue;

/// A release of the shop's API: another form of the same orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// `orderId`, `createdAt` as text, `items` with `unitPriceCents`.
    First,
    /// `id`, `created` in seconds, the customer and the prices are objects.
    Second,
    /// `placed` and `paid` stand where `created` was, and tell the same moment. Prices name their unit.
    Third,
}

impl Release {
    /// Order `number` as this release shows it.
    pub fn order(self, number: u64) -> Value {
        let mut order = catalogue::order(number, 0);
        let created: Timestamp = order["createdAt"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        if self == Self::First {
            order["createdAt"] = created.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string().into();
            return order;
        }
        let line = |line: &Value| {
            let price = self.price(&line["unitPriceCents"]);
            json!({ "sku": line["sku"], "title": line["name"], "quantity": line["qty"], "price": price })
        };
        let lines: Vec<Value> = order["items"].as_array().into_iter().flatten().map(line).collect();
        let mut shown = json!({
            "id": order["orderId"],
            "state": order["status"],
            "currency": order["currency"],
            "customer": { "id": order["customerId"], "language": if number.is_multiple_of(3) { "fr" } else { "de" } },
            "lines": lines,
            "delivery": { "type": order["shipping"]["method"], "cost": self.price(&order["shipping"]["costCents"]) },
        });
        let moments: &[&str] = if self == Self::Third { &["placed", "paid"] } else { &["created"] };
        for moment in moments {
            shown[*moment] = created.as_second().into();
        }
        shown
    }

    fn price(self, cents: &Value) -> Value {
        match self {
            Self::Third => json!({ "amount": cents, "unit": "cent" }),
            _ => json!({ "cents": cents }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_tells_the_same_of_an_order() {
        let [first, second, third] = [Release::First, Release::Second, Release::Third].map(|it| it.order(7));
        assert_eq!((&first["orderId"], &second["id"]), (&third["id"], &third["id"]));
        let created: Timestamp = first["createdAt"].as_str().and_then(|text| text.parse().ok()).expect("a moment");
        assert_eq!(second["created"], created.as_second());
        assert_eq!((&third["placed"], &third["paid"]), (&second["created"], &second["created"]));
        assert_eq!(first["items"][0]["unitPriceCents"], third["lines"][0]["price"]["amount"]);
    }
}
