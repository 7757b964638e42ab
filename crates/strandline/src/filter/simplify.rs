//! Filters put together, without what decides nothing.

use strandline_format::Filter;

/// A filter that passes what all of these pass.
pub(crate) fn conjunction(parts: Vec<Filter>) -> Filter {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Filter::True => {}
            Filter::False => return Filter::False,
            Filter::And(inner) => all.extend(inner),
            part => all.push(part),
        }
    }
    single(all, Filter::True, Filter::And)
}

/// A filter that passes what one of these passes.
pub(crate) fn disjunction(parts: Vec<Filter>) -> Filter {
    let mut any = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Filter::False => {}
            Filter::True => return Filter::True,
            Filter::Or(inner) => any.extend(inner),
            part => any.push(part),
        }
    }
    single(any, Filter::False, Filter::Or)
}

fn single(mut parts: Vec<Filter>, none: Filter, several: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.len() {
        0 => none,
        1 => parts.pop().unwrap_or(none),
        _ => several(parts),
    }
}

#[cfg(test)]
mod tests {
    use strandline_format::{FieldId, Test};

    use super::*;

    fn null(id: i32) -> Filter {
        Filter::Field(FieldId(id), Test::IsNull)
    }

    #[test]
    fn constants_vanish_or_decide() {
        let check = |found, expected| assert_eq!(found, expected);
        check(conjunction(vec![]), Filter::True);
        check(disjunction(vec![]), Filter::False);
        check(conjunction(vec![Filter::True, null(1)]), null(1));
        check(disjunction(vec![Filter::False, null(1)]), null(1));
        check(conjunction(vec![null(1), Filter::False]), Filter::False);
        check(disjunction(vec![null(1), Filter::True]), Filter::True);
        check(
            conjunction(vec![Filter::And(vec![null(1), null(2)]), null(3)]),
            Filter::And(vec![null(1), null(2), null(3)]),
        );
        check(
            disjunction(vec![null(1), Filter::Or(vec![null(2), null(3)])]),
            Filter::Or(vec![null(1), null(2), null(3)]),
        );
    }
}
