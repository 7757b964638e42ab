//! Round trips, damage, unknown members, for every object.

use std::fmt::Debug;

use proptest::prelude::*;
use serde_json::Value as Json;
use strandline_format::*;

use crate::generate;

/// Round trip, unknown members, and bytes changed at random.
fn check<T: PartialEq + Debug>(
    value: &T,
    write: fn(&T) -> Result<Vec<u8>>,
    parse: fn(&[u8]) -> Result<T>,
    damage: &[(prop::sample::Index, u8)],
) -> std::result::Result<(), TestCaseError> {
    let text = write(value).unwrap();
    prop_assert_eq!(&parse(&text).unwrap(), value);
    prop_assert!(text.starts_with(b"{\"format\":1,\"kind\":\""), "the first two members");
    let more = [&text[..text.len() - 1], br#","x-unknown":{"a":[1,null]}}"#].concat();
    prop_assert_eq!(&parse(&more).unwrap(), value, "unknown members are ignored");
    let newer = String::from_utf8(text.clone()).unwrap().replacen("\"format\":1", "\"format\":2", 1);
    prop_assert_eq!(parse(newer.as_bytes()).unwrap_err().kind(), ErrorKind::Unsupported);

    let mut damaged = text.clone();
    for (at, byte) in damage {
        let at = at.index(damaged.len());
        damaged[at] = *byte;
        if let Ok(read) = parse(&damaged) {
            prop_assert_eq!(&parse(&write(&read).unwrap()).unwrap(), &read);
        }
    }
    for (at, _) in damage {
        prop_assert!(parse(&text[..at.index(text.len())]).is_err(), "a text that is cut is no object");
    }
    for twice in 0..members(&text).len() {
        prop_assert_eq!(parse(&repeat(&text, twice)).unwrap_err().kind(), ErrorKind::Malformed);
    }
    Ok(())
}

fn members(text: &[u8]) -> serde_json::Map<String, Json> {
    serde_json::from_slice(text).unwrap()
}

/// The object with one of its members written twice.
fn repeat(text: &[u8], at: usize) -> Vec<u8> {
    let (name, value) = members(text).into_iter().nth(at).unwrap();
    let again = format!(",{}:{value}}}", Json::from(name));
    [&text[..text.len() - 1], again.as_bytes()].concat()
}

fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"0123456789{}[]\",:-aeflnrstu".to_vec())];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 1..5)
}

macro_rules! objects {
    ($($test:ident: $object:ident from $strategy:path;)*) => {
        proptest! {
            $(#[test]
            fn $test(value in $strategy(), damage in damage()) {
                check(&value, $object::to_json, $object::parse, &damage)?;
            })*
        }
    };
}

objects! {
    lakes: Lake from generate::lake;
    pointers: Pointer from generate::pointer;
    tags: Tag from generate::tag;
    commits: Commit from generate::commit;
    tables: Table from generate::table;
    views: View from generate::view;
    namespaces: Namespace from generate::namespace;
    schemas: Schema from generate::schema;
}
