//! One list of cases, run on every kind of place that a lake may lie in: what holds on one holds on all.
//!
//! A case is a function of a [`Site`]; to add one is a line in a list below. What one kind of place alone can show (locks of a
//! folder, each answer of S3) has a module of its own beside this one.

mod backend;
mod connections;
mod economy;
mod killed;
mod lakes;
mod network;
mod objects;
mod parts;
mod refs;
mod round;
mod rows;
mod sql;
mod transfers;
mod writers;

use backend::{BACKENDS, OWN};
pub(crate) use backend::{Backend, Site};
pub(crate) use transfers::{audit_until_done, transfer_until_done};
pub(crate) use writers::commit_until_done;

use std::path::Path;

use crate::runner::{Outcome, Test};
use crate::servers::{self, Running};
use crate::strand;

/// A case: its name, and what it does on a site.
type Case = (&'static str, fn(&Site));

/// The same, with the server that is to be killed.
type LastingCase = (&'static str, fn(&Site, &Running));

/// The same, with the program that is run.
type ProgramCase = (&'static str, fn(&Site, &Path));

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
    ("writes_and_reads_tables", round::tables),
    ("makes_branches_and_tags", round::branches),
    ("settles_what_rivals_do", round::rivals),
    ("queries_and_writes_in_sql", sql::round),
];

/// What every place must do that several processes reach.
const SHARED: &[Case] = &[
    ("loses_no_swap_of_4_processes", refs::processes),
    ("loses_no_commit_of_8_processes_to_one_table", writers::to_one_table),
    ("loses_no_commit_of_8_processes_to_a_table_each", writers::to_a_table_each),
    ("balances_every_version_of_8_processes", transfers::balance),
    ("goes_on_after_its_writers_were_killed", killed::writers),
];

/// What every place must do for a person at a terminal; the command's own tests show it in a folder.
const AT_THE_COMMAND_LINE: &[ProgramCase] = &[("is_worked_with_by_strand", strand::sessions)];

/// What holds on the way to every server, whatever happens to connections.
const ON_THE_WIRE: &[Case] = &[
    ("finds_out_what_came_of_a_swap", connections::swaps),
    ("lets_no_late_swap_overtake", connections::zombies),
    ("reads_through_damage", connections::reads),
    ("puts_in_parts_whatever_becomes_of_a_request", parts::puts),
    ("makes_few_requests_on_few_connections", connections::economy),
    ("makes_few_requests_for_tables", economy::requests),
    ("tells_the_truth_of_transactions", network::outcomes),
    ("tells_the_truth_of_transactions_beside_others", network::beside_others),
    ("tells_the_truth_of_transactions_whose_looking_back_fails", network::read_back),
];

/// What takes so many requests that it is tried on one backend only.
const PAIRS: &[Case] = &[("tells_the_truth_of_transactions_that_fail_twice", network::pairs)];

/// What holds when a server is killed that keeps what it has acknowledged.
const LASTING: &[LastingCase] = &[("goes_on_after_the_server_was_killed", killed::server)];

/// The tests of one kind of place.
pub(crate) fn cases(backend: &'static Backend) -> Vec<Test> {
    let shared = if backend.shared { SHARED } else { &[] };
    let on_the_wire = if backend.wire { ON_THE_WIRE } else { &[] };
    let pairs = if backend.pairs { PAIRS } else { &[] };
    let all = EVERYWHERE.iter().chain(shared).chain(on_the_wire).chain(pairs);
    let all = all.map(|(name, check)| {
        test(backend, name, |site| {
            check(&site);
            Ok(())
        })
    });
    let programs = if backend.is_remote() { AT_THE_COMMAND_LINE } else { &[] };
    let programs = programs.iter().map(|(name, check)| {
        test(backend, name, move |site| {
            check(&site, &strand::program()?);
            Ok(())
        })
    });
    let server = backend.lasting();
    let lasting = server.into_iter().flat_map(|server| {
        LASTING.iter().map(move |(name, check)| {
            test(backend, name, move |site| {
                check(&site, &server.running()?);
                Ok(())
            })
        })
    });
    all.chain(programs).chain(lasting).collect()
}

fn test(backend: &'static Backend, name: &str, check: impl Fn(Site) -> Result<(), String> + 'static) -> Test {
    let run = move || backend.site().and_then(&check).map_or_else(Outcome::Skipped, |()| Outcome::Passed);
    Test { name: format!("conformance::{}::{name}", backend.name), run: Box::new(run) }
}

/// The tests of all of them.
pub(crate) fn tests() -> Vec<Test> {
    let own = servers::own().map(|_| &OWN);
    BACKENDS.iter().chain(own).flat_map(cases).collect()
}
