//! A lakehouse in a bucket: tables, branches and atomic commits over many tables, with no server beside it.
//!
//! Layers, bottom up: [`runtime`] (time, randomness, environment), [`storage`] (objects by their hash, pointers by
//! conditional swap). What the bytes mean is `strandline-format`'s; this crate does the I/O.

pub mod error;
pub mod runtime;
pub mod storage;
pub mod tree;

pub use error::{Error, ErrorKind, Result};
pub use runtime::{Clock, Deadline, Environment, Random, Runtime};
