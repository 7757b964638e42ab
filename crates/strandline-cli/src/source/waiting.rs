//! Bytes that may be long in coming, from a pipe or a person: whoever waits for them stops as soon as Ctrl-C is pressed.
//!
//! A read that blocks cannot be taken back. So a thread makes it that nobody waits for, and that ends with the process at the latest; it holds no more than
//! some chunks.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use strandline_datafusion::text::CHUNK;

/// How many chunks are read ahead.
const AHEAD: usize = 4;

/// How often one looks whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// A reader that stops when it is told to.
pub(super) struct Waiting {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    stops: fn() -> bool,
}

impl Waiting {
    /// Reads from this until it is to stop.
    pub(super) fn on(reader: impl Read + Send + 'static, stops: fn() -> bool) -> Self {
        let (sender, chunks) = sync_channel(AHEAD);
        std::thread::spawn(move || hand_on(reader, &sender));
        Self { chunks, chunk: io::Cursor::default(), stops }
    }
}

fn hand_on(mut reader: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match reader.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map(|count| {
                chunk.truncate(count);
                chunk
            }),
        };
        let is_last = read.as_ref().map_or(true, Vec::is_empty);
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if (self.stops)() {
                return Err(io::Error::other("interrupted"));
            }
            match self.chunks.recv_timeout(TICK) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, and then nothing for ever.
    struct Stuck(&'static [u8]);

    impl Read for Stuck {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                loop {
                    std::thread::park();
                }
            }
            self.0.read(buffer)
        }
    }

    #[test]
    fn all_bytes_come_through() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
        let mut through = Vec::new();
        Waiting::on(io::Cursor::new(bytes.clone()), || false).read_to_end(&mut through).unwrap();
        assert_eq!(through, bytes);
    }

    #[test]
    fn who_waits_for_what_never_comes_stops() {
        let (mut waiting, mut buffer) = (Waiting::on(Stuck(b"id\n"), || false), [0; 10]);
        assert_eq!(waiting.read(&mut buffer).unwrap(), 3);
        waiting.stops = || true;
        assert_eq!(waiting.read(&mut buffer).unwrap_err().to_string(), "interrupted");
    }
}
