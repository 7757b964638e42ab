//! The config file: lakes by name, and what is needed to reach them.
//!
//! ```toml
//! default = "sales"
//!
//! [lakes.sales]
//! location = "s3://bucket/lakes/sales"
//! options = { region = "eu-central-1" }
//! ```
//!
//! Invariants: a file that is not there is an empty one, unless somebody named it; what is not known in it is an error, so that a mistyped word is not
//! overlooked. What does not belong here: which of the lakes is meant (`context`).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde::Deserialize;
use strandline::Environment;

use crate::failure::{Failure, Result};

/// The variable that names another config file.
const VARIABLE: &str = "STRANDLINE_CONFIG";

/// What the config file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The lake that is meant where none is named.
    pub(crate) default: Option<String>,
    /// Lakes by name.
    #[serde(default)]
    pub(crate) lakes: BTreeMap<String, NamedLake>,
}

/// A lake that has a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedLake {
    pub(crate) location: String,
    /// Options of its store.
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file that the environment names, or the one of the user.
    pub(crate) fn load(environment: &dyn Environment) -> Result<Self> {
        let named = environment.variable(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(path) = named.clone().or_else(of_the_user) else { return Ok(Self::default()) };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => {
                let failure = Failure::io(path.display(), &error);
                return Err(if named.is_some() {
                    failure.hint(format!("{VARIABLE} names it"))
                } else {
                    failure
                });
            }
        };
        Self::parse(&text, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        // A message of the parser repeats lines of the file, in which secrets may stand.
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
            Failure::usage(format!("{}: line {line}: {}", path.display(), error.message()))
        })
    }
}

fn of_the_user() -> Option<PathBuf> {
    let folders = choose_base_strategy().ok()?;
    Some(folders.config_dir().join("strandline").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, Path::new("config.toml"))
    }

    #[test]
    fn lakes_have_names_and_options() {
        let config = parse("default = \"a\"\n[lakes.a]\nlocation = \"s3://b\"\noptions = { region = \"x\" }");
        let config = config.unwrap();
        assert_eq!(config.default.as_deref(), Some("a"));
        assert_eq!(config.lakes["a"].options["region"], "x");
    }

    #[test]
    fn a_mistyped_word_is_named_with_its_line_and_no_value_is_repeated() {
        let failure =
            parse("[lakes.a]\nlocation = \"s3://b\"\nopions = { secret = \"s3cr3t\" }").err().unwrap();
        let text = failure.to_string();
        assert!(text.contains("line 3") && text.contains("opions"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
