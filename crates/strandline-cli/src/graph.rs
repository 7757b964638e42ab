//! Commits of several branches in one picture: which came of which.
//!
//! Invariant: every commit comes before those that it follows. Pure: what is drawn is decided by the ids and parents that are
//! handed in. What does not belong here: where they come from (`commands/log`).

/// A commit that is to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Node<K> {
    pub(crate) id: K,
    /// What it follows, the one on its own branch first.
    pub(crate) parents: Vec<K>,
}

/// What stands to the left of a commit, and on the lines after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Before the commit's own line: where lines of descent come together.
    pub(crate) before: Vec<String>,
    pub(crate) line: String,
    /// After it: where a merge's second line leaves.
    pub(crate) after: Vec<String>,
}

/// Draws commits that are in order.
pub(crate) fn draw<K: Clone + PartialEq>(nodes: &[Node<K>]) -> Vec<Drawn> {
    let mut lanes: Vec<K> = Vec::new();
    let is_drawn = |id: &K| nodes.iter().any(|node| node.id == *id);
    nodes.iter().map(|node| one(&mut lanes, node, is_drawn)).collect()
}

fn one<K: Clone + PartialEq>(lanes: &mut Vec<K>, node: &Node<K>, is_drawn: impl Fn(&K) -> bool) -> Drawn {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let at = lanes.iter().position(|waits| *waits == node.id).unwrap_or_else(|| {
        lanes.push(node.id.clone());
        lanes.len() - 1
    });
    while let Some(other) = (at + 1..lanes.len()).find(|lane| lanes[*lane] == node.id) {
        before.push(join(lanes.len(), at, other));
        lanes.remove(other);
    }
    let line: Vec<&str> = (0..lanes.len()).map(|lane| if lane == at { "*" } else { "|" }).collect();
    let line = line.join(" ");
    match node.parents.split_first() {
        None => {
            if at + 1 < lanes.len() {
                after.push(close(lanes.len(), at));
            }
            lanes.remove(at);
        }
        Some((first, others)) => {
            lanes[at] = first.clone();
            // To what was merged and is not among them, as of a branch that is gone, no line leads.
            for parent in others.iter().filter(|parent| is_drawn(parent)) {
                after.push(leave(lanes, at, parent));
            }
        }
    }
    Drawn { before, line, after }
}

/// A row of so many upright lanes, two letters for each.
fn upright(lanes: usize) -> Vec<char> {
    let mut row = vec![' '; (2 * lanes).saturating_sub(1)];
    row.iter_mut().step_by(2).for_each(|letter| *letter = '|');
    row
}

/// Lane `from` runs into lane `to` at its left, and those at its right move up.
fn join(lanes: usize, to: usize, from: usize) -> String {
    let mut row = upright(from);
    row.resize((2 * lanes).saturating_sub(1), ' ');
    (to..from.saturating_sub(1)).for_each(|lane| row[2 * lane + 1] = '_');
    (from..lanes).for_each(|lane| row[2 * lane - 1] = '/');
    text(row)
}

/// Lane `at` ends, and those at its right move up.
fn close(lanes: usize, at: usize) -> String {
    let mut row = upright(at);
    row.resize((2 * lanes).saturating_sub(1), ' ');
    (at + 1..lanes).for_each(|lane| row[2 * lane - 1] = '/');
    text(row)
}

/// From lane `at` a line leaves for a merged parent: to the lane that waits for it, or to one at the right end.
fn leave<K: Clone + PartialEq>(lanes: &mut Vec<K>, at: usize, parent: &K) -> String {
    let to = lanes.iter().position(|waits| waits == parent).unwrap_or_else(|| {
        lanes.push(parent.clone());
        lanes.len() - 1
    });
    let mut row = upright(lanes.len());
    let (left, right, stroke) = if at < to { (at, to, '\\') } else { (to, at, '/') };
    (left..right.saturating_sub(1)).for_each(|lane| row[2 * lane + 1] = '_');
    if right > left {
        row[2 * right - 1] = stroke;
        if at < to && to == lanes.len() - 1 {
            row.truncate(2 * right);
        }
    }
    text(row)
}

fn text(row: Vec<char>) -> String {
    row.into_iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws commits given as `id: parents`.
    fn check(commits: &[(&str, &[&str])], expected: &str) {
        let node = |(id, parents): &(&str, &[&str])| Node {
            id: (*id).to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        };
        let nodes: Vec<_> = commits.iter().map(node).collect();
        let mut lines = Vec::new();
        for (drawn, node) in draw(&nodes).into_iter().zip(&nodes) {
            lines.extend(drawn.before);
            lines.push(format!("{} {}", drawn.line, node.id));
            lines.extend(drawn.after);
        }
        assert_eq!(lines.join("\n"), expected.trim_matches('\n'));
    }

    #[test]
    fn one_line_of_descent_is_one_lane() {
        check(&[("c", &["b"]), ("b", &["a"]), ("a", &[])], "* c\n* b\n* a");
    }

    #[test]
    fn branches_come_together_where_they_began() {
        check(
            &[("d", &["b"]), ("c", &["b"]), ("b", &["a"]), ("a", &[])],
            r"
* d
| * c
|/
* b
* a",
        );
    }

    #[test]
    fn three_branches_come_together() {
        check(
            &[("d", &["a"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])],
            r"
* d
| * c
| | * b
| |/
|/
* a"
            .replace("| |/\n|/", "|/ /\n|/")
            .as_str(),
        );
    }

    #[test]
    fn a_merge_has_two_lines_after_it() {
        check(
            &[("m", &["c", "b"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])],
            r"
* m
|\
* | c
| * b
|/
* a",
        );
    }

    #[test]
    fn a_line_that_ends_makes_room() {
        check(
            &[("b", &[]), ("d", &["c"]), ("c", &[])],
            r"
* b
* d
* c",
        );
    }
}
