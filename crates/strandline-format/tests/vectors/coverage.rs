//! The rules of the specification against the rules of the cases.
//!
//! A rule is a paragraph that begins with its id in bold, as `format-spec/README.md` says; one that says MUST has to have a
//! case, or an exemption.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::case::{VectorFile, folder, spec_folder};

/// Ids of rules, and whether each says MUST.
type Rules = BTreeMap<String, bool>;

/// What does not fit together: rules without a case, cases and exemptions without a rule.
pub(crate) fn gaps(files: &[VectorFile]) -> Vec<String> {
    let (rules, mut gaps) = rules();
    let cases = files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)));
    let mut shown = BTreeSet::new();
    for (file, case) in cases {
        if case.rules.is_empty() {
            gaps.push(format!("  {}, case {:?}: it names no rule", file.name, case.name));
        }
        for rule in case.rules.iter().filter(|rule| !rules.contains_key(*rule)) {
            gaps.push(format!("  {}, case {:?}: there is no rule {rule}", file.name, case.name));
        }
        shown.extend(case.rules.iter().cloned());
    }
    let exempt = exemptions();
    gaps.extend(compare(&rules, &shown, &exempt));
    gaps.extend(exempt.iter().flat_map(|(rule, reason)| lost_files(rule, reason)));
    gaps
}

/// A reason that names a file of tests names one that is there.
fn lost_files(rule: &str, reason: &str) -> Vec<String> {
    let words =
        reason.split([' ', ',', ';', ':']).filter(|word| word.ends_with(".rs") || word.ends_with(".py"));
    let lost = words.filter(|word| !spec_folder().join("..").join(word).is_file());
    lost.map(|word| format!("  exemptions.json: {rule} names {word}, which is not there")).collect()
}

fn compare(rules: &Rules, shown: &BTreeSet<String>, exempt: &BTreeMap<String, String>) -> Vec<String> {
    let open =
        rules.iter().filter(|(rule, must)| **must && !shown.contains(*rule) && !exempt.contains_key(*rule));
    let mut gaps: Vec<String> =
        open.map(|(rule, _)| format!("  {rule} has neither a case nor an exemption")).collect();
    for (rule, reason) in exempt {
        if !rules.contains_key(rule) {
            gaps.push(format!("  exemptions.json: there is no rule {rule}"));
        } else if shown.contains(rule) {
            gaps.push(format!("  exemptions.json: {rule} has a case"));
        } else if rules.get(rule) == Some(&false) {
            gaps.push(format!("  exemptions.json: {rule} says no MUST"));
        } else if reason.trim().is_empty() {
            gaps.push(format!("  exemptions.json: {rule} gives no reason"));
        }
    }
    gaps
}

fn exemptions() -> BTreeMap<String, String> {
    serde_json::from_str(&fs::read_to_string(folder().join("exemptions.json")).unwrap()).unwrap()
}

/// All rules of both texts, and ids that stand twice.
fn rules() -> (Rules, Vec<String>) {
    let (mut rules, mut twice) = (Rules::new(), Vec::new());
    for name in ["spec.md", "protocol.md"] {
        let text = fs::read_to_string(spec_folder().join(name)).unwrap();
        for (id, must) in rules_of(&text) {
            if rules.insert(id.clone(), must).is_some() {
                twice.push(format!("  {name}: the rule {id} stands twice"));
            }
        }
    }
    (rules, twice)
}

fn rules_of(text: &str) -> Vec<(String, bool)> {
    let paragraphs = text.split("\n\n");
    paragraphs
        .filter_map(|paragraph| Some((rule_id(paragraph.trim_start())?, paragraph.contains("MUST"))))
        .collect()
}

/// The id of `**[ID]** `, which a rule begins with.
fn rule_id(paragraph: &str) -> Option<String> {
    let (id, _) = paragraph.strip_prefix("**[")?.split_once("]** ")?;
    let (prefix, number) = id.split_once('-')?;
    let letters = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_uppercase());
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (letters && digits).then(|| id.to_owned())
}

#[test]
fn rules_are_found_in_a_text() {
    let text = "# A\n\n**[AB-1]** A reader MUST\nread.\n\n**[AB-2]** It may not.\n\nSee **[AB-3]** MUST.\n\n**[ab-4]** MUST";
    assert_eq!(rules_of(text), [("AB-1".to_owned(), true), ("AB-2".to_owned(), false)]);
}

#[test]
fn gaps_are_found_both_ways() {
    let rules = Rules::from([("A-1".to_owned(), true), ("A-2".to_owned(), false), ("A-3".to_owned(), true)]);
    let shown = BTreeSet::from(["A-1".to_owned()]);
    let exempt = |rule: &str, reason: &str| BTreeMap::from([(rule.to_owned(), reason.to_owned())]);
    let count = |exempt: &BTreeMap<String, String>| compare(&rules, &shown, exempt).len();
    assert_eq!(count(&exempt("A-3", "shown elsewhere")), 0);
    assert_eq!(count(&BTreeMap::new()), 1, "A-3 is open");
    assert_eq!(count(&exempt("A-3", " ")), 1, "no reason");
    assert_eq!(count(&exempt("A-1", "has a case")), 2);
    assert_eq!(count(&exempt("A-2", "no MUST")), 2);
    assert_eq!(count(&exempt("A-9", "no rule")), 2);
    assert_eq!(lost_files("A-3", "shown by crates/no/such.rs; by format-spec/check/check.py: both").len(), 1);
}
