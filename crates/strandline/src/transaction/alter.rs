//! Changing what a table is like, without rewriting its data [SCH-10].

use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    ColumnName, Comment, Direction, Field, FieldId, NullOrder, Operation, Position, PrimitiveType,
    PropertyKey, PropertyValue, Schema, SchemaEdit, Table as TableNode, TableName, TableSchema, Transform,
    Value,
};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Checks, unheld};
use crate::transaction::create::{add_check, field_at, set_order, set_split};
use crate::transaction::draft::Draft;
use crate::transaction::{Transaction, touch};
use crate::write::check_properties;

/// A table that is about to be changed: `.await` it. All changes are made together, or none.
///
/// Columns are named by paths of names between dots, as they were before; parts of lists and maps are called `element`, `key`
/// and `value`. Data files stay as they are. Requests: none, but for a constraint that is added, which reads the columns that it
/// asks for.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ColumnName, Field, PrimitiveType};
///
/// let alter = lake.begin().await?;
/// let note = Field::optional(ColumnName::new("note")?, PrimitiveType::String);
/// alter.alter_table("orders").rename_column("amount", "price").add_column(note).await?;
/// alter.commit().await?;
///
/// let schema = lake.table("orders").await?.arrow_schema();
/// let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
/// assert_eq!(names, ["id", "price", "note"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if there is no such table; `InvalidInput`, naming the column and why not, for a change that old files could not be
/// read under; `AlreadyExists` for a constraint whose name is taken.
#[derive(Clone, Debug)]
#[must_use = "a table is changed when this is awaited"]
pub struct AlterTable {
    transaction: Transaction,
    name: String,
    changes: Vec<Change>,
}

/// One change, columns by path.
#[derive(Clone, Debug)]
enum Change {
    Add { parent: Option<String>, field: Field, after: Option<String>, first: bool },
    Drop(String),
    Rename(String, String),
    Move(String, Place),
    Widen(String, PrimitiveType),
    Relax(String),
    Default(String, Option<Value>),
    Doc(String, Option<String>),
    Key(Vec<String>),
    SortedBy(Vec<(String, Direction, NullOrder)>),
    SplitBy(Vec<(String, Transform)>),
    AddCheck(String, String),
    DropCheck(String),
    Property(String, Option<String>),
    Comment(String),
    TargetFileBytes(Option<u64>),
}

/// A place among the siblings of a column.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::transaction::Place;
///
/// let alter = lake.begin().await?;
/// alter.alter_table("orders").move_column("amount", Place::First).await?;
/// alter.commit().await?;
/// assert_eq!(lake.table("orders").await?.arrow_schema().field(0).name(), "amount");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Right after this one.
    After(String),
}

impl Transaction {
    /// Changes a table; what is to be changed is set on what this returns, `.await` carries it out.
    pub fn alter_table(&self, name: impl Into<String>) -> AlterTable {
        AlterTable { transaction: self.clone(), name: name.into(), changes: Vec::new() }
    }
}

impl AlterTable {
    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Adds a column behind the others. Rows from before have its `initial`, or null if it has none.
    pub fn add_column(self, field: Field) -> Self {
        self.with(Change::Add { parent: None, field, after: None, first: false })
    }

    /// Adds a field to the struct at a path.
    pub fn add_field(self, within: impl Into<String>, field: Field) -> Self {
        self.with(Change::Add { parent: Some(within.into()), field, after: None, first: false })
    }

    /// Adds a column in a place of its own.
    pub fn add_column_at(self, field: Field, place: Place) -> Self {
        let first = place == Place::First;
        let after = match place {
            Place::After(path) => Some(path),
            Place::First | Place::Last => None,
        };
        self.with(Change::Add { parent: None, field, after, first })
    }

    /// Drops a column and all within it. A column that gets its name later is another one.
    pub fn drop_column(self, path: impl Into<String>) -> Self {
        self.with(Change::Drop(path.into()))
    }

    /// Gives a column another name, which is its last part only.
    pub fn rename_column(self, path: impl Into<String>, to: impl Into<String>) -> Self {
        self.with(Change::Rename(path.into(), to.into()))
    }

    /// Moves a column among its siblings.
    pub fn move_column(self, path: impl Into<String>, to: Place) -> Self {
        self.with(Change::Move(path.into(), to))
    }

    /// Widens the type of a column: int to long, float to double, a decimal to more digits, date to timestamp.
    pub fn widen_column(self, path: impl Into<String>, to: PrimitiveType) -> Self {
        self.with(Change::Widen(path.into(), to))
    }

    /// Allows null.
    pub fn make_optional(self, path: impl Into<String>) -> Self {
        self.with(Change::Relax(path.into()))
    }

    /// What rows get that are written without the column.
    pub fn set_default(self, path: impl Into<String>, default: Option<Value>) -> Self {
        self.with(Change::Default(path.into(), default))
    }

    /// What the column means.
    pub fn set_doc(self, path: impl Into<String>, doc: Option<String>) -> Self {
        self.with(Change::Doc(path.into(), doc))
    }

    /// The columns that identify a row; none takes the key away.
    pub fn key<N: Into<String>>(self, columns: impl IntoIterator<Item = N>) -> Self {
        self.with(Change::Key(columns.into_iter().map(Into::into).collect()))
    }

    /// How the rows of new files are sorted; nothing: not at all. Old files stay as they are.
    pub fn sorted_by(self, columns: impl IntoIterator<Item = (String, Direction, NullOrder)>) -> Self {
        self.with(Change::SortedBy(columns.into_iter().collect()))
    }

    /// How rows are split into new files; nothing: not at all. Old files stay as they are.
    pub fn split_by(self, columns: impl IntoIterator<Item = (String, Transform)>) -> Self {
        self.with(Change::SplitBy(columns.into_iter().collect()))
    }

    /// Adds a condition that no row may make false. The rows that are there are checked.
    pub fn add_check(self, name: impl Into<String>, condition: impl Into<String>) -> Self {
        self.with(Change::AddCheck(name.into(), condition.into()))
    }

    /// Takes a condition away.
    pub fn drop_check(self, name: impl Into<String>) -> Self {
        self.with(Change::DropCheck(name.into()))
    }

    /// Sets a property.
    pub fn set_property(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Change::Property(key.into(), Some(value.into())))
    }

    /// Takes a property away.
    pub fn unset_property(self, key: impl Into<String>) -> Self {
        self.with(Change::Property(key.into(), None))
    }

    /// What the table is for.
    pub fn comment(self, comment: impl Into<String>) -> Self {
        self.with(Change::Comment(comment.into()))
    }

    /// About how large new files become; `None`: as by default.
    pub fn target_file_bytes(self, bytes: Option<u64>) -> Self {
        self.with(Change::TargetFileBytes(bytes))
    }

    async fn run(self) -> Result<()> {
        let name = TableName::new(self.name.as_str())?;
        self.apply(&name).await.map_err(|error| error.at(format_args!("table {:?}", name.as_str())))
    }

    async fn apply(&self, name: &TableName) -> Result<()> {
        let mut state = self.transaction.open().await?;
        let drawn = Drawn::of(&self.transaction)?;
        let id = self.transaction.find_table(&state, name).await?;
        self.transaction.finish_appends(&mut state, Some(id)).await?;
        let mut draft = state.work.drafted(name).await?;
        let (table, schema) = self.alter(&draft, drawn)?;
        let added = unheld((&draft.table.constraints, &draft.schema), (&table.constraints, &schema))?;
        if !added.is_empty() {
            let rows = draft.state(state.work.base(), name);
            touch::check_rows(&rows, &table, &schema, &added).await?;
        }
        (draft.table, draft.schema) = (table, Arc::new(schema));
        state.work.put_draft(name, draft, Operation::Alter).await
    }

    /// The table after all changes.
    fn alter(&self, draft: &Draft, mut drawn: Drawn) -> Result<(TableNode, Schema)> {
        let (mut table, before) = (draft.table.clone(), &*draft.schema);
        for change in &self.changes {
            if let Change::Key(paths) = change {
                table.key = paths.iter().map(|path| field_at(before, path)).collect::<Result<_>>()?;
            }
        }
        let edits = self.changes.iter().filter_map(|change| schema_edit(change, before).transpose());
        let edits: Vec<SchemaEdit> = edits.collect::<Result<_>>()?;
        let schema = before.edited(&edits, &table.key, &mut || drawn.next())?;
        schema.check_key(&table.key)?;
        for change in &self.changes {
            change_table(&mut table, &schema, change)?;
        }
        table.schema = TableSchema::Inline(schema.clone());
        check_constraints(&table, &schema, &draft.table)?;
        check_properties(&table, &schema, Some((&draft.table, before)))?;
        Ok((table, schema))
    }
}

/// Holds the constraints of an altered table against its columns: of one that it had, it says that the change is what it does not allow.
fn check_constraints(table: &TableNode, schema: &Schema, before: &TableNode) -> Result<()> {
    for constraint in &table.constraints {
        if let Err(error) = Checks::new(std::slice::from_ref(constraint), schema) {
            let message = match before.constraints.contains(constraint) {
                true => format!(
                    "constraint {} ({}) needs a column as it was: drop the constraint first",
                    constraint.name, constraint.check
                ),
                false => error.message().to_owned(),
            };
            return Err(Error::new(ErrorKind::InvalidInput, message).with_source(error));
        }
    }
    Ok(())
}

impl IntoFuture for AlterTable {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// Random numbers for field ids: as many as an alteration of the largest schema takes, with room for repeats.
struct Drawn(blake3::OutputReader);

impl Drawn {
    fn of(transaction: &Transaction) -> Result<Self> {
        let seed: [u8; 32] = transaction.0.lake.storage().runtime().random()?;
        Ok(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }

    fn next(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }
}

/// What a change does to the schema, if anything; columns are looked for in the schema before all changes.
fn schema_edit(change: &Change, schema: &Schema) -> Result<Option<SchemaEdit>> {
    let id = |path: &str| field_at(schema, path);
    Ok(Some(match change {
        Change::Add { parent, field, after, first } => {
            let position = match (after, first) {
                (Some(path), _) => Position::After(id(path)?),
                (None, true) => Position::First,
                (None, false) => Position::Last,
            };
            let parent = parent.as_deref().map(id).transpose()?;
            SchemaEdit::Add { parent, position, field: field.clone() }
        }
        Change::Drop(path) => SchemaEdit::Drop(id(path)?),
        Change::Rename(path, to) => SchemaEdit::Rename(id(path)?, ColumnName::new(to.as_str())?),
        Change::Move(path, place) => SchemaEdit::Move(id(path)?, position(place, &id)?),
        Change::Widen(path, to) => SchemaEdit::Widen(id(path)?, *to),
        Change::Relax(path) => SchemaEdit::Relax(id(path)?),
        Change::Default(path, default) => SchemaEdit::SetDefault(id(path)?, default.clone()),
        Change::Doc(path, doc) => SchemaEdit::SetDoc(id(path)?, doc.clone()),
        _ => return Ok(None),
    }))
}

fn position(place: &Place, id: &impl Fn(&str) -> Result<FieldId>) -> Result<Position> {
    Ok(match place {
        Place::First => Position::First,
        Place::Last => Position::Last,
        Place::After(path) => Position::After(id(path)?),
    })
}

/// What a change does to the rest of the table; columns are looked for in the schema after all changes.
fn change_table(table: &mut TableNode, schema: &Schema, change: &Change) -> Result<()> {
    match change {
        Change::SortedBy(by) => set_order(table, schema, by)?,
        Change::SplitBy(by) => set_split(table, schema, by)?,
        Change::AddCheck(name, text) => add_check(table, schema, name, text)?,
        Change::DropCheck(name) => drop_check(table, name)?,
        Change::Property(key, Some(value)) => {
            table.properties.set(PropertyKey::new(key.as_str())?, PropertyValue::new(value.as_str())?)?;
        }
        Change::Property(key, None) => drop(table.properties.remove(&PropertyKey::new(key.as_str())?)),
        Change::Comment(comment) => table.comment = Comment::new(comment.as_str())?,
        Change::TargetFileBytes(bytes) => table.layout.target_file_bytes = *bytes,
        _ => {}
    }
    Ok(())
}

fn drop_check(table: &mut TableNode, name: &str) -> Result<()> {
    let name = ColumnName::new(name)?;
    let before = table.constraints.len();
    table.constraints.retain(|constraint| constraint.name.key() != name.key());
    if table.constraints.len() == before {
        return Err(Error::new(ErrorKind::NotFound, format!("no constraint {:?}", name.as_str())));
    }
    Ok(())
}
