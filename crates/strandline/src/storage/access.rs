//! How a store is reached, for people who wonder which of their settings won.
//!
//! Invariant: no secret stands in it; where credentials come from is said, and not what they are.

use std::fmt;

use super::options::Resolved;

/// Where credentials come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Options,
    Environment,
    /// What the provider's own tools would find.
    Chain,
    /// Requests are not signed.
    Anonymous,
}

impl Origin {
    /// Of keys that the caller or the environment may set.
    pub(crate) fn of<K: PartialEq>(resolved: &Resolved<K>, keys: &[K]) -> Self {
        if keys.iter().any(|key| resolved.gives(key)) {
            Self::Options
        } else if keys.iter().any(|key| resolved.sets(key)) {
            Self::Environment
        } else {
            Self::Chain
        }
    }

    /// The same, unless requests are not signed.
    pub(crate) fn unless(self, unsigned: bool) -> Self {
        if unsigned { Self::Anonymous } else { self }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Options => "from the given options",
            Self::Environment => "from the environment",
            Self::Chain => "as the provider's tools find them: profile, single sign-on, identity or instance",
            Self::Anonymous => "none, requests are not signed",
        })
    }
}
