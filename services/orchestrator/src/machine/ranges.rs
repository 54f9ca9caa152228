use prunella_wire::records::BatchRange;

/// Adds `batch` to sorted, disjoint, non-touching ranges. Returns false when it was in them already.
pub(super) fn insert(ranges: &mut Vec<BatchRange>, batch: i64) -> bool {
    let index = ranges.partition_point(|range| range.last < batch);
    if ranges.get(index).is_some_and(|range| range.first <= batch) {
        return false;
    }
    let touches_left = index > 0 && ranges[index - 1].last + 1 == batch;
    let touches_right = ranges.get(index).is_some_and(|range| range.first == batch + 1);
    match (touches_left, touches_right) {
        (true, true) => {
            ranges[index - 1].last = ranges[index].last;
            ranges.remove(index);
        }
        (true, false) => ranges[index - 1].last = batch,
        (false, true) => ranges[index].first = batch,
        (false, false) => ranges.insert(index, BatchRange { first: batch, last: batch }),
    }
    true
}

/// Whether the ranges hold exactly the batches `0..total`.
pub(super) fn complete(ranges: &[BatchRange], total: i64) -> bool {
    match ranges {
        [] => total == 0,
        [only] => only.first == 0 && only.last + 1 == total,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(batches in prop::collection::vec(0..30i64, 0..80)) {
            let mut ranges = Vec::new();
            let mut model = BTreeSet::new();
            for batch in batches {
                prop_assert_eq!(insert(&mut ranges, batch), model.insert(batch));
                let listed: Vec<i64> = ranges.iter().flat_map(|range| range.first..=range.last).collect();
                prop_assert_eq!(&listed, &model.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
                let total = model.len() as i64;
                prop_assert_eq!(complete(&ranges, total), model.iter().copied().eq(0..total));
            }
        }
    }
}
