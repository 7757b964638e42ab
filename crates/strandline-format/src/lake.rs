//! `lake.json`: that a folder is a lake, which one, and what it took to create it [LAKE-1].
//!
//! It is written once, put if absent, and not on the path of opening a lake: the pointers carry the lake's id and the
//! features in force. What does not belong here: anything that changes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::feature::{self, Features, FeaturesV1};
use crate::id::LakeId;
use crate::json::{self, Header, MAX_REF_BYTES, Wire};
use crate::text::Label;
use crate::time::Timestamp;

/// What `lake.json` says.
///
/// ```
/// use strandline_format::{Features, Label, Lake, LakeId, Timestamp};
/// let lake = Lake {
///     id: LakeId::from_random([1; 16]),
///     created: Timestamp::EPOCH,
///     features: Features::default(),
///     writer: Label::new("strandline/0.1.0")?,
/// };
/// assert_eq!(Lake::parse(&lake.to_json()?)?, lake);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lake {
    /// The lake, for ever.
    pub id: LakeId,
    /// When it was made.
    pub created: Timestamp,
    /// The features that it was made with; those in force for a branch stand in its pointer.
    pub features: Features,
    /// The program that made it.
    pub writer: Label,
}

#[derive(Serialize, Deserialize)]
struct LakeV1 {
    #[serde(flatten)]
    header: Header,
    lake: LakeId,
    created: Timestamp,
    features: FeaturesV1,
    writer: String,
}

impl Wire for LakeV1 {
    const KIND: &'static str = "lake";
    const LIMIT: usize = MAX_REF_BYTES;
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Lake {
    /// Reads the text of `lake.json`.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format or a required feature that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: LakeV1 = json::parse(text).map_err(|error| feature::explain(text, error))?;
        Self::from_wire(wire).map_err(|error| feature::explain(text, error.stored().at(LakeV1::KIND)))
    }

    /// The text of `lake.json`.
    ///
    /// # Errors
    /// `TooLarge` beyond its bound.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::write(&LakeV1 {
            header: Header::of::<LakeV1>(),
            lake: self.id,
            created: self.created,
            features: (&self.features).into(),
            writer: self.writer.as_str().to_owned(),
        })
    }

    fn from_wire(wire: LakeV1) -> std::result::Result<Self, Error> {
        Ok(Self {
            id: wire.lake,
            created: wire.created,
            features: wire.features.try_into()?,
            writer: Label::new(wire.writer)?,
        })
    }
}
