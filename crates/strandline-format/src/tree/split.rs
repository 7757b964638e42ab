//! How items are spread over nodes.

/// Cuts items into runs of at most about `limit` weight each, but of at least `least` items, so that however heavy single
/// items are, a level of a tree has fewer nodes than the one below.
///
/// With `fill`, every run but the last is as full as it can be, as suits keys that only grow; else the runs are about equal.
pub(super) fn split<T>(
    items: Vec<T>,
    weigh: impl Fn(&T) -> usize,
    limit: usize,
    least: usize,
    fill: bool,
) -> Vec<Vec<T>> {
    let total: usize = items.iter().map(&weigh).sum();
    let runs = total.div_ceil(limit).max(1);
    let target = if fill { limit } else { total.div_ceil(runs) };
    let mut out: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        let weight = weigh(&item);
        let over = if fill { filled + weight > target } else { filled >= target };
        match out.last_mut() {
            Some(run) if !over || run.len() < least => run.push(item),
            _ => {
                out.push(vec![item]);
                filled = 0;
            }
        }
        filled += weight;
    }
    join_short_tail(&mut out, least);
    out
}

/// The last run may have come out too short: then it goes to the one before.
fn join_short_tail<T>(runs: &mut Vec<Vec<T>>, least: usize) {
    if runs.len() > 1
        && let Some(tail) = runs.pop_if(|tail| tail.len() < least)
        && let Some(before) = runs.last_mut()
    {
        before.extend(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, limit: usize, fill: bool, expected: &[usize]) {
        check_least(count, limit, 1, fill, expected);
    }

    fn check_least(count: usize, limit: usize, least: usize, fill: bool, expected: &[usize]) {
        let lengths: Vec<usize> =
            split((0..count).collect(), |_| 10, limit, least, fill).iter().map(Vec::len).collect();
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

    #[test]
    fn heavy_items_still_share_nodes() {
        check_least(7, 5, 2, true, &[2, 2, 3]);
        check_least(7, 5, 2, false, &[2, 2, 3]);
        check_least(1, 5, 2, true, &[1]);
        check_least(2, 5, 2, false, &[2]);
    }
}
