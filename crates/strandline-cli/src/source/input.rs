//! A file or standard input, as bytes.
//!
//! What must be read twice, or from its end, and comes from standard input goes through a file that has no name.

use std::fs::File;
use std::io::{self, Read, Seek};

use strandline::Environment;

use crate::failure::{Failure, Result};

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
        let is_folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_folder {
            return Err(Failure::input(format!("{name}: this is a folder; name the files in it")));
        }
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
            Bytes::Stdin => Box::new(io::stdin()),
            Bytes::File(mut file) => {
                rewind(&mut file)?;
                Box::new(file)
            }
        })
    }

    /// The same as a file, which can be read from its end and more than once.
    pub(super) fn file(self) -> Result<File> {
        let mut file = match self.bytes {
            Bytes::File(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => file,
            Bytes::File(pipe) => spool(pipe, &self.folder)?,
            Bytes::Stdin => spool(io::stdin(), &self.folder)?,
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

/// What is left of a text behind its mark.
pub(super) type Text<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// A reader of text without the mark that some programs put before it. What is in UTF-16 or 32 is refused.
pub(super) fn text<R: Read>(mut reader: R) -> Result<Text<R>> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut begins = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut begins).map_err(|error| broken(&error))?;
    let is_wide = begins.starts_with(b"\xFF\xFE") || begins.starts_with(b"\xFE\xFF") || begins.contains(&0);
    if is_wide {
        let failure = Failure::input("it is not text in UTF-8, but in UTF-16 or 32");
        return Err(failure
            .hint("nothing was committed; `iconv -t UTF-8` writes it anew, after -f with what it is in"));
    }
    if begins.starts_with(MARK) {
        begins.drain(..MARK.len());
    }
    Ok(io::Cursor::new(begins).chain(reader))
}

fn broken(error: &io::Error) -> Failure {
    Failure::input(error.to_string())
}

fn rewind(file: &mut File) -> Result<()> {
    match file.rewind() {
        Ok(()) => Ok(()),
        // A pipe with a name is where it is.
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => Ok(()),
        Err(error) => Err(broken(&error)),
    }
}

fn spool(mut from: impl Read, folder: &str) -> Result<File> {
    let failed = |error: &io::Error| Failure::io(folder, error);
    let mut file = tempfile::tempfile_in(folder).map_err(|error| failed(&error))?;
    io::copy(&mut from, &mut file).map_err(|error| failed(&error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_before_the_text_is_no_part_of_it() {
        for (bytes, expected) in [
            (&b"\xEF\xBB\xBFid\n1\n"[..], Some("id\n1\n")),
            (b"id\n1\n", Some("id\n1\n")),
            (b"\xEF\xBB\xBF", Some("")),
            (b"i", Some("i")),
            (b"", Some("")),
            (b"\xFF\xFEi\0d\0", None),
            (b"\xFE\xFF\0i\0d", None),
            (b"i\0d\0", None),
        ] {
            let found = text(bytes).ok().map(|mut reader| {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                text
            });
            assert_eq!(found.as_deref(), expected, "{bytes:?}");
        }
    }
}
