//! The laws of the merge, for each thing that is merged: the base itself gives the other side, the sides are equal, and what
//! is the same on both stays.

mod catalog;
mod files;
mod numbers;
mod tables;
