//! Tables as they are read.

mod state;

pub(crate) use state::TableState;
