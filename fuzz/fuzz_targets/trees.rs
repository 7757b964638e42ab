//! Nodes and roots of the three trees, and what a parent says of a node.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandline_format::tree::{Node, Root, TreeKind};
use strandline_format::{Catalog, Era, Files, History};

fn read<K: TreeKind>(bytes: &[u8]) {
    if let Ok(node) = Node::<K>::parse(bytes) {
        let (child, encoded) = node.encode(Era(1)).expect("a node that was read is written");
        assert_eq!(Node::<K>::parse(&encoded.text).as_ref(), Ok(&node));
        assert_eq!(child.reference.check(node.level(), &node), Ok(()));
    }
    if let Ok(root) =
        std::str::from_utf8(bytes).map_err(drop).and_then(|text| K::parse_root(text).map_err(drop))
    {
        let text = K::write_root(&root).expect("a root that was read is written");
        assert_eq!(K::parse_root(&text), Ok(root) as Result<Root<K>, _>);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read::<Files>(bytes);
    read::<Catalog>(bytes);
    read::<History>(bytes);
});
