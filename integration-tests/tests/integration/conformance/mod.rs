//! One list of cases, run on every kind of place that a lake may lie in: what holds on one holds on all.
//!
//! A case is a function of a [`Site`]; to add one is a line in a list below. What one kind of place alone can show (locks of a
//! folder, each answer of S3) has a module of its own beside this one.

mod backend;
mod connections;
mod lakes;
mod objects;
mod refs;

use backend::{BACKENDS, OWN};
pub(crate) use backend::{Backend, Site};

use crate::runner::{Outcome, Test};
use crate::servers;

/// A case: its name, and what it does on a site.
type Case = (&'static str, fn(&Site));

/// What every place must do.
const EVERYWHERE: &[Case] = &[
    ("opens_by_its_location", lakes::opens),
    ("gives_back_by_hash_what_was_put", objects::round_trip),
    ("gives_ranges", objects::ranges),
    ("lists_in_pages", objects::pages),
    ("swaps_a_pointer", refs::swaps),
    ("refuses_a_token_of_what_is_gone", refs::absent),
    ("holds_pointers_of_their_full_length", refs::long),
    ("lists_names_of_refs", refs::names),
    ("lets_one_of_16_win", refs::races),
    ("passes_the_probe_and_is_left_clean", refs::probe),
    ("makes_and_opens_a_lake", lakes::makes),
    ("lets_one_of_4_make_a_lake", lakes::races),
    ("swaps_a_branch", lakes::swaps),
];

/// What every place must do that several processes reach.
const SHARED: &[Case] = &[("loses_no_swap_of_4_processes", refs::processes)];

/// What holds on the way to every server, whatever happens to connections.
const ON_THE_WIRE: &[Case] = &[
    ("finds_out_what_came_of_a_swap", connections::swaps),
    ("lets_no_late_swap_overtake", connections::zombies),
    ("reads_through_damage", connections::reads),
    ("makes_few_requests_on_few_connections", connections::economy),
];

/// The tests of one kind of place.
pub(crate) fn cases(backend: &'static Backend) -> Vec<Test> {
    let shared = if backend.shared { SHARED } else { &[] };
    let on_the_wire = if backend.wire { ON_THE_WIRE } else { &[] };
    let all = EVERYWHERE.iter().chain(shared).chain(on_the_wire);
    all.map(|(name, check)| Test {
        name: format!("conformance::{}::{name}", backend.name),
        run: Box::new(|| match backend.site() {
            Ok(site) => {
                check(&site);
                Outcome::Passed
            }
            Err(why) => Outcome::Skipped(why),
        }),
    })
    .collect()
}

/// The tests of all of them.
pub(crate) fn tests() -> Vec<Test> {
    let own = servers::own().map(|_| &OWN);
    BACKENDS.iter().chain(own).flat_map(cases).collect()
}
