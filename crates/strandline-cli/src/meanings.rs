//! What else a name of a branch or tag may mean: who gives it hears what it means from here on.
//!
//! Invariant: which reading of a word counts is the SDK's to say, which is asked for each. What does not belong here: hashes, which nobody is
//! told of in so few digits, and whose search takes a whole history.

use strandline::format::{Base, Reference, Word};
use strandline::{Lake, Ref};

use crate::context::Context;

/// Says what a name that was just given hides, or what hides it. Requests: one for each of the things that it could be.
pub(crate) async fn tell(context: &Context, lake: &Lake, name: &str) {
    let mut found = Vec::new();
    for reading in readings(name) {
        // What cannot be read is no reason to say anything.
        if let Ok(at) = lake.at(Reference::new(reading.clone(), Vec::new())).await {
            found.push((reading, at));
        }
    }
    for note in hidden(name, &found) {
        context.out.note(note);
    }
}

fn readings(name: &str) -> Vec<Base> {
    let mut readings = Word::new(name).map(|word| word.readings()).unwrap_or_default();
    readings.retain(|reading| !matches!(reading, Base::Commit(_)));
    readings
}

/// What is said of all readings but the first, which counts.
fn hidden(name: &str, found: &[(Base, Ref)]) -> Vec<String> {
    let Some(((first, at), others)) = found.split_first() else { return Vec::new() };
    // A tag stays what it is.
    let is_same = |other: &Ref| matches!(first, Base::Tag(_)) && other.commit().hash() == at.commit().hash();
    let others = others.iter().filter(|(_, other)| !is_same(other));
    others.map(|(other, _)| told(name, first, other)).collect()
}

fn told(name: &str, first: &Base, other: &Base) -> String {
    format!("{name} means the {}; the {} is {other}", kind(first), kind(other))
}

fn kind(base: &Base) -> &'static str {
    match base {
        Base::Branch(_) => "branch",
        Base::Tag(_) => "tag",
        Base::Version(_) => "version",
        Base::Time(_) => "version of that time",
        Base::Commit(_) | Base::Word(_) => "commit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_hides_is_told_by_how_it_is_reached() {
        let check = |name: &str, expected: &[&str]| {
            let readings = readings(name);
            let told: Vec<_> = readings[1..].iter().map(|other| told(name, &readings[0], other)).collect();
            assert_eq!(told, expected);
        };
        check("main", &["main means the branch; the tag is tag:main"]);
        check(
            "v3",
            &["v3 means the branch; the tag is tag:v3", "v3 means the branch; the version is version:3"],
        );
        check("abcdef", &["abcdef means the branch; the tag is tag:abcdef"]);
    }
}
