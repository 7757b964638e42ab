//! An environment that a test writes.

use std::collections::BTreeMap;

use strandline::Environment;

/// Environment variables that are these and no others.
///
/// ```
/// use strandline::Environment;
/// use strandline_testkit::FixedEnvironment;
/// let environment = FixedEnvironment::new([("AWS_REGION", "eu-west-1"), ("HOME", "/home/me")]);
/// assert_eq!(environment.variable("AWS_REGION").as_deref(), Some("eu-west-1"));
/// assert_eq!(environment.variables("AWS_").len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FixedEnvironment(BTreeMap<String, String>);

impl FixedEnvironment {
    /// These variables.
    pub fn new<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment for FixedEnvironment {
    fn variables(&self, prefix: &str) -> Vec<(String, String)> {
        let found = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
