//! Vector files and their cases, as `format-spec/README.md` describes them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::Json;

/// The kinds of errors that a case may ask for.
const KINDS: [&str; 5] = ["invalid", "malformed", "unsupported", "corrupt", "too-large"];

/// What else lies beside the files of cases.
const OTHERS: [&str; 3] = ["README.md", "exemptions.json", "examples"];

/// One file of cases.
pub(crate) struct VectorFile {
    /// The file's name, for messages.
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) cases: Vec<Case>,
}

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rules: Vec<String>,
    /// What is given, to the byte: numbers must not pass through a parser that rounds them.
    pub(crate) input: Box<RawValue>,
    /// What must come out, or the kind of error.
    pub(crate) expectation: Result<Json, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    topic: String,
    cases: Vec<CaseText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    rules: Vec<String>,
    input: Box<RawValue>,
    #[serde(default, deserialize_with = "present")]
    expect: Option<Box<RawValue>>,
    error: Option<String>,
}

/// An expected `null` is there, and not left out.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// The folder of the specification.
pub(crate) fn spec_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format-spec")
}

/// The folder of the vectors.
pub(crate) fn folder() -> PathBuf {
    spec_folder().join("vectors")
}

/// All files of cases, and what is wrong with the folder.
pub(crate) fn load_all() -> (Vec<VectorFile>, Vec<String>) {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !OTHERS.contains(&name.as_str()))
        .collect();
    names.sort();
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for name in names {
        match load(&name) {
            Ok(file) => files.push(file),
            Err(why) => faults.push(format!("  {name}: {why}")),
        }
    }
    (files, faults)
}

fn load(name: &str) -> Result<VectorFile, String> {
    let stem = name.strip_suffix(".json").ok_or("is no file of cases, and not known otherwise")?;
    let text = fs::read_to_string(folder().join(name)).map_err(|error| error.to_string())?;
    let file: FileText = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if file.topic != stem {
        return Err(format!("its topic is {:?}, not its name", file.topic));
    }
    let cases: Vec<Case> = file.cases.into_iter().map(Case::of).collect::<Result<_, _>>()?;
    let mut case_names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    case_names.sort_unstable();
    if let Some(pair) = case_names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two cases are called {:?}", pair[0]));
    }
    Ok(VectorFile { name: name.to_owned(), topic: file.topic, cases })
}

impl Case {
    /// One case from its text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of(serde_json::from_str(text).map_err(|error| error.to_string())?)
    }

    fn of(case: CaseText) -> Result<Self, String> {
        let fault = |why: String| format!("case {:?}: {why}", case.name);
        let expectation = match (case.expect, case.error) {
            (Some(value), None) => Ok(Json::parse(value.get()).map_err(|error| fault(error.to_string()))?),
            (None, Some(kind)) if KINDS.contains(&kind.as_str()) => Err(kind),
            (None, Some(kind)) => return Err(fault(format!("{kind:?} is no kind of error"))),
            _ => return Err(fault("it has not one of `expect` and `error`".to_owned())),
        };
        Ok(Self { name: case.name, rules: case.rules, input: case.input, expectation })
    }
}
