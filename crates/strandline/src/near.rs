//! Offering the nearest names for one that does not exist.

use std::fmt::Display;

use strandline_format::NameKey;

use crate::error::{Error, ErrorKind};

/// How many names are offered.
const OFFERS: usize = 3;

/// How similar a name must be, of 0 to 1.
const SIMILAR: f64 = 0.7;

/// A name of so few letters is in half of all others.
const FEW: usize = 2;

/// The names nearest to one that does not exist, the nearest first.
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let key = NameKey::of(wanted);
    let score = |name: &str| similarity(NameKey::of(name).as_str(), key.as_str());
    let mut scored: Vec<(f64, &str)> = names.into_iter().map(|name| (score(name), name)).collect();
    scored.retain(|(score, _)| *score >= SIMILAR);
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    scored.into_iter().take(OFFERS).map(|(_, name)| name.to_owned()).collect()
}

/// By the letters that two names have in common; a slip of one letter is always near, in short names too, which are near to no long ones.
fn similarity(name: &str, wanted: &str) -> f64 {
    let lengths = [name, wanted].map(|name| name.chars().count());
    let (shorter, longer) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
    if shorter <= FEW && longer > 2 * shorter {
        return 0.0;
    }
    let slip = wanted.chars().count() > 2 && strsim::damerau_levenshtein(name, wanted) == 1;
    strsim::jaro_winkler(name, wanted).max(if slip { SIMILAR } else { 0.0 })
}

/// The end of a message: `, did you mean "a" or "b"?`, or nothing.
pub fn offer(near: &[String]) -> String {
    let quoted: Vec<String> = near.iter().map(|name| quoted(name)).collect();
    if quoted.is_empty() { String::new() } else { format!(", did you mean {}?", quoted.join(" or ")) }
}

/// A name in quotes as SQL has it, so that it can be copied; what is no letter at all is shown.
fn quoted(name: &str) -> String {
    let shown = |letter: char| match letter {
        '"' => "\"\"".to_owned(),
        control if control.is_control() => control.escape_default().to_string(),
        letter => letter.to_string(),
    };
    format!("\"{}\"", name.chars().map(shown).collect::<String>())
}

/// The end of a message that offers the nearest of these names for one that does not exist.
pub fn offer_of<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    offer(&nearest(wanted, names))
}

/// What was named is not there; the nearest of the names that are is offered.
pub(crate) fn not_there<'n>(
    what: impl Display,
    wanted: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}{}", offer_of(wanted, names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let names = ["sales.orders", "sales.order_items", "people"];
        assert_eq!(nearest("sales.ordres", names), ["sales.orders", "sales.order_items"]);
        assert_eq!(offer(&nearest("Orders", ["orders"])), ", did you mean \"orders\"?");
        assert_eq!(offer(&nearest("zzz", names)), "");
        assert_eq!(offer_of("\\timng", ["\\timing"]), ", did you mean \"\\timing\"?");
        assert_eq!(offer_of("a\"bc\n", ["a\"bcd\n"]), ", did you mean \"a\"\"bcd\\n\"?");
        assert_eq!(nearest("dve", ["dev", "main"]), ["dev"]);
        assert_eq!(nearest("de", ["dev", "main"]), ["dev"]);
        for (wanted, names) in [("x", ["dev", "v1"]), ("nosuch", ["o", "s"]), ("sch", ["s", "h"])] {
            assert!(nearest(wanted, names).is_empty(), "{wanted}");
        }
    }
}
