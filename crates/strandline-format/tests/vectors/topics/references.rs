//! The grammar of references and of ranges.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use strandline_format::{Base, Reference, ReferenceRange, Suffix};

use crate::outcome::{Outcome, json as outcome, read};

/// A text to `{"base", "suffixes"}`, where a word has all its readings in order; one with `..` to a pair of these.
pub(crate) fn reference(input: &RawValue) -> Outcome {
    let text: String = read(input)?;
    if text.contains("..") {
        let range: ReferenceRange = text.parse()?;
        return outcome([show(&range.from), show(&range.to)]);
    }
    let reference: Reference = text.parse()?;
    if reference.to_string().parse::<Reference>()? != reference {
        return outcome(format!("printed as {reference} it is another"));
    }
    outcome(show(&reference))
}

fn show(reference: &Reference) -> Value {
    let suffixes: Vec<Value> = reference.suffixes().iter().map(show_suffix).collect();
    json!({ "base": show_base(reference.base()), "suffixes": suffixes })
}

fn show_base(base: &Base) -> Value {
    match base {
        Base::Word(word) => json!({ "word": word.readings().iter().map(show_base).collect::<Vec<_>>() }),
        Base::Branch(name) => json!({ "branch": name.as_str() }),
        Base::Tag(name) => json!({ "tag": name.as_str() }),
        Base::Version(version) => json!({ "version": version.0 }),
        Base::Commit(prefix) => json!({ "commit": prefix.as_str() }),
        Base::Time(time) => json!({ "time": time.to_string() }),
    }
}

fn show_suffix(suffix: &Suffix) -> Value {
    match suffix {
        Suffix::Parent(steps) => json!({ "parent": steps }),
        Suffix::AtVersion(version) => json!({ "version": version.0 }),
        Suffix::AtTime(time) => json!({ "time": time.to_string() }),
    }
}
