//! Schemas, tables and views: made, dropped, renamed.
//!
//! Invariant: what takes the place of something else does so in one transaction with it. What does not belong here: altering
//! tables (`alter`).

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::Schema as ArrowSchema;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Visit, VisitMut, Visitor, VisitorMut,
};
use strandline::format::{ColumnName, Field};
use strandline::transaction::Rows;
use strandline::{Error, ErrorKind, Result, Transaction};

use super::names::full_name;
use super::{Run, invalid};
use crate::catalog::{LakeCatalog, PUBLIC};
use crate::error::lake_error;
use crate::sql::statement::{Check, Column, CreateTable, CreateView, Kind, Name};
use crate::sql::{constant, refusal, travel, view};

impl Run<'_> {
    pub(super) async fn create_schema(&self, name: &Name, if_absent: bool) -> Result<()> {
        let namespace = self.namespace(name)?;
        if namespace == PUBLIC {
            return if if_absent { Ok(()) } else { Err(exists("schema", PUBLIC)) };
        }
        let acting = self.acting().await?;
        let outcome = match acting.transaction().create_namespace(&namespace).await {
            Err(error) if if_absent && error.kind() == ErrorKind::AlreadyExists => {
                acting.transaction().list(Some(&namespace)).await.map(drop)
            }
            outcome => outcome,
        };
        acting.end(outcome).await
    }

    pub(super) async fn create_table(&self, table: CreateTable) -> Result<()> {
        let name = self.own_name(&table.name)?;
        let acting = self.acting().await?;
        let outcome = Box::pin(self.make_table(acting.transaction(), &name, table)).await;
        acting.end(outcome).await
    }

    async fn make_table(&self, transaction: &Transaction, name: &str, table: CreateTable) -> Result<()> {
        let standing = stands(transaction, Kind::Table, name).await?;
        if standing && table.if_absent {
            return Ok(());
        }
        let frame = match &table.query {
            Some(query) => Some(Box::pin(self.planned(Query::clone(query))).await?),
            None => None,
        };
        let fields = match &frame {
            Some(frame) => fields_of(frame.schema().as_arrow(), &table)?,
            None => self.declared(&table).await?,
        };
        // The query may read what its result takes the place of, so its rows are on their way before that goes.
        let rows = match frame {
            Some(frame) => Some(frame.execute_stream().await.map_err(|error| refusal(&error))?),
            None => None,
        };
        if standing && table.or_replace {
            transaction.drop_table(name).await?;
        }
        let shaped = shaped(transaction, name, &table, fields);
        shaped.await?;
        match rows {
            Some(rows) => transaction.append(name, Rows::stream(rows)).await.map(drop),
            None => Ok(()),
        }
    }

    /// The columns as they are declared.
    async fn declared(&self, table: &CreateTable) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        for column in &table.columns {
            let mut field = self.field(column).await?;
            field.required |= table.key.contains(&column.name);
            fields.push(field);
        }
        Ok(fields)
    }

    /// A column as it is declared.
    pub(super) async fn field(&self, column: &Column) -> Result<Field> {
        let mut field = Field::optional(ColumnName::new(column.name.as_str())?, column.ty.clone());
        (field.required, field.doc) = (column.required, column.comment.clone());
        if let Some(default) = &column.default {
            let at = |error: Error| error.at(format_args!("column {:?}", column.name));
            field.default = constant::value(self.ctx, default.clone(), &column.ty).await.map_err(at)?;
        }
        Ok(field)
    }

    pub(super) async fn create_view(&self, view: CreateView) -> Result<()> {
        let name = self.own_name(&view.name)?;
        let acting = self.acting().await?;
        let outcome = Box::pin(self.make_view(acting.transaction(), &name, view)).await;
        acting.end(outcome).await
    }

    async fn make_view(&self, transaction: &Transaction, name: &str, view: CreateView) -> Result<()> {
        let standing = stands(transaction, Kind::View, name).await?;
        if standing && view.if_absent {
            return Ok(());
        }
        let text = self.text_of(&view).await?;
        let plan = match Box::pin(view::plan(LakeCatalog::clone(&self.seen()), &text)).await {
            Ok(plan) => plan,
            // Asked as a query, it may say which names are near.
            Err(error) => {
                let asked = Box::pin(self.planned(Query::clone(&view.query))).await;
                return Err(asked.err().unwrap_or_else(|| refusal(&error)));
            }
        };
        if standing && view.or_replace {
            transaction.drop_table(name).await?;
        }
        transaction.create_view(name, &text, view::DIALECT, plan.schema().as_arrow()).await
    }

    /// The text of a view, in which the lake is called what it is called in all views.
    async fn text_of(&self, view: &CreateView) -> Result<String> {
        let mut query = Query::clone(&view.query);
        Box::pin(travel::replace_in(self.ctx, &self.standing.at(), &mut query)).await?;
        let state = self.ctx.state();
        let mut settled = Settle {
            catalog: self.catalog,
            schema: state.config_options().catalog.default_schema.as_str(),
            ctes: ctes(&query),
        };
        if let ControlFlow::Break(error) = VisitMut::visit(&mut query, &mut settled) {
            return Err(error);
        }
        if view.columns.is_empty() {
            return Ok(query.to_string());
        }
        let quoted: Vec<String> =
            view.columns.iter().map(|name| Ident::with_quote('"', name).to_string()).collect();
        Ok(format!("SELECT * FROM ({query}) AS columns_of_view ({})", quoted.join(", ")))
    }

    pub(super) async fn drop(&self, kind: Kind, names: &[Name], if_exists: bool) -> Result<()> {
        let own = |name| if kind == Kind::Schema { self.namespace(name) } else { self.own_name(name) };
        let names = names.iter().map(own).collect::<Result<Vec<_>>>()?;
        let acting = self.acting().await?;
        let outcome = drop_all(acting.transaction(), kind, &names, if_exists).await;
        acting.end(outcome).await
    }

    pub(super) async fn rename(&self, kind: Kind, name: &Name, to: &Name, if_exists: bool) -> Result<()> {
        let (from, to) = match kind {
            Kind::Schema => (self.namespace(name)?, self.namespace(to)?),
            // A new name alone stays in the schema of the old one.
            _ if to.0.len() == 1 => {
                let (schema, _) = self.placed(name)?;
                (self.own_name(name)?, full_name(&schema, &self.own_part(to)?))
            }
            _ => (self.own_name(name)?, self.own_name(to)?),
        };
        let acting = self.acting().await?;
        let transaction = acting.transaction();
        let outcome = match found(transaction, kind, &from).await {
            Ok(()) => transaction.rename(&from, &to).await,
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        acting.end(outcome).await
    }

    /// A name of one part that something may be given.
    fn own_part(&self, name: &Name) -> Result<String> {
        self.own_name(name)?;
        name.0.last().cloned().ok_or_else(|| invalid("a name has a part"))
    }
}

/// Makes a table with all that was said of it.
async fn shaped(
    transaction: &Transaction,
    name: &str,
    table: &CreateTable,
    fields: Vec<Field>,
) -> Result<()> {
    let mut made = transaction.create_table(name).fields(fields).key(table.key.iter().cloned());
    for (column, direction, nulls) in &table.sorted_by {
        made = made.sorted(column, *direction, *nulls);
    }
    for (column, transform) in &table.split_by {
        made = made.split_by(column, *transform);
    }
    for (name, condition) in named(&table.checks, &[]) {
        made = made.check(name, condition);
    }
    for (key, value) in &table.properties {
        made = match key.as_str() {
            TARGET_FILE_BYTES => made.target_file_bytes(file_bytes(value)?),
            _ => made.property(key, value),
        };
    }
    if let Some(comment) = &table.comment {
        made = made.comment(comment);
    }
    made.await.map(drop)
}

/// About how large files become: a part of the layout, which is set like a property.
pub(super) const TARGET_FILE_BYTES: &str = "strandline.target-file-bytes";

/// The number of bytes that a property says.
pub(super) fn file_bytes(value: &str) -> Result<u64> {
    value.parse().map_err(|_| invalid(format!("{TARGET_FILE_BYTES:?} is a number of bytes, not {value:?}")))
}

/// Conditions with names: one without gets the first `check_N` that is free.
pub(super) fn named(checks: &[Check], taken: &[String]) -> Vec<(String, String)> {
    let mut names: Vec<String> =
        checks.iter().filter_map(|check| check.name.clone()).chain(taken.iter().cloned()).collect();
    let mut free = || {
        let name = (1_u64..)
            .map(|number| format!("check_{number}"))
            .find(|name| !names.contains(name))
            .unwrap_or_default();
        names.push(name.clone());
        name
    };
    checks
        .iter()
        .map(|check| (check.name.clone().unwrap_or_else(&mut free), check.condition.clone()))
        .collect()
}

/// The columns of a query, for a table of its rows.
fn fields_of(schema: &ArrowSchema, table: &CreateTable) -> Result<Vec<Field>> {
    if !table.columns.is_empty() {
        return Err(invalid(
            "the columns of CREATE TABLE … AS are those of its query: name and cast them there",
        ));
    }
    let mut fields = strandline::columns::fields_from_arrow(schema)?;
    for field in &mut fields {
        field.required = table.key.iter().any(|key| key == field.name.as_str());
    }
    Ok(fields)
}

fn exists(kind: &str, name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("there is a {kind} {name:?}"))
}

/// Checks that something of a kind has a name.
pub(super) async fn found(transaction: &Transaction, kind: Kind, name: &str) -> Result<()> {
    match kind {
        Kind::Table => transaction.table(name).await.map(drop),
        Kind::View => transaction.view(name).await.map(drop),
        Kind::Schema => transaction.list(Some(name)).await.map(drop),
    }
}

async fn stands(transaction: &Transaction, kind: Kind, name: &str) -> Result<bool> {
    match found(transaction, kind, name).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn drop_all(transaction: &Transaction, kind: Kind, names: &[String], if_exists: bool) -> Result<()> {
    for name in names {
        match found(transaction, kind, name).await {
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(()) if kind == Kind::Schema => transaction.drop_namespace(name).await?,
            Ok(()) => transaction.drop_table(name).await?,
        }
    }
    Ok(())
}

/// The names that a query gives to queries of its own.
fn ctes(query: &Query) -> Vec<String> {
    struct Ctes(Vec<String>);
    impl Visitor for Ctes {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(tables.map(|table| folded(&table.alias.name)));
            ControlFlow::Continue(())
        }
    }
    let mut ctes = Ctes(Vec::new());
    let _ = query.visit(&mut ctes);
    ctes.0
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// Gives the tables of a view's query names that mean the same in every session.
struct Settle<'s> {
    catalog: &'s str,
    schema: &'s str,
    ctes: Vec<String>,
}

impl VisitorMut for Settle<'_> {
    type Break = Error;

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<Error> {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
        match parts.as_deref() {
            Some([catalog, _, _]) if folded(catalog) == self.catalog => drop(name.0.remove(0)),
            Some([_, _, _]) => {
                let message = format!("{name} is not in the lake: a view reads only what is");
                return ControlFlow::Break(invalid(message));
            }
            Some([table]) if self.schema != PUBLIC && !self.ctes.contains(&folded(table)) => {
                name.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('"', self.schema)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Run<'_> {
    /// A query as a frame that nothing has read from yet.
    pub(super) async fn planned(&self, mut query: Query) -> Result<datafusion::dataframe::DataFrame> {
        use datafusion::sql::parser::Statement as DfStatement;
        use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
        Box::pin(travel::replace_in(self.ctx, &self.standing.at(), &mut query)).await?;
        let statement = DfStatement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        let plan = Box::pin(self.plan(statement)).await.map_err(|error| match lake_error(&error) {
            Some(_) => refusal(&error),
            None => refusal(&error).at("the query"),
        })?;
        Ok(datafusion::dataframe::DataFrame::new(self.ctx.state(), plan))
    }
}
