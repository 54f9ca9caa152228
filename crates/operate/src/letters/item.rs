use prunella_model::{Attempt, BatchNumber, ItemId};

/// Reads `run/step/attempt/batch/item`.
pub(crate) fn item_id(text: &str) -> Option<ItemId> {
    let mut parts = text.split('/');
    let id = ItemId {
        run: parts.next()?.parse().ok()?,
        step: parts.next()?.parse().ok()?,
        attempt: Attempt(parts.next()?.parse().ok()?),
        batch: BatchNumber(parts.next()?.parse().ok()?),
        item: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_id_is_read_as_it_is_written() {
        let text = "020729f3f6871b0b93e417e78aaef269/orders/1/7/42";
        assert_eq!(item_id(text).expect("an id").to_string(), text);
        for wrong in ["", "x/orders/1/7/42", "020729f3f6871b0b93e417e78aaef269/orders/1/7", &format!("{text}/1")] {
            assert!(item_id(wrong).is_none(), "{wrong}");
        }
    }
}
