//! Every fault, and every pair of faults, of a recorded run: for tests that try them all.
//!
//! Invariant: the enumeration is finite, complete over the effects that [`Effect::all_for`] names, and the same each
//! time. Targets are the numbers of requests in the run, so a run must be deterministic up to its first fault.

use crate::fault::{Effect, Fault, Script, Target};
use crate::request::Request;

/// Every single fault of every request of a run without faults.
pub fn single_faults(run: &[Request]) -> impl Iterator<Item = Script> {
    faults_from(run, 0).map(Script::from)
}

/// Every pair of faults of two requests of a run without faults. The first fault changes what follows it, so the second
/// one hits whatever then has its number; [`second_faults`] is exact.
pub fn pair_faults(run: &[Request]) -> impl Iterator<Item = Script> {
    run.iter().enumerate().flat_map(move |(number, request)| {
        faults_of(number, request).flat_map(move |first| pairs(first, number, run))
    })
}

/// Every pair of `first`, which hit the request with number `at`, and a fault of any request after it, in the run that
/// was recorded with `first` alone.
pub fn second_faults<'a>(
    first: &Fault,
    at: usize,
    run: &'a [Request],
) -> impl Iterator<Item = Script> + use<'a> {
    pairs(first.clone(), at, run)
}

fn pairs(first: Fault, at: usize, run: &[Request]) -> impl Iterator<Item = Script> {
    faults_from(run, at + 1).map(move |second| [first.clone(), second].into_iter().collect())
}

/// Every fault of every request of a run, from the request with number `from` on.
fn faults_from(run: &[Request], from: usize) -> impl Iterator<Item = Fault> {
    run.iter().enumerate().skip(from).flat_map(|(number, request)| faults_of(number, request))
}

fn faults_of(number: usize, request: &Request) -> impl Iterator<Item = Fault> + use<> {
    let effects = Effect::all_for(request.kind).into_iter();
    effects.map(move |effect| Fault { target: Target::any().nth(number), effect })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use object_store::path::Path;

    use super::*;
    use crate::request::{RequestKind, Root};

    fn run() -> Vec<Request> {
        let request = |kind| Root::default().request(kind, &Path::from("a"), 0);
        vec![request(RequestKind::Get), request(RequestKind::Put), request(RequestKind::PutIfMatch)]
    }

    #[test]
    fn all_faults_and_pairs_are_tried_once() {
        let effects = |number: usize| Effect::all_for(run()[number].kind).len();
        let singles: Vec<_> = single_faults(&run()).map(|script| script.to_string()).collect();
        assert_eq!(singles.len(), effects(0) + effects(1) + effects(2));
        assert_eq!(singles.iter().collect::<HashSet<_>>().len(), singles.len());

        let pairs: Vec<_> = pair_faults(&run()).map(|script| script.to_string()).collect();
        let expected = effects(0) * effects(1) + effects(0) * effects(2) + effects(1) * effects(2);
        assert_eq!(pairs.len(), expected);
        assert_eq!(pairs.iter().collect::<HashSet<_>>().len(), pairs.len());
        assert!(pairs.iter().all(|text| text.lines().count() == 2));
    }

    #[test]
    fn second_faults_follow_the_first() {
        let first = Fault { target: Target::any().nth(1), effect: Effect::all_for(RequestKind::Put)[0] };
        let scripts: Vec<_> = second_faults(&first, 1, &run()).collect();
        assert_eq!(scripts.len(), Effect::all_for(RequestKind::PutIfMatch).len());
        assert!(scripts.iter().all(|script| script.faults()[0] == first));
    }
}
