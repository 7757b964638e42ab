//! Names of statements as names of the lake.
//!
//! Invariant: a name leads a statement to what it leads a query to: catalogs and schemas that are not said are the session's. What
//! does not belong here: which names are allowed, which is the format's rule.

use strandline::{ErrorKind, Result};

use super::{Run, invalid};
use crate::catalog::PUBLIC;
use crate::sql::names::Asked;
use crate::sql::statement::Name;

impl Run<'_> {
    /// The name in the lake of a table or view that is to be made or changed.
    pub(super) fn own_name(&self, name: &Name) -> Result<String> {
        let (schema, table) = self.placed(name)?;
        if !Asked::parse(&table).is_ok_and(|asked| asked.is_plain()) {
            return Err(invalid(format!(
                "{table:?} is only read: it is another version of a table, or what is known of one"
            )));
        }
        if table.contains('.') {
            return Err(invalid(format!(
                "{table:?} has a dot, which stands between the schema and the name"
            )));
        }
        Ok(full_name(&schema, &table))
    }

    /// The schema and the name of something in the lake.
    pub(super) fn placed(&self, name: &Name) -> Result<(String, String)> {
        let catalog = self.ctx.state().config_options().catalog.clone();
        let (from, schema, table) = match name.0.as_slice() {
            [table] => (&catalog.default_catalog, &catalog.default_schema, table),
            [schema, table] => (&catalog.default_catalog, schema, table),
            [from, schema, table] => (from, schema, table),
            _ => {
                return Err(invalid(format!(
                    "{name} has too many parts: a namespace within another is one name, \"a.b\""
                )));
            }
        };
        self.check_catalog(from, name)?;
        Ok((schema.clone(), table.clone()))
    }

    /// Whether a name says another catalog.
    pub(super) fn is_elsewhere(&self, name: &Name) -> bool {
        matches!(name.0.as_slice(), [catalog, _, _] if catalog != self.catalog)
    }

    /// The name in the lake of a namespace.
    pub(super) fn namespace(&self, name: &Name) -> Result<String> {
        let namespace = match name.0.as_slice() {
            [namespace] => namespace,
            [catalog, namespace] if catalog == self.catalog => namespace,
            _ => {
                return Err(invalid(format!(
                    "{name} is no schema of catalog {:?}; one within another is \"a.b\"",
                    self.catalog
                )));
            }
        };
        Ok(namespace.clone())
    }

    fn check_catalog(&self, catalog: &str, name: &Name) -> Result<()> {
        if catalog == self.catalog {
            return Ok(());
        }
        let message = format!(
            "{name} is not in catalog {:?}: this statement is of lakes, not of {catalog:?}",
            self.catalog
        );
        Err(strandline::Error::new(ErrorKind::Unsupported, message))
    }
}

/// The name in the lake of what has this name in a schema.
pub(super) fn full_name(schema: &str, name: &str) -> String {
    if schema == PUBLIC { name.to_owned() } else { format!("{schema}.{name}") }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
