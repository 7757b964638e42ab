//! What needs many processes, a disk that fails, or a server: one binary, a module for each part.
//!
//! Invariants: nothing is skipped silently, the last line counts what passed, failed and was skipped; the processes of a
//! test are this binary itself, told their role by an environment variable. What one process can show on stores of its own
//! is the business of the crates' tests.

#[cfg(test)]
mod access;
#[cfg(test)]
mod appended;
#[cfg(test)]
mod attempt;
#[cfg(test)]
mod bank;
#[cfg(test)]
mod child;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod pointer;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod second_reader;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod signal;
#[cfg(test)]
mod strand;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod wire;

fn main() -> std::process::ExitCode {
    #[cfg(test)]
    return runner::main(
        &[
            pointer::CASES,
            crash::CASES,
            folder::CASES,
            wire::CASES,
            access::CASES,
            second_reader::CASES,
            refused::CASES,
            killed::CASES,
            appended::CASES,
            bank::CASES,
            damage::CASES,
            disk::CASES,
            memory::CASES,
            strand::CASES,
        ],
        conformance::tests(),
    );
    #[cfg(not(test))]
    std::process::ExitCode::FAILURE
}
