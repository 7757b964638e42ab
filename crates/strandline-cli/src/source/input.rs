//! A file or standard input, as bytes.
//!
//! What must be read twice, or from its end, and comes from standard input goes through a file that has no name.

use std::fs::File;
use std::io::{self, Read, Seek};

use strandline::Environment;

use super::waiting::Waiting;
use crate::failure::{Failure, Result};
use crate::interrupt;

/// Where spooled input goes, if the environment says nothing.
const FOLDER: &str = "/tmp";

/// Where bytes come from.
#[derive(Debug)]
pub(crate) struct Input {
    name: String,
    bytes: Bytes,
    folder: String,
}

#[derive(Debug)]
enum Bytes {
    Stdin,
    File(File),
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(name: &str, environment: &dyn Environment) -> Result<Self> {
        let folder = ["TMPDIR", "TEMP", "TMP"].into_iter().find_map(|name| environment.variable(name));
        let folder = folder.unwrap_or_else(|| FOLDER.to_owned());
        if name == "-" {
            return Ok(Self { name: "standard input".to_owned(), bytes: Bytes::Stdin, folder });
        }
        let file = File::open(name).map_err(|error| Failure::io(name, &error))?;
        Ok(Self { name: name.to_owned(), bytes: Bytes::File(file), folder })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes it has, if that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Stdin => None,
            Bytes::File(file) => {
                file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
            }
        }
    }

    /// All bytes once, from the beginning.
    pub(super) fn read(self) -> Result<Box<dyn Read + Send>> {
        Ok(match self.bytes {
            Bytes::Stdin => Box::new(waiting(io::stdin())),
            Bytes::File(mut file) if is_kept(&file) => {
                rewind(&mut file)?;
                Box::new(file)
            }
            Bytes::File(pipe) => Box::new(waiting(pipe)),
        })
    }

    /// The same as a file, which can be read from its end and more than once.
    pub(super) fn file(self) -> Result<File> {
        let mut file = match self.bytes {
            Bytes::File(file) if is_kept(&file) => file,
            Bytes::File(pipe) => spool(waiting(pipe), &self.folder)?,
            Bytes::Stdin => spool(waiting(io::stdin()), &self.folder)?,
        };
        rewind(&mut file)?;
        Ok(file)
    }

    /// The same, backed by a file whatever it was.
    pub(super) fn seekable(self) -> Result<Self> {
        let (name, folder) = (self.name.clone(), self.folder.clone());
        Ok(Self { bytes: Bytes::File(self.file()?), name, folder })
    }

    /// Another handle to the same bytes, to be read before this one.
    pub(super) fn again(&self) -> Result<File> {
        match &self.bytes {
            Bytes::File(file) => {
                let mut file = file.try_clone().map_err(|error| broken(&error))?;
                rewind(&mut file)?;
                Ok(file)
            }
            Bytes::Stdin => Err(Failure::input("standard input can be read only once")),
        }
    }
}

/// Whether a file can be read more than once, and not only as it comes.
fn is_kept(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn waiting(reader: impl Read + Send + 'static) -> Waiting {
    Waiting::on(reader, interrupt::was_pressed)
}

fn broken(error: &io::Error) -> Failure {
    Failure::input(error.to_string())
}

fn rewind(file: &mut File) -> Result<()> {
    file.rewind().map_err(|error| broken(&error))
}

fn spool(mut from: impl Read, folder: &str) -> Result<File> {
    let failed = |error: &io::Error| Failure::io(folder, error);
    let mut file = tempfile::tempfile_in(folder).map_err(|error| failed(&error))?;
    io::copy(&mut from, &mut file).map_err(|error| failed(&error))?;
    Ok(file)
}
