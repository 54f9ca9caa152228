//! Cutting a page into batches. Deterministic: the same page gives the same batches, so that after a
//! crash the batches that were sent already are recognised by their number.

use std::ops::Range;

use bytes::Bytes;

/// Ranges of items, each within the limits; an item larger than `bytes` is a batch of its own.
pub(crate) fn cut(items: &[Bytes], most_items: usize, bytes: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let full = index - start >= most_items.max(1) || (index > start && size + item.len() > bytes);
        if full {
            ranges.push(start..index);
            (start, size) = (index, 0);
        }
        size += item.len();
    }
    if start < items.len() {
        ranges.push(start..items.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn covers_every_item_once_within_the_limits(
            sizes in prop::collection::vec(0..50usize, 0..100), most_items in 1..10usize, bytes in 1..100usize,
        ) {
            let items: Vec<Bytes> = sizes.iter().map(|size| Bytes::from(vec![b'x'; *size])).collect();
            let ranges = cut(&items, most_items, bytes);
            let covered: Vec<usize> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..items.len()).collect::<Vec<_>>());
            for range in ranges {
                let size: usize = sizes[range.clone()].iter().sum();
                prop_assert!(range.len() <= most_items);
                prop_assert!(size <= bytes || range.len() == 1);
            }
        }
    }
}
