//! References, as they read from where one stands.
//!
//! There is one grammar of references, the format's, and a version or a time in it that names no branch is of the default branch.
//! Whoever stands at another branch, at a tag or at a version means that one's instead: `v42` and `VERSION AS OF 42` are the same
//! everywhere. Invariant: names of branches and tags, hashes, and everything that says its branch mean the same from everywhere.
//! What does not belong here: looking versions up, which is the SDK's.

use strandline::format::{Base, RefName, Reference, ReferenceTime, Seq, Suffix, Word};
use strandline::{Error, ErrorKind, Lake, Ref, Result};

use crate::catalog::At;
use crate::heads::Heads;

/// The reference that leads to where one stands now.
pub(crate) fn of(at: &At) -> Reference {
    let on = |branch: &RefName, version| {
        Reference::new(Base::Branch(branch.clone()), vec![Suffix::AtVersion(version)])
    };
    match at {
        At::Branch(branch) => Reference::new(Base::Branch(branch.clone()), Vec::new()),
        At::Ref(at) => match at.tag() {
            Some(tag) => Reference::new(Base::Tag(tag.clone()), Vec::new()),
            None => on(at.branch(), at.version()),
        },
        // A transaction sees nothing that was committed after it began.
        At::Transaction(transaction) => on(transaction.branch(), transaction.start().version()),
    }
}

/// Refuses a version that is above the one where one stands. Where that moves with a branch, whoever looks the version up knows.
///
/// # Errors
/// `NotFound`.
pub(crate) fn check_version(at: &At, version: Seq) -> Result<()> {
    let (branch, last) = match at {
        At::Branch(_) => return Ok(()),
        At::Ref(at) => (at.branch(), at.version()),
        At::Transaction(transaction) => (transaction.branch(), transaction.start().version()),
    };
    if version <= last {
        return Ok(());
    }
    let message =
        format!("there is no version {version} here: this is version {last} of {:?}", branch.as_str());
    Err(Error::new(ErrorKind::NotFound, message))
}

/// A version of the line that one stands at.
pub(crate) fn at_version(at: &At, version: Seq) -> Reference {
    stepped(&of(at), Suffix::AtVersion(version))
}

/// What was the newest version at a time, of the line that one stands at.
pub(crate) fn at_time(at: &At, time: ReferenceTime) -> Reference {
    stepped(&of(at), Suffix::AtTime(time))
}

fn stepped(from: &Reference, step: Suffix) -> Reference {
    with_suffixes(from, &[step])
}

fn with_suffixes(from: &Reference, more: &[Suffix]) -> Reference {
    Reference::new(from.base().clone(), [from.suffixes(), more].concat())
}

/// The version that a text names from where one stands, in a statement as it has seen refs before.
///
/// Requests: those of [`Lake::at`], and where one does not stand at the default branch, for a word that could be a version or a
/// time one for each of its other readings.
///
/// # Errors
/// As [`Lake::at`].
pub(crate) async fn find(lake: &Lake, at: &At, heads: Option<&Heads>, text: &str) -> Result<Ref> {
    let reference: Reference = text.parse().map_err(Error::from)?;
    if matches!(at, At::Branch(branch) if branch == lake.default_branch()) {
        return looked_up(lake, heads, reference).await;
    }
    match from_here(at, &reference) {
        Reading::One(reference) => looked_up(lake, heads, reference).await,
        Reading::FirstOf(readings) => first_of(lake, heads, text, readings).await,
    }
}

async fn looked_up(lake: &Lake, heads: Option<&Heads>, reference: Reference) -> Result<Ref> {
    match heads {
        Some(heads) => heads.at(lake, reference).await,
        None => lake.at(reference).await,
    }
}

/// How a reference reads from somewhere else than the default branch.
enum Reading {
    One(Reference),
    /// The first that exists.
    FirstOf(Vec<Reference>),
}

fn from_here(at: &At, reference: &Reference) -> Reading {
    match reference.base() {
        Base::Word(word) => word_from_here(at, word, reference),
        base => Reading::One(based_here(at, base.clone(), reference.suffixes())),
    }
}

fn word_from_here(at: &At, word: &Word, reference: &Reference) -> Reading {
    let readings = word.readings();
    if !readings.iter().any(|base| matches!(base, Base::Version(_) | Base::Time(_))) {
        return Reading::One(reference.clone());
    }
    Reading::FirstOf(readings.into_iter().map(|base| based_here(at, base, reference.suffixes())).collect())
}

/// A reading with its version or time on the line where one stands.
fn based_here(at: &At, base: Base, suffixes: &[Suffix]) -> Reference {
    match base {
        Base::Version(version) => with_suffixes(&at_version(at, version), suffixes),
        Base::Time(time) => with_suffixes(&at_time(at, time), suffixes),
        base => Reference::new(base, suffixes.to_vec()),
    }
}

async fn first_of(lake: &Lake, heads: Option<&Heads>, text: &str, readings: Vec<Reference>) -> Result<Ref> {
    let mut missing = None;
    for reading in readings {
        match looked_up(lake, heads, reading).await {
            Err(error) if error.kind() == ErrorKind::NotFound => missing = Some(error),
            outcome => return outcome,
        }
    }
    let missing = missing.map_or_else(String::new, |error| format!(": {}", error.message()));
    Err(Error::new(ErrorKind::NotFound, format!("nothing is named {text:?}{missing}")))
}
