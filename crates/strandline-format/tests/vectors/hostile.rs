//! Every text of the vectors, broken in every way: a parser refuses, it never panics and never takes long.
