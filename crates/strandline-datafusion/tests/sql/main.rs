//! What SQL over a lake gives. Scripts of statements with their answers stand in `slt/`, one test walks them all; what needs more
//! than SQL (counts, faults, random tables) is a module each.

#[cfg(test)]
mod counts;
#[cfg(test)]
mod external;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod holes;
#[cfg(test)]
mod large;
#[cfg(test)]
mod nesting;
#[cfg(test)]
mod one_commit;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod register;
#[cfg(test)]
mod scan_traps;
#[cfg(test)]
mod sent;
#[cfg(test)]
mod session;
#[cfg(test)]
mod slt;
#[cfg(test)]
mod small_files;
#[cfg(test)]
mod times;
#[cfg(test)]
mod whole;
#[cfg(test)]
mod write;
