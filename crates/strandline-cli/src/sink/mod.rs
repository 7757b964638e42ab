//! Rows that go to a file or to standard output, in one of the formats that people have.
//!
//! Invariant: a file stands under its name once it is whole, and not before; what is left of one that failed is removed.
//! What does not belong here: which rows they are (`commands/export`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::SchemaRef;
use strandline::arrow::ipc::writer::{FileWriter, StreamWriter};

use crate::failure::{Failure, Result};
use crate::output::{Delimited, Json};
use crate::progress::Progress;
use crate::source::Kind;

/// What bytes are written to.
type Bytes = Box<dyn Write + Send>;

/// Rows that are being written.
pub(crate) struct Sink {
    rows: Writer,
    target: Target,
}

enum Writer {
    Parquet(Box<ArrowWriter<Bytes>>),
    ArrowFile(Box<FileWriter<Bytes>>),
    ArrowStream(Box<StreamWriter<Bytes>>),
    Csv(Delimited),
    Ndjson(Json),
}

/// Where the bytes come to stand.
enum Target {
    /// Standard output, or what is no file: a pipe, a device. It has what was written as it comes.
    AsItComes,
    /// A file, and what it is called until it is whole.
    File { path: PathBuf, part: Part },
}

/// A file that is removed unless it is kept.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Sink {
    /// Begins to write to standard output.
    pub(crate) fn standard_output(kind: Kind, schema: &SchemaRef, progress: &Progress) -> Result<Self> {
        Self::as_it_comes(Box::new(BufWriter::new(progress.writing(io::stdout()))), kind, schema)
    }

    fn as_it_comes(bytes: Bytes, kind: Kind, schema: &SchemaRef) -> Result<Self> {
        Ok(Self { rows: Writer::open(bytes, kind, schema, false)?, target: Target::AsItComes })
    }

    /// Begins to write. A file that is there stays as it is unless it may be replaced; pipes and devices are written to.
    pub(crate) fn open(
        name: &str,
        kind: Kind,
        schema: &SchemaRef,
        replace: bool,
        progress: &Progress,
    ) -> Result<Self> {
        let path = led_to(name).map_err(|error| Failure::io(name, &error))?;
        let there = fs::metadata(&path).ok();
        if there.as_ref().is_some_and(|there| there.is_dir()) {
            return Err(Failure::io(name, &io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            let opened = OpenOptions::new().write(true).open(&path);
            let opened = opened.map_err(|error| Failure::io(name, &error))?;
            return Self::as_it_comes(Box::new(BufWriter::new(progress.writing(opened))), kind, schema);
        }
        if there.is_some() && !replace {
            let failure = Failure::io(name, &io::Error::from(io::ErrorKind::AlreadyExists));
            return Err(failure.hint("--force replaces it"));
        }
        let part = Part(part_of(&path));
        let file = File::create(&part.0).map_err(|error| Failure::io(name, &error))?;
        let bytes = Box::new(BufWriter::new(progress.writing(file)));
        let rows = Writer::open(bytes, kind, schema, true)?;
        Ok(Self { rows, target: Target::File { path, part } })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.rows {
            Writer::Parquet(writer) => Ok(writer.write(batch)?),
            Writer::ArrowFile(writer) => Ok(writer.write(batch)?),
            Writer::ArrowStream(writer) => Ok(writer.write(batch)?),
            Writer::Csv(writer) => writer.batch(batch),
            Writer::Ndjson(writer) => writer.batch(batch),
        }
    }

    /// Writes what is left, and gives the file its name.
    pub(crate) fn finish(self) -> Result<()> {
        self.rows.finish()?;
        match self.target {
            Target::AsItComes => Ok(()),
            Target::File { path, part } => Ok(fs::rename(&part.0, &path)?),
        }
    }
}

impl Writer {
    fn open(bytes: Bytes, kind: Kind, schema: &SchemaRef, is_file: bool) -> Result<Self> {
        Ok(match kind {
            Kind::Parquet => {
                let compression = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(compression).build();
                Self::Parquet(Box::new(ArrowWriter::try_new(bytes, schema.clone(), Some(properties))?))
            }
            Kind::Arrow if is_file => Self::ArrowFile(Box::new(FileWriter::try_new(bytes, schema)?)),
            Kind::Arrow => Self::ArrowStream(Box::new(StreamWriter::try_new(bytes, schema)?)),
            Kind::Csv => Self::Csv(Delimited::of_schema(bytes, schema)),
            Kind::Ndjson => Self::Ndjson(Json::lines(bytes)),
        })
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Parquet(writer) => Ok(writer.into_inner()?.flush()?),
            Self::ArrowFile(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner()?.flush()?)
            }
            Self::ArrowStream(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner()?.flush()?)
            }
            Self::Csv(writer) => writer.finish(),
            Self::Ndjson(writer) => writer.finish(),
        }
    }
}

/// So many links lead on to each other at most.
const LINKS: usize = 40;

/// What a name leads to: of a link that is meant, also where nothing stands there yet.
fn led_to(name: &str) -> io::Result<PathBuf> {
    let mut path = PathBuf::from(name);
    for _ in 0..LINKS {
        if fs::metadata(&path).is_ok() {
            // What `/dev/fd` leads to may have no name of its own.
            return Ok(fs::canonicalize(&path).unwrap_or(path));
        }
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    fs::canonicalize(name)
}

/// What a file is called until it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}
