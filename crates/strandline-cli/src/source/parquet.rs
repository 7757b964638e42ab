//! Parquet.
//!
//! The times of old writers (INT96) are read as nanoseconds, and the reader of Arrow lets those wrap around that are too far from
//! 1970 for 64 bits of them. So such columns are read once more, as microseconds, and what is not the same time is refused.

use std::fs::File;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as Physical;
use parquet::schema::types::SchemaDescriptor;
use strandline::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use strandline::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Schema, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use super::{BATCH_ROWS, Input, Source, unreadable};
use crate::failure::{Failure, Result};
use crate::progress::Progress;

pub(super) fn open(input: Input, progress: &Progress) -> Result<Source> {
    let (size, file) = (input.size(), input.file()?);
    let mut old = OldTimes::of(&file)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let (schema, rows) = (builder.schema().clone(), builder.metadata().file_metadata().num_rows());
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable)?;
    // Columns are read side by side, so bytes say nothing of how far it is: rows do.
    let share = Share { bytes: size.unwrap_or_default(), rows: u64::try_from(rows).unwrap_or_default() };
    let progress = progress.clone();
    Ok(Source::new(
        schema,
        batches.map(move |batch| {
            let batch = batch.map_err(unreadable)?;
            if let Some(old) = &mut old {
                old.check(&batch)?;
            }
            progress.read(share.of(batch.num_rows() as u64));
            Ok(batch)
        }),
    ))
}

/// The same rows once more, of the columns that have old times in them, as microseconds.
struct OldTimes(ParquetRecordBatchReader);

impl OldTimes {
    /// If there are such columns.
    fn of(file: &File) -> Result<Option<Self>> {
        let again = || file.try_clone().map_err(unreadable);
        let builder = ParquetRecordBatchReaderBuilder::try_new(again()?).map_err(unreadable)?;
        let columns = builder.parquet_schema();
        if !columns.columns().iter().any(|column| column.physical_type() == Physical::INT96) {
            return Ok(None);
        }
        let mut leaf = 0;
        let fields = as_micros(builder.schema().fields(), columns, &mut leaf);
        let is_old = |(field, known): (&FieldRef, &FieldRef)| field.data_type() != known.data_type();
        let pairs = fields.iter().zip(builder.schema().fields());
        let places: Vec<usize> =
            pairs.enumerate().filter(|(_, pair)| is_old(*pair)).map(|(at, _)| at).collect();
        let mask = ProjectionMask::roots(columns, places);
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(again()?, options);
        let builder = builder.map_err(unreadable)?.with_projection(mask).with_batch_size(BATCH_ROWS);
        Ok(Some(Self(builder.build().map_err(unreadable)?)))
    }

    /// Refuses times that nanoseconds do not reach.
    fn check(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(micros) = self.0.next().transpose().map_err(unreadable)? else { return Ok(()) };
        for (field, micros) in micros.schema_ref().fields().iter().zip(micros.columns()) {
            let nanos = batch.column_by_name(field.name());
            if nanos.is_some_and(|nanos| !is_same(nanos, micros)) {
                let text = "a time is farther from 1970 than nanoseconds reach, and INT96 is read as those";
                return Err(Failure::input(format!("column {:?}: {text}", field.name())));
            }
        }
        Ok(())
    }
}

/// The same fields, old times as microseconds. `leaf` is the place of the next column of the file.
fn as_micros(fields: &Fields, columns: &SchemaDescriptor, leaf: &mut usize) -> Fields {
    fields.iter().map(|field| as_micro(field, columns, leaf)).collect()
}

fn as_micro(field: &FieldRef, columns: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(as_micros(fields, columns, leaf)),
        DataType::List(element) => DataType::List(as_micro(element, columns, leaf)),
        DataType::LargeList(element) => DataType::LargeList(as_micro(element, columns, leaf)),
        DataType::FixedSizeList(element, size) => {
            DataType::FixedSizeList(as_micro(element, columns, leaf), *size)
        }
        DataType::Map(entries, sorted) => DataType::Map(as_micro(entries, columns, leaf), *sorted),
        single => {
            let column = columns.columns().get(*leaf);
            *leaf += 1;
            match column.is_some_and(|column| column.physical_type() == Physical::INT96) {
                true => DataType::Timestamp(TimeUnit::Microsecond, None),
                false => single.clone(),
            }
        }
    };
    Arc::new(Field::clone(field).with_data_type(ty))
}

/// Whether all times are the same but for what microseconds do not have.
fn is_same(nanos: &ArrayRef, micros: &ArrayRef) -> bool {
    const NANOS: i64 = 1_000;
    if let (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(TimeUnit::Microsecond, _)) =
        (nanos.data_type(), micros.data_type())
    {
        let nanos = nanos.as_primitive::<TimestampNanosecondType>();
        let micros = micros.as_primitive::<TimestampMicrosecondType>();
        let mut pairs = nanos.iter().zip(micros);
        return pairs.all(|(nanos, micros)| nanos.map(|nanos| nanos.div_euclid(NANOS)) == micros);
    }
    let (nanos, micros) = (nanos.to_data(), micros.to_data());
    let mut parts = nanos.child_data().iter().zip(micros.child_data());
    parts.all(|(nanos, micros)| is_same(&make_array(nanos.clone()), &make_array(micros.clone())))
}

/// How many bytes so many rows are worth.
#[derive(Clone, Copy)]
struct Share {
    bytes: u64,
    rows: u64,
}

impl Share {
    fn of(self, rows: u64) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1));
        u64::try_from(bytes).unwrap_or(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A file with a time, and a list of that time, at so many days since 1970.
    fn file(days: &[i32]) -> File {
        const DAY_OF_1970: i32 = 2_440_588;
        let text = "message m { optional int32 n; required int96 t; repeated int96 l; }";
        let schema = Arc::new(parse_message_type(text).unwrap());
        let mut file = tempfile::tempfile_in("/tmp").unwrap();
        let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::default()).unwrap();
        let times: Vec<Int96> = days
            .iter()
            .map(|days| Int96::from(vec![7, 0, u32::try_from(days + DAY_OF_1970).unwrap()]))
            .collect();
        let mut group = writer.next_row_group().unwrap();
        let levels = vec![0; days.len()];
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<parquet::data_type::Int32Type>().write_batch(&[], Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ones = vec![1; days.len()];
        column.typed::<Int96Type>().write_batch(&times, Some(&ones), Some(&levels)).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        file
    }

    fn check(days: &[i32], is_kept: bool) {
        let file = file(days);
        let mut old = OldTimes::of(&file).unwrap().unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batch = builder.with_batch_size(BATCH_ROWS).build().unwrap().next().unwrap().unwrap();
        assert_eq!(old.check(&batch).is_ok(), is_kept, "{days:?}");
        for column in ["t", "l"] {
            let nanos = batch.project(&[batch.schema().index_of(column).unwrap()]).unwrap();
            let mut old = OldTimes::of(&self::file(days)).unwrap().unwrap();
            assert_eq!(old.check(&nanos).is_ok(), is_kept, "{column} {days:?}");
        }
    }

    #[test]
    fn old_times_that_nanoseconds_do_not_reach_are_refused() {
        check(&[0, 20_484, -20_484], true);
        // In the year 2262, and in the one behind it; the end of all years, as many systems have it.
        check(&[106_751], true);
        check(&[0, 106_752], false);
        check(&[2_932_896], false);
        check(&[-106_751], true);
        check(&[-106_752], false);
    }
}
