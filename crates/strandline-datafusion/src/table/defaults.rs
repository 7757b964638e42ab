//! What columns have where a statement gives nothing.

use std::collections::BTreeMap;

use datafusion::logical_expr::{Expr, lit};
use strandline::Table;
use strandline::columns::arrow_type;

use super::statistics::scalar;

/// The defaults of the columns that have one, by their names.
pub(super) fn defaults(table: &Table) -> BTreeMap<String, Expr> {
    let fields = table.schema().fields().iter();
    let defaults = fields.filter_map(|field| {
        let value = scalar(field.default.as_ref()?, &arrow_type(&field.ty))?;
        Some((field.name.as_str().to_owned(), lit(value)))
    });
    defaults.collect()
}
