//! What Strandline's tests are made with: stores that count and stores that fail, the same for servers and connections, a clock
//! and randomness that a test owns, and generators of names, schemas, batches and edit histories.
//!
//! Invariants: everything is deterministic from a script or a seed; nothing here is part of the product. What does not
//! belong here: tests of the product, and any second implementation of its rules.

mod answer;
mod clock;
pub mod commits;
mod counting;
mod counts;
mod damage;
mod enumerate;
mod environment;
mod fault;
mod faulty;
pub mod generate;
mod intercept;
mod multipart;
mod overheard;
mod random;
mod request;
mod running;
mod shared;
pub mod wire;

pub use answer::{Answer, Dialect, Status};
pub use clock::VirtualClock;
pub use counting::{Counting, CountingStore};
pub use counts::{Counts, Tally};
pub use enumerate::{pair_faults, second_faults, single_faults};
pub use environment::FixedEnvironment;
pub use fault::{Effect, Fault, Release, Script, Target};
pub use faulty::{Faults, FaultyStore, Landing};
pub use intercept::{Body, Intercepted, Layer, Reply, Sending};
pub use overheard::overhear;
pub use random::SeededRandom;
pub use request::{PathClass, Request, RequestKind};
