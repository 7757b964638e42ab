//! A schema that is an object of its own, because its text is too long for its table's node [TBL-1].

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::json::{self, Header, MAX_META_BYTES, Wire};
use crate::schema::{Schema, SchemaWire};
use crate::table::MAX_INLINE_SCHEMA;

#[derive(Serialize, Deserialize)]
struct SchemaObjectV1 {
    #[serde(flatten)]
    header: Header,
    schema: SchemaWire,
}

impl Wire for SchemaObjectV1 {
    const KIND: &'static str = "schema";
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Schema {
    /// Whether its text is too long to stand in its table's node [TBL-2].
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata.
    pub fn wants_own_object(&self) -> Result<bool> {
        let text = json::write_text("schema", MAX_META_BYTES, &SchemaWire::try_from(self)?)?;
        Ok(text.len() > MAX_INLINE_SCHEMA)
    }

    /// Reads the text of a schema that is an object of its own.
    ///
    /// ```
    /// use strandline_format::Schema;
    /// let schema = Schema::numbered(Vec::new())?;
    /// assert_eq!(Schema::parse(&schema.to_json()?)?, schema);
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format or a type that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: SchemaObjectV1 = json::parse(text)?;
        wire.schema.try_into().map_err(|error: crate::Error| error.stored().at(SchemaObjectV1::KIND))
    }

    /// The text of a schema that is an object of its own.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::write(&SchemaObjectV1 { header: Header::of::<SchemaObjectV1>(), schema: self.try_into()? })
    }
}
