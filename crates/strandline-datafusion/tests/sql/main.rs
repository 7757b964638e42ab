//! SQL over a lake.

fn main() {}
