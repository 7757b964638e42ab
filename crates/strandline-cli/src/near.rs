//! Offering the nearest name for one that does not exist, where the SDK has not done it already.

/// How similar a name must be, of 0 to 1.
const SIMILAR: f64 = 0.7;

/// The end of a message: `, did you mean "a"?`, or nothing.
pub(crate) fn offer<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(wanted, names).map(|name| format!(", did you mean {name:?}?")).unwrap_or_default()
}

/// The name that is nearest to one that does not exist, if one is near.
pub(crate) fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (similarity(name, wanted), name));
    let near = scored.filter(|(score, _)| *score >= SIMILAR);
    near.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name)
}

/// By the letters that two names have in common; a slip of one letter is always near, in short names too.
fn similarity(name: &str, wanted: &str) -> f64 {
    let slip = wanted.chars().count() > 2 && strsim::damerau_levenshtein(name, wanted) == 1;
    strsim::jaro_winkler(name, wanted).max(if slip { SIMILAR } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_names_are_not() {
        let check = |wanted, expected| {
            assert_eq!(nearest(wanted, ["main", "dev", "sales.orders", "v1"]), expected, "{wanted}");
        };
        check("mian", Some("main"));
        check("dve", Some("dev"));
        check("de", Some("dev"));
        check("sales.ordres", Some("sales.orders"));
        check("nobody", None);
        check("x", None);
    }
}
