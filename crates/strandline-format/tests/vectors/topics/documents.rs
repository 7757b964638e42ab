//! Whole objects: each is read, and written again it must read as the same.

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::{Commit, Error, Lake, Namespace, Pointer, RefName, Schema, Table, Tag, View};

use crate::octets::octets;
use crate::outcome::{Failure, Outcome, json, ok, read};
use crate::topics::Reader;

/// What all kinds of objects can do.
trait Document: Sized + PartialEq {
    fn parse_text(text: &[u8]) -> Result<Self, Error>;
    fn write_text(&self) -> Result<Vec<u8>, Error>;
}

macro_rules! document {
    ($topic:ident, $name:ident) => {
        impl Document for $name {
            fn parse_text(text: &[u8]) -> Result<Self, Error> {
                Self::parse(text)
            }
            fn write_text(&self) -> Result<Vec<u8>, Error> {
                self.to_json()
            }
        }

        /// The bytes of an object of this kind to `"ok"`.
        pub(crate) fn $topic(input: &RawValue) -> Outcome {
            stands::<$name>(&octets(input)?)
        }
    };
}

document!(commit, Commit);
document!(lake, Lake);
document!(namespace, Namespace);
document!(pointer, Pointer);
document!(schema, Schema);
document!(table, Table);
document!(tag, Tag);
document!(view, View);

/// What reads each kind of object, and writes it again.
pub(crate) const READERS: &[Reader] = &[
    ("commit", stands::<Commit>),
    ("lake", stands::<Lake>),
    ("namespace", stands::<Namespace>),
    ("pointer", stands::<Pointer>),
    ("schema", stands::<Schema>),
    ("table", stands::<Table>),
    ("tag", stands::<Tag>),
    ("view", stands::<View>),
];

fn stands<D: Document>(text: &[u8]) -> Outcome {
    let read = D::parse_text(text)?;
    let again = read.write_text()?;
    match D::parse_text(&again) {
        Ok(back) if back == read && back.write_text()? == again => ok(),
        _ => json(format!("written again it is another: {}", String::from_utf8_lossy(&again))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedInput {
    asked: String,
    pointer: Option<String>,
    tag: Option<String>,
}

/// `{"asked", "pointer"}` or `{"asked", "tag"}`: whether the object is that of the name asked for.
pub(crate) fn asked_name(input: &RawValue) -> Outcome {
    let input: AskedInput = read(input)?;
    let asked = RefName::new(input.asked)?;
    match (input.pointer, input.tag) {
        (Some(text), None) => Pointer::parse(text.as_bytes())?.check_branch(&asked)?,
        (None, Some(text)) => Tag::parse(text.as_bytes())?.check_name(&asked)?,
        _ => return Err(Failure::Input("not one of a pointer and a tag".to_owned())),
    }
    ok()
}
