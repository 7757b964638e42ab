//! The rows that are written: TPC-H's `lineitem`, with its texts as the type that most programs have them in.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::LineItemArrow;

use crate::phase::Failure;

/// `lineitem` at a scale, in the batches that its generator gives.
pub(crate) fn lineitem(scale: f64) -> Result<Vec<RecordBatch>, Failure> {
    let schema = schema();
    LineItemArrow::new(LineItemGenerator::new(scale, 1, 1))
        .map(|batch| plain_texts(&batch?, &schema))
        .collect()
}

/// The schema of [`lineitem`].
pub(crate) fn schema() -> SchemaRef {
    let fields = LineItemArrow::schema_ref()
        .fields()
        .iter()
        .map(|field| {
            let ty = if *field.data_type() == DataType::Utf8View {
                DataType::Utf8
            } else {
                field.data_type().clone()
            };
            Field::new(field.name(), ty, field.is_nullable())
        })
        .collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn plain_texts(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
