//! Making namespaces, tables and views.

use std::future::IntoFuture;
use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    ColumnName, Comment, Direction, EntryType, Field, FieldId, NullOrder, OrderId, PropertyKey,
    PropertyValue, Schema, SortField, SortOrder, Split, SplitField, SplitFieldId, SplitId, SqlText,
    Table as TableNode, TableId, TableName, TableProperties, TableSchema, Transform, View,
};

use crate::columns::fields_from_arrow;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::declare;
use crate::table::Table;
use crate::transaction::draft::Draft;
use crate::transaction::reads::Reads;
use crate::transaction::work::{After, Node, Work};
use crate::transaction::{State, Transaction};

/// A table that is about to be made: `.await` it.
///
/// No request but for reading the catalog; nothing is visible to others before the commit.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::Transform;
///
/// let make = lake.begin().await?;
/// make.create_table("sales.returns")
///     .like(&orders(&[]).schema())
///     .key(["id"])
///     .sorted_by("amount")
///     .split_by("id", Transform::Bucket(16.try_into()?))
///     .check("known", "id > 0")
///     .comment("what came back")
///     .with_namespaces()
///     .await?;
/// make.commit().await?;
/// assert_eq!(lake.table("sales.returns").await?.comment(), "what came back");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `AlreadyExists` if something has the name, unless [`CreateTable::if_absent`]; `NotFound` if its namespace is missing, unless
/// [`CreateTable::with_namespaces`]; `InvalidInput`, naming what, for names, types, keys, orders, splits and constraints that
/// cannot be.
#[derive(Clone, Debug)]
#[must_use = "a table is made when this is awaited"]
pub struct CreateTable {
    transaction: Transaction,
    name: String,
    shape: Shape,
    if_absent: bool,
    with_namespaces: bool,
}

/// What a table is to be like.
#[derive(Clone, Debug, Default)]
struct Shape {
    fields: Option<std::result::Result<Vec<Field>, String>>,
    key: Vec<String>,
    sorted_by: Vec<(String, Direction, NullOrder)>,
    split_by: Vec<(String, Transform)>,
    checks: Vec<(String, String)>,
    properties: Vec<(String, String)>,
    comment: String,
    target_file_bytes: Option<u64>,
}

impl Transaction {
    /// Makes a table; what it is like is set on what this returns, `.await` carries it out.
    pub fn create_table(&self, name: impl Into<String>) -> CreateTable {
        CreateTable {
            transaction: self.clone(),
            name: name.into(),
            shape: Shape::default(),
            if_absent: false,
            with_namespaces: false,
        }
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// `AlreadyExists` if something has the name; `NotFound` if the namespace around it is missing.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        let name = TableName::new(name)?;
        let mut state = self.open().await?;
        self.0.reads.name(&name);
        refuse_taken(&state.work, &name).await?;
        require_namespace(&self.0.reads, &state.work, &name).await?;
        let (id, namespace) = self.new_namespace(name)?;
        state.work.create(id, namespace);
        Ok(())
    }

    fn new_namespace(&self, name: TableName) -> Result<(TableId, After)> {
        let id = self.draw_id()?;
        let (comment, properties) = (Comment::default(), TableProperties::default());
        let namespace = strandline_format::Namespace { id, comment, properties };
        Ok((id, After { name, node: Node::Namespace(Arc::new(namespace)) }))
    }

    /// Stores a view: a query, in the dialect of the engine that runs it, and the columns that it gives.
    ///
    /// # Errors
    /// As [`Transaction::create_namespace`]; `InvalidInput` for columns that cannot be.
    pub async fn create_view(
        &self,
        name: &str,
        sql: &str,
        dialect: &str,
        columns: &ArrowSchema,
    ) -> Result<()> {
        let name = TableName::new(name)?;
        let mut state = self.open().await?;
        self.0.reads.name(&name);
        refuse_taken(&state.work, &name).await?;
        require_namespace(&self.0.reads, &state.work, &name).await?;
        let id = self.draw_id()?;
        let view = View {
            id,
            created: self.0.lake.storage().runtime().now(),
            sql: SqlText::new(sql)?,
            dialect: SqlText::new(dialect)?,
            schema: Schema::numbered(fields_from_arrow(columns)?)?,
            comment: Comment::default(),
            properties: TableProperties::default(),
        };
        state.work.create(id, After { name, node: Node::View(Arc::new(view)) });
        Ok(())
    }

    fn draw_id(&self) -> Result<TableId> {
        Ok(TableId::from_random(self.0.lake.storage().runtime().random()?))
    }
}

/// Refuses a name that something has.
pub(super) async fn refuse_taken(work: &Work, name: &TableName) -> Result<()> {
    match work.standing(name).await? {
        None => Ok(()),
        Some(found) => {
            let message = format!("there is a {} {:?}", found.entry_type().as_str(), found.name().as_str());
            Err(Error::new(ErrorKind::AlreadyExists, message))
        }
    }
}

/// A name of several parts stands in a namespace [CAT-4], which is looked up [REB-12].
pub(super) async fn require_namespace(reads: &Reads, work: &Work, name: &TableName) -> Result<()> {
    let Some(namespace) = name.namespace() else { return Ok(()) };
    reads.name(&namespace);
    work.expect(&namespace, EntryType::Namespace).await.map(drop).map_err(|error| {
        let message = format!("{}: {:?} needs it to be made first", error.message(), name.as_str());
        Error::new(error.kind(), message)
    })
}

impl CreateTable {
    /// The columns of an Arrow schema. See [`columns`](crate::columns) for how its types are mapped.
    pub fn like(mut self, schema: &ArrowSchema) -> Self {
        self.shape.fields = Some(fields_from_arrow(schema).map_err(|error| error.message().to_owned()));
        self
    }

    /// Columns; their ids are given in order.
    pub fn fields(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.shape.fields = Some(Ok(fields.into_iter().collect()));
        self
    }

    /// The columns that identify a row: paths of names between dots. A promise of writers, which upserts rely on.
    pub fn key<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.shape.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Sorts the rows of each file by a column, after those of earlier calls: ascending, nulls last.
    pub fn sorted_by(self, column: impl Into<String>) -> Self {
        self.sorted(column, Direction::Ascending, NullOrder::Last)
    }

    /// Sorts the rows of each file by a column, after those of earlier calls.
    pub fn sorted(mut self, column: impl Into<String>, direction: Direction, nulls: NullOrder) -> Self {
        self.shape.sorted_by.push((column.into(), direction, nulls));
        self
    }

    /// Splits rows into files by a transform of a column, after those of earlier calls.
    pub fn split_by(mut self, column: impl Into<String>, transform: Transform) -> Self {
        self.shape.split_by.push((column.into(), transform));
        self
    }

    /// A condition that no row may make false, in the language of [`filter`](crate::filter).
    pub fn check(mut self, name: impl Into<String>, condition: impl Into<String>) -> Self {
        self.shape.checks.push((name.into(), condition.into()));
        self
    }

    /// Something that people and programs keep with the table. Those that begin with `strandline.` say how it is written:
    /// see [`WriteOptions::for_table`](crate::WriteOptions::for_table).
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.shape.properties.push((key.into(), value.into()));
        self
    }

    /// What it is for.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.shape.comment = comment.into();
        self
    }

    /// About how large its files become.
    pub fn target_file_bytes(mut self, bytes: u64) -> Self {
        self.shape.target_file_bytes = Some(bytes);
        self
    }

    /// Leaves a table that is there as it is, whatever it is like.
    pub fn if_absent(mut self) -> Self {
        self.if_absent = true;
        self
    }

    /// Makes the namespaces around it that are missing.
    pub fn with_namespaces(mut self) -> Self {
        self.with_namespaces = true;
        self
    }

    async fn run(self) -> Result<Table> {
        let name = TableName::new(self.name.as_str())?;
        let transaction = self.transaction;
        {
            let mut state = transaction.open().await?;
            transaction.0.reads.name(&name);
            let taken = refuse_taken(&state.work, &name).await;
            let stands =
                self.if_absent && taken.is_err() && state.work.expect(&name, EntryType::Table).await.is_ok();
            if !stands {
                taken?;
                let draft = transaction
                    .new_table(&self.shape)
                    .map_err(|error| error.at(format_args!("table {:?}", name.as_str())))?;
                transaction.put_table(&mut state, &name, draft, self.with_namespaces).await?;
            }
        }
        transaction.table(name.as_str()).await
    }
}

impl Transaction {
    /// Enters a table, and the namespaces around it that are missing if they are wanted: all of them or nothing.
    async fn put_table(
        &self,
        state: &mut State,
        name: &TableName,
        draft: Draft,
        with_namespaces: bool,
    ) -> Result<()> {
        let missing =
            if with_namespaces { self.missing_namespaces(&state.work, name).await? } else { Vec::new() };
        require_namespace(&self.0.reads, &state.work, missing.last().unwrap_or(name)).await?;
        let made = missing.into_iter().rev().map(|namespace| self.new_namespace(namespace));
        for (id, after) in made.collect::<Result<Vec<_>>>()? {
            state.work.create(id, after);
        }
        state.work.create(draft.table.id, After { name: name.clone(), node: Node::Table(Box::new(draft)) });
        Ok(())
    }

    /// The namespaces around a name that are not there, the innermost first.
    async fn missing_namespaces(&self, work: &Work, name: &TableName) -> Result<Vec<TableName>> {
        let mut missing = Vec::new();
        let mut around = name.namespace();
        while let Some(namespace) = around {
            self.0.reads.name(&namespace);
            if work.standing(&namespace).await?.is_some() {
                break;
            }
            around = namespace.namespace();
            missing.push(namespace);
        }
        Ok(missing)
    }

    fn new_table(&self, shape: &Shape) -> Result<Draft> {
        let fields = match &shape.fields {
            Some(Ok(fields)) => fields.clone(),
            Some(Err(message)) => return Err(Error::new(ErrorKind::InvalidInput, message.clone())),
            None => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a table needs columns: give them, or none at all",
                ));
            }
        };
        let schema = Schema::of_new_table(fields)?;
        let created = self.0.lake.storage().runtime().now();
        let mut table = TableNode::new(self.draw_id()?, created, TableSchema::Inline(schema.clone()));
        table.key = shape.key.iter().map(|path| field_at(&schema, path)).collect::<Result<_>>()?;
        schema.check_key(&table.key)?;
        set_order(&mut table, &schema, &shape.sorted_by)?;
        set_split(&mut table, &schema, &shape.split_by)?;
        for (name, text) in &shape.checks {
            add_check(&mut table, &schema, name, text)?;
        }
        for (key, value) in &shape.properties {
            table.properties.set(PropertyKey::new(key.as_str())?, PropertyValue::new(value.as_str())?)?;
        }
        table.comment = Comment::new(shape.comment.as_str())?;
        table.layout.target_file_bytes = shape.target_file_bytes;
        crate::write::check_properties(&table, &schema, None)?;
        Ok(Draft::new(table, Arc::new(schema), self.0.start.pointer().era()))
    }
}

impl IntoFuture for CreateTable {
    type Output = Result<Table>;
    type IntoFuture = BoxFuture<'static, Result<Table>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// The id of the field at a path of names between dots. A column whose name has dots is found by its whole name.
pub(crate) fn field_at(schema: &Schema, path: &str) -> Result<FieldId> {
    let (whole, within) = (schema.find([path]), schema.find(path.split('.')));
    if let (Some(whole), Some(within)) = (whole, within)
        && whole.id != within.id
    {
        let (outer, field) = path.split_once('.').unwrap_or((path, ""));
        let message = format!(
            "{path:?} is a column, and is the field {field:?} of column {outer:?} as well: rename {outer:?} first"
        );
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    whole.or(within).map(|field| field.id).ok_or_else(|| {
        let names: Vec<String> =
            schema.ids().filter_map(|id| schema.path(id)).map(|path| path.join(".")).collect();
        crate::near::not_there(format!("no column {path:?}"), path, names.iter().map(String::as_str))
    })
}

/// Lays out files by an order, which gets the next id unless the table has it.
pub(super) fn set_order(
    table: &mut TableNode,
    schema: &Schema,
    by: &[(String, Direction, NullOrder)],
) -> Result<()> {
    if by.is_empty() {
        table.layout.order = None;
        return Ok(());
    }
    let field = |(path, direction, nulls): &(String, Direction, NullOrder)| {
        let id = field_at(schema, path)?;
        let sortable = schema.field(id).is_some_and(|field| field.ty.primitive().is_some());
        if !sortable || schema.leaves().iter().all(|(leaf, _)| *leaf != id) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{path:?} cannot be sorted by: it is not a plain column"),
            ));
        }
        Ok(SortField { field: id, direction: *direction, nulls: *nulls })
    };
    let fields: Vec<SortField> = by.iter().map(field).collect::<Result<_>>()?;
    let known = table.orders.iter().find(|order| order.fields == fields).map(|order| order.id);
    table.layout.order = Some(known.unwrap_or_else(|| {
        let id = OrderId(table.orders.iter().map(|order| order.id.0).max().unwrap_or(0) + 1);
        table.orders.push(SortOrder { id, fields });
        id
    }));
    Ok(())
}

/// Splits files by transforms, which get the next ids unless the table has them.
pub(super) fn set_split(table: &mut TableNode, schema: &Schema, by: &[(String, Transform)]) -> Result<()> {
    if by.is_empty() {
        table.layout.split = None;
        return Ok(());
    }
    let mut fields: Vec<SplitField> = Vec::new();
    for (path, transform) in by {
        let field = split_field(table, schema, &fields, path, *transform)?;
        fields.push(field);
    }
    let known = table.splits.iter().find(|split| split.fields == fields).map(|split| split.id);
    table.layout.split = Some(known.unwrap_or_else(|| {
        let id = SplitId(table.splits.iter().map(|split| split.id.0).max().unwrap_or(0) + 1);
        table.splits.push(Split { id, fields });
        id
    }));
    Ok(())
}

fn split_field(
    table: &TableNode,
    schema: &Schema,
    before: &[SplitField],
    path: &str,
    transform: Transform,
) -> Result<SplitField> {
    let field = field_at(schema, path)?;
    let source = schema.field(field).and_then(|field| field.ty.primitive());
    if source.and_then(|source| transform.result_type(source)).is_none() {
        let message = format!("{path:?} cannot be split by {transform}: its type does not allow it");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let known: Vec<&SplitField> = table.splits.iter().flat_map(|split| &split.fields).chain(before).collect();
    let same = known.iter().find(|known| (known.field, known.transform) == (field, transform));
    let next = known.iter().map(|known| known.id.0).max().map_or(SplitField::FIRST_ID.0, |last| last + 1);
    let id = same.map_or(SplitFieldId(next), |same| same.id);
    let name = match transform {
        Transform::Identity => path.to_owned(),
        _ => format!("{path}_{}", transform.to_string().replace(['[', ']'], "")),
    };
    Ok(SplitField { id, field, name: ColumnName::new(name)?, transform })
}

/// Adds a constraint; one of the same name must not be there.
pub(super) fn add_check(table: &mut TableNode, schema: &Schema, name: &str, text: &str) -> Result<()> {
    let constraint = declare(name, text, schema)?;
    if table.constraints.iter().any(|known| known.name.key() == constraint.name.key()) {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("there is a constraint {name:?}")));
    }
    table.constraints.push(constraint);
    Ok(())
}
