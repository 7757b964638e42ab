//! A lakehouse in a bucket: tables, branches and atomic commits over many tables, with no server beside it.
//!
//! Layers, bottom up: [`runtime`] (time, randomness, environment), [`storage`] (objects by their hash, pointers by
//! conditional swap), [`tree`] (walking and editing stored trees), [`lake`] (a lake and its branches' heads). What the bytes mean is `strandline-format`'s; this crate does the I/O.

pub mod error;
pub mod filter;
pub mod history;
pub mod lake;
mod near;
pub mod runtime;
mod snapshot;
pub mod storage;
mod table;
pub mod tree;

pub use error::{Error, ErrorKind, Result};
pub use history::{Commit, Ref};
pub use lake::{Head, Lake};
pub use arrow;
pub use strandline_format as format;

pub use runtime::{Clock, Deadline, Environment, Random, Runtime};

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
