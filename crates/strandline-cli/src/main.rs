//! The `strand` command: a lake at the command line.

fn main() {}
