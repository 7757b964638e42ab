//! The specification's vectors, run against this crate: the one door through which the spec tests the code.
//!
//! Invariants: every file below `format-spec/vectors` is known and every case in it is run; every rule of the
//! specification that says MUST has a case, or an exemption that says where else it is shown. What does not belong here:
//! expectations. They are data, and stand in the vectors.

#[cfg(test)]
mod case;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod json;
#[cfg(test)]
mod octets;
#[cfg(test)]
mod outcome;
#[cfg(test)]
mod topics;

use case::{Case, VectorFile};
use json::Json;
use outcome::Failure;

/// Fails with all that is wrong, not with the first of it.
fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{} {what}:\n{}\n", faults.len(), faults.join("\n"));
}

/// Why a case fails, or `None`.
fn fault(topic: topics::Topic, case: &Case) -> Option<String> {
    // A panic is a fault of this one case, which has to be named.
    let Ok(outcome) = std::panic::catch_unwind(|| topic(&case.input)) else {
        return Some("the code panicked".to_owned());
    };
    let found = match outcome {
        Ok(text) => {
            Json::parse(&text).map_err(|error| Failure::Input(format!("the topic gave no JSON: {error}")))
        }
        Err(failure) => Err(failure),
    };
    let (expected, found) = match (&case.expectation, found) {
        (_, Err(Failure::Input(why))) => return Some(format!("the input does not fit the topic: {why}")),
        (Ok(expected), Ok(found)) if *expected == found => return None,
        (Err(kind), Err(Failure::Refused(error))) if kind == error.kind().as_str() => return None,
        (expected, found) => (expected, found),
    };
    let expected = match expected {
        Ok(value) => value.to_string(),
        Err(kind) => format!("error {kind:?}"),
    };
    let found = match found {
        Ok(value) => value.to_string(),
        Err(failure) => failure.to_string(),
    };
    Some(format!("expected {expected}\n       found    {found}"))
}

fn faults(file: &VectorFile) -> Vec<String> {
    let Some(topic) = topics::find(&file.topic) else {
        return vec![format!("  {}: the topic {:?} is not known here", file.name, file.topic)];
    };
    let fault =
        |case: &Case| Some(format!("  {}, case {:?}:\n       {}", file.name, case.name, fault(topic, case)?));
    file.cases.iter().filter_map(fault).collect()
}

#[test]
fn every_case_holds() {
    let (files, mut all) = case::load_all();
    all.extend(files.iter().flat_map(faults));
    assert_none("faults in the vectors", &all);
}

#[test]
fn every_topic_has_a_file_and_is_described() {
    let (files, _) = case::load_all();
    let readme = std::fs::read_to_string(case::folder().join("README.md")).unwrap();
    let complete =
        |name: &str| files.iter().any(|file| file.topic == name) && readme.contains(&format!("`{name}`"));
    let without = topics::TOPICS.iter().filter(|(name, _)| !complete(name));
    let without: Vec<String> = without.map(|(name, _)| format!("  {name}")).collect();
    assert_none("topics without a file or a line in its README", &without);
}

#[test]
fn every_must_has_a_case_or_an_exemption() {
    let (files, _) = case::load_all();
    assert_none("gaps between the specification and its vectors", &coverage::gaps(&files));
}

/// The runner itself must be able to fail.
#[test]
fn a_wrong_expectation_is_a_fault() {
    let run = |text: &str| fault(topics::find("types").unwrap(), &Case::parse(text).unwrap());
    let wrong = |text: &str, part: &str| {
        let fault = run(text).unwrap_or_else(|| panic!("{text} passes"));
        assert!(fault.contains(part), "{fault}");
    };
    assert_eq!(run(r#"{"name":"a","rules":[],"input":"int","expect":"int"}"#), None);
    assert_eq!(run(r#"{"name":"a","rules":[],"input":"INT","error":"unsupported"}"#), None);
    wrong(r#"{"name":"a","rules":[],"input":"int","expect":"long"}"#, r#"found    "int""#);
    wrong(r#"{"name":"a","rules":[],"input":"int","error":"malformed"}"#, r#"expected error "malformed""#);
    wrong(r#"{"name":"a","rules":[],"input":"INT","error":"invalid"}"#, "found    unsupported");
    wrong(r#"{"name":"a","rules":[],"input":7,"error":"malformed"}"#, "does not fit the topic");
    for text in [
        r#"{"name":"a","rules":[],"input":1}"#,
        r#"{"name":"a","rules":[],"input":1,"expect":1,"error":"malformed"}"#,
        r#"{"name":"a","rules":[],"input":1,"error":"odd"}"#,
        r#"{"name":"a","rules":[],"input":1,"expect":1,"more":1}"#,
    ] {
        assert!(Case::parse(text).is_err(), "{text}");
    }
}
