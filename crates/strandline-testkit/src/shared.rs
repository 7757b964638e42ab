//! State that a store's handles share.
//!
//! Invariant: the lock is held for one closure, never across an `await`. A test that panics inside does not poison the
//! others: what it leaves behind is plain data.

use std::sync::{Arc, Mutex, PoisonError};

/// A value behind a lock, shared by clones.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    /// Looks at the value, or changes it, alone.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
