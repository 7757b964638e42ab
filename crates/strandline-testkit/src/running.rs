//! A script that is being carried out: which of its faults fire for the requests as they come, and what was asked so far.
//!
//! Invariant: every request is matched against every fault, so that a fault's count of its requests does not depend on what
//! the others did. What does not belong here: what a fault does (`faulty` for a store, `wire` for a connection).

use crate::fault::{Effect, Fault, Script};
use crate::request::Request;

/// A script under way.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The faults, each with how many requests have matched its target.
    faults: Vec<(Fault, usize)>,
    /// Those that could not be carried out.
    misfired: Vec<Fault>,
    run: Vec<(Request, Option<Effect>)>,
}

impl From<Script> for Running {
    fn from(script: Script) -> Self {
        let faults = script.faults().iter().map(|fault| (fault.clone(), 0)).collect();
        Self { faults, ..Self::default() }
    }
}

impl Running {
    /// Notes a request and picks its fault.
    pub(crate) fn begin(&mut self, request: &Request) -> Option<Effect> {
        let mut effect = None;
        for (fault, seen) in self.faults.iter_mut().filter(|(fault, _)| fault.target.matches(request)) {
            effect = effect.or(fault.target.covers(*seen).then_some(fault.effect));
            *seen += 1;
        }
        self.run.push((request.clone(), effect));
        effect
    }

    /// The requests since the script began, in the order in which they were sent.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.run.iter().map(|(request, _)| request.clone()).collect()
    }

    /// Notes that what should have become of a request did not.
    pub(crate) fn misfire(&mut self, request: &Request, effect: Effect) {
        let meant = |fault: &&Fault| fault.effect == effect && fault.target.matches(request);
        self.misfired.extend(self.faults.iter().map(|(fault, _)| fault).filter(meant).cloned());
    }

    /// The faults that have not fired, or not as they should.
    pub(crate) fn unfired(&self) -> Vec<Fault> {
        let unfired = self.faults.iter().filter(|(fault, seen)| !(0..*seen).any(|n| fault.target.covers(n)));
        unfired.map(|(fault, _)| fault).chain(&self.misfired).cloned().collect()
    }

    /// A line for each request, with its fault.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.run.iter().enumerate().map(|(number, (request, effect))| match effect {
            Some(effect) => format!("{number:>4} {request} -- {effect}\n"),
            None => format!("{number:>4} {request}\n"),
        })
    }
}
