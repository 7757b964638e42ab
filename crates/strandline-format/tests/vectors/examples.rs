//! The examples of the specification: real objects that fit together, the same bytes in the text and in the vectors.
