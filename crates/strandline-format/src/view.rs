//! Views and namespaces: what else a name of the catalog may stand for [TBL-7, TBL-8].
//!
//! What does not belong here: what a view's text means, which is for the engine whose dialect it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::TableId;
use crate::json::{self, Header, Wire, unique_map};
use crate::schema::{Schema, SchemaWire};
use crate::text::{Comment, SqlText, TableProperties};
use crate::time::Timestamp;

/// A stored query.
///
/// ```
/// use strandline_format::{Comment, Schema, SqlText, TableId, TableProperties, Timestamp, View};
/// let view = View {
///     id: TableId::from_random([1; 16]),
///     created: Timestamp::EPOCH,
///     sql: SqlText::new("SELECT 1")?,
///     dialect: SqlText::new("datafusion")?,
///     schema: Schema::numbered(Vec::new())?,
///     comment: Comment::default(),
///     properties: TableProperties::default(),
/// };
/// assert_eq!(View::parse(&view.to_json()?)?, view);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The view, whatever it is called.
    pub id: TableId,
    /// When it was made.
    pub created: Timestamp,
    /// The query.
    pub sql: SqlText,
    /// The dialect that the query is in.
    pub dialect: SqlText,
    /// The columns that it had when it was made.
    pub schema: Schema,
    /// What it is for.
    pub comment: Comment,
    /// What programs keep with it.
    pub properties: TableProperties,
}

/// A namespace: it only says that names may stand in it.
///
/// ```
/// use strandline_format::{Comment, Namespace, TableId, TableProperties};
/// let namespace = Namespace {
///     id: TableId::from_random([1; 16]),
///     comment: Comment::new("what we sell")?,
///     properties: TableProperties::default(),
/// };
/// assert_eq!(Namespace::parse(&namespace.to_json()?)?, namespace);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// The namespace, whatever it is called.
    pub id: TableId,
    /// What it is for.
    pub comment: Comment,
    /// What programs keep with it.
    pub properties: TableProperties,
}

#[derive(Serialize, Deserialize)]
struct ViewV1 {
    #[serde(flatten)]
    header: Header,
    id: TableId,
    created: Timestamp,
    sql: String,
    dialect: String,
    schema: SchemaWire,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    properties: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct NamespaceV1 {
    #[serde(flatten)]
    header: Header,
    id: TableId,
    #[serde(default, deserialize_with = "crate::json::or_default", skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    properties: BTreeMap<String, String>,
}

impl Wire for ViewV1 {
    const KIND: &'static str = "view";
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Wire for NamespaceV1 {
    const KIND: &'static str = "namespace";
    fn header(&self) -> &Header {
        &self.header
    }
}

impl View {
    /// Reads the text of a view's node.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format or a type that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: ViewV1 = json::parse(text)?;
        Self::from_wire(wire).map_err(|error| error.stored().at(ViewV1::KIND))
    }

    /// The text of the node.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::write(&ViewV1 {
            header: Header::of::<ViewV1>(),
            id: self.id,
            created: self.created,
            sql: self.sql.as_str().to_owned(),
            dialect: self.dialect.as_str().to_owned(),
            schema: SchemaWire::try_from(&self.schema)?,
            comment: self.comment.as_str().to_owned(),
            properties: self.properties.to_wire(),
        })
    }

    fn from_wire(wire: ViewV1) -> Result<Self> {
        Ok(Self {
            id: wire.id,
            created: wire.created,
            sql: SqlText::new(wire.sql).map_err(|error| error.at("sql"))?,
            dialect: SqlText::new(wire.dialect).map_err(|error| error.at("dialect"))?,
            schema: wire.schema.try_into()?,
            comment: Comment::new(wire.comment).map_err(|error| error.at("comment"))?,
            properties: TableProperties::from_wire(wire.properties)?,
        })
    }
}

impl Namespace {
    /// Reads the text of a namespace's node.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, or `Unsupported` for a newer format.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: NamespaceV1 = json::parse(text)?;
        Self::from_wire(wire).map_err(|error| error.stored().at(NamespaceV1::KIND))
    }

    /// The text of the node.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json::write(&NamespaceV1 {
            header: Header::of::<NamespaceV1>(),
            id: self.id,
            comment: self.comment.as_str().to_owned(),
            properties: self.properties.to_wire(),
        })
    }

    fn from_wire(wire: NamespaceV1) -> Result<Self> {
        Ok(Self {
            id: wire.id,
            comment: Comment::new(wire.comment).map_err(|error| error.at("comment"))?,
            properties: TableProperties::from_wire(wire.properties)?,
        })
    }
}
