//! The cheapest assignment of rows to columns (Kuhn–Munkres with potentials, O(n²m)); rows may stay without.

/// For each row its column, if being assigned costs less than nothing.
pub(crate) fn cheapest(costs: &[Vec<f64>]) -> Vec<Option<usize>> {
    let rows = costs.len();
    let real = costs.first().map_or(0, Vec::len);
    if rows == 0 || real == 0 {
        return vec![None; rows];
    }
    // A column of its own for each row that stays without.
    let columns = real + rows;
    let cost = |row: usize, column: usize| if column < real { costs[row][column] } else { 0.0 };
    let mut row_potential = vec![0.0; rows + 1];
    let mut column_potential = vec![0.0; columns + 1];
    let mut matched = vec![0usize; columns + 1];
    for row in 1..=rows {
        matched[0] = row;
        let mut at = 0;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut used = vec![false; columns + 1];
        let mut way = vec![0usize; columns + 1];
        while matched[at] != 0 {
            used[at] = true;
            let current = matched[at];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for column in 1..=columns {
                if used[column] {
                    continue;
                }
                let reduced = cost(current - 1, column - 1) - row_potential[current] - column_potential[column];
                if reduced < least[column] {
                    least[column] = reduced;
                    way[column] = at;
                }
                if least[column] < delta {
                    delta = least[column];
                    next = column;
                }
            }
            for column in 0..=columns {
                if used[column] {
                    row_potential[matched[column]] += delta;
                    column_potential[column] -= delta;
                } else {
                    least[column] -= delta;
                }
            }
            at = next;
        }
        while at != 0 {
            let before = way[at];
            matched[at] = matched[before];
            at = before;
        }
    }
    let mut assigned = vec![None; rows];
    for column in 1..=real {
        if matched[column] > 0 && costs[matched[column] - 1][column - 1] < 0.0 {
            assigned[matched[column] - 1] = Some(column - 1);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts_not_the_first_best() {
        assert_eq!(cheapest(&[vec![-5.0, -4.0], vec![-4.0, -1.0]]), [Some(1), Some(0)]);
        assert_eq!(cheapest(&[vec![-1.0], vec![-2.0], vec![0.0]]), [None, Some(0), None]);
        assert_eq!(cheapest(&[vec![], vec![]]), [None, None]);
    }
}
