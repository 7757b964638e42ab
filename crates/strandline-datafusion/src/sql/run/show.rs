//! `SHOW` and `DESCRIBE`.
//!
//! Invariant: what is shown is of where the session stands, an open transaction included. What does not belong here: what listings
//! of versions, files and refs hold (`inspect`).

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use strandline::ErrorKind;
use strandline::format::{EntryType, Field};

use super::Run;
use super::names::full_name;
use crate::catalog::{At, PUBLIC};
use crate::error::{external, refused};
use crate::inspect::{self, Listing, Refs};
use crate::sql::lookup;
use crate::sql::names::{Asked, Inspection};
use crate::sql::statement::{Name, Show};
use crate::table::LakeTable;

impl Run<'_> {
    pub(super) async fn show(&self, show: Show) -> Result<DataFrame> {
        match show {
            Show::Branches => self.refs(Refs::Branches, &["name", "version", "time", "oldest", "commit"]),
            Show::Tags => {
                self.refs(Refs::Tags, &["name", "version", "time", "branch", "author", "message", "commit"])
            }
            Show::Schemas => self.schemas().await,
            Show::Tables { within } => self.names(EntryType::Table, within).await,
            Show::Views { within } => self.names(EntryType::View, within).await,
            Show::Log { at, limit } => {
                self.listed(inspect::lake_log(&self.seen(), at, limit).map_err(external)?)
            }
            Show::History { table, limit } => self.history(&table, limit).await,
            Show::Current => self.current(),
        }
    }

    fn listed(&self, listing: Listing) -> Result<DataFrame> {
        self.ctx.read_table(Arc::new(listing))
    }

    pub(super) fn rows(&self, columns: Vec<(&str, ArrayRef)>) -> Result<DataFrame> {
        self.ctx.read_batch(RecordBatch::try_from_iter(columns)?)
    }

    fn refs(&self, which: Refs, columns: &[&str]) -> Result<DataFrame> {
        self.listed(inspect::lake_refs(&self.seen(), which).map_err(external)?)?.select_columns(columns)
    }

    fn current(&self) -> Result<DataFrame> {
        let place = match &self.standing.place {
            At::Ref(at) => at
                .tag()
                .cloned()
                .map_or_else(|| format!("{}@{{{}}}", at.branch(), at.version()), |tag| format!("tag:{tag}")),
            place => crate::sql::reference::of(place).base().to_string().replacen("branch:", "", 1),
        };
        self.rows(vec![("branch", texts([place]))])
    }

    async fn schemas(&self) -> Result<DataFrame> {
        let names = self.seen().names().await.map_err(external)?;
        let namespaces =
            names.iter().filter(|(_, kind)| *kind == EntryType::Namespace).map(|(name, _)| name.clone());
        self.rows(vec![("schema_name", texts([PUBLIC.to_owned()].into_iter().chain(namespaces)))])
    }

    /// The tables or views of one schema, or of all.
    async fn names(&self, kind: EntryType, within: Option<Name>) -> Result<DataFrame> {
        let within = within.map(|name| self.namespace(&name)).transpose().map_err(external)?;
        let seen = self.seen();
        if let Some(namespace) = within.as_deref().filter(|namespace| *namespace != PUBLIC) {
            seen.check_namespace(namespace).await.map_err(external)?;
        }
        let names = seen.names().await.map_err(external)?;
        let placed = names.iter().filter(|(_, found)| *found == kind).map(|(name, _)| placed_name(name));
        let wanted = |schema: &str| within.as_ref().is_none_or(|within| within.eq_ignore_ascii_case(schema));
        let mut placed: Vec<(&str, &str)> = placed.filter(|(schema, _)| wanted(schema)).collect();
        placed.sort_unstable();
        let (schemas, names): (Vec<&str>, Vec<&str>) = placed.into_iter().unzip();
        self.rows(vec![("table_schema", texts(schemas)), ("table_name", texts(names))])
    }

    async fn history(&self, name: &Name, limit: Option<u64>) -> Result<DataFrame> {
        let (schema, table) = self.placed(name).map_err(external)?;
        let asked = Asked::parse(&table).map_err(external)?;
        if asked.inspection.is_some() {
            return Err(refused(
                ErrorKind::InvalidInput,
                format!("{table:?} is no table, and has no history"),
            ));
        }
        let named = format!("{}${}", table, Inspection::History.as_str());
        let provider = self.provider(&schema, &named).await?;
        let frame = self.ctx.read_table(provider)?;
        match limit {
            Some(limit) => frame.limit(0, Some(usize::try_from(limit).unwrap_or(usize::MAX))),
            None => Ok(frame),
        }
    }

    /// What a name of a schema leads to.
    async fn provider(&self, schema: &str, table: &str) -> Result<Arc<dyn TableProvider>> {
        let seen = self.seen();
        match lookup::provider(&seen, |name| full_name(schema, name), table).await? {
            Some(provider) => Ok(provider),
            None => {
                let asked = Asked::parse(table).map_err(external)?;
                let missing = lookup::table_of(&seen, asked.reference, &full_name(schema, asked.table)).await;
                let missing =
                    missing.err().unwrap_or_else(|| super::invalid(format!("{table:?} changed meanwhile")));
                Err(external(missing))
            }
        }
    }

    pub(super) async fn describe(&self, name: Name) -> Result<DataFrame> {
        let (schema, table) = self.placed(&name).map_err(external)?;
        let provider = self.provider(&schema, &table).await?;
        match provider.downcast_ref::<LakeTable>() {
            Some(table) => self.fields(table),
            None => self.columns(provider.as_ref()),
        }
    }

    /// The columns of a table, as the table has them.
    fn fields(&self, table: &LakeTable) -> Result<DataFrame> {
        let (table, fields) = (table.table(), table.table().schema().fields());
        let text = |text: fn(&Field) -> Option<String>| -> ArrayRef {
            Arc::new(fields.iter().map(text).collect::<StringArray>())
        };
        let in_key = |field: &Field| Some(table.key().contains(&field.id));
        self.rows(vec![
            ("column_name", text(|field| Some(field.name.as_str().to_owned()))),
            ("data_type", text(|field| Some(type_text(&field.ty)))),
            ("is_nullable", text(|field| Some(if field.required { "NO" } else { "YES" }.to_owned()))),
            ("is_key", Arc::new(fields.iter().map(in_key).collect::<BooleanArray>())),
            ("default", text(|field| field.default.as_ref().map(inspect::value_text))),
            ("comment", text(|field| field.doc.clone())),
        ])
    }

    /// The columns of a view or a listing.
    fn columns(&self, provider: &dyn TableProvider) -> Result<DataFrame> {
        let schema = provider.schema();
        let text = |text: fn(&datafusion::arrow::datatypes::Field) -> String| {
            texts(schema.fields().iter().map(|field| text(field)))
        };
        self.rows(vec![
            ("column_name", text(|field| field.name().clone())),
            ("data_type", text(|field| field.data_type().to_string())),
            ("is_nullable", text(|field| if field.is_nullable() { "YES" } else { "NO" }.to_owned())),
        ])
    }
}

/// The schema and the name of what has this name in the lake.
fn placed_name(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((PUBLIC, name))
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A type in one line: `struct<a: int not null, b: list<string>>`.
fn type_text(ty: &strandline::format::Type) -> String {
    use strandline::format::Type;
    let part =
        |field: &Field| format!("{}{}", type_text(&field.ty), if field.required { " not null" } else { "" });
    match ty {
        Type::Primitive(ty) => ty.to_string(),
        Type::Struct(fields) => {
            let members: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name, part(field))).collect();
            format!("struct<{}>", members.join(", "))
        }
        Type::List(element) => format!("list<{}>", part(&element[0])),
        Type::Map(pair) => format!("map<{}, {}>", type_text(&pair[0].ty), part(&pair[1])),
    }
}
