//! The language as tables of texts, and by properties against a model that knows nothing of batches, keys or statistics.

mod batch;
mod checks;
mod errors;
mod model;
mod properties;
mod table;
