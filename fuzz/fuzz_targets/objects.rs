//! Every kind of object but tree nodes: whatever bytes come in, it is refused, or it is written so that it reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandline_format::{Commit, Lake, Namespace, Pointer, Schema, Table, Tag, View};

macro_rules! reads_back {
    ($bytes:expr, $($name:ident),*) => {
        $(if let Ok(read) = $name::parse($bytes)
            // A pack may be longer than a writer may make it; nothing else that is read cannot be written.
            && let Ok(text) = read.to_json()
        {
            assert_eq!($name::parse(&text).as_ref(), Ok(&read));
        })*
    };
}

fuzz_target!(|bytes: &[u8]| {
    reads_back!(bytes, Commit, Lake, Namespace, Pointer, Schema, Table, Tag, View);
});
