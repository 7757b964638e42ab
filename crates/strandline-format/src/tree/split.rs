//! How items are spread over nodes.

/// Cuts items into runs of at most about `limit` weight each.
///
/// With `fill`, every run but the last is as full as it can be, as suits keys that only grow; else the runs are about equal.
pub(super) fn split<T>(items: Vec<T>, weigh: impl Fn(&T) -> usize, limit: usize, fill: bool) -> Vec<Vec<T>> {
    let total: usize = items.iter().map(&weigh).sum();
    let runs = total.div_ceil(limit).max(1);
    let target = if fill { limit } else { total.div_ceil(runs) };
    let mut out: Vec<Vec<T>> = vec![Vec::new()];
    let mut filled = 0;
    for item in items {
        let weight = weigh(&item);
        let over = if fill { filled + weight > target } else { filled >= target };
        if over && filled > 0 {
            out.push(Vec::new());
            filled = 0;
        }
        filled += weight;
        if let Some(run) = out.last_mut() {
            run.push(item);
        }
    }
    out.retain(|run| !run.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, limit: usize, fill: bool, expected: &[usize]) {
        let lengths: Vec<usize> =
            split((0..count).collect(), |_| 10, limit, fill).iter().map(Vec::len).collect();
        assert_eq!(lengths, expected, "{count} items of 10 into {limit}");
    }

    #[test]
    fn runs_are_full_or_equal() {
        check(0, 30, true, &[]);
        check(3, 30, true, &[3]);
        check(4, 30, true, &[3, 1]);
        check(4, 30, false, &[2, 2]);
        check(7, 30, false, &[3, 3, 1]);
        check(3, 5, true, &[1, 1, 1]);
    }
}
