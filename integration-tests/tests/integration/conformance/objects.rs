//! Objects: what was put is got, whole, in ranges, and in listings of several pages.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::ErrorKind;
use strandline::storage::DataKind;
use strandline_format::{Era, ObjectPath};

use super::Site;
use crate::attempt::{self, table};
use crate::crash::noise;
use crate::lake;

pub(super) fn round_trip(site: &Site) {
    let noise = Bytes::from(noise(12 << 20));
    lake::run(async {
        let writer = site.open().await;
        let texts = [Bytes::new(), Bytes::from_static(b"{}"), noise.slice(..4_096), noise.slice(..100_000)];
        for text in texts {
            let object = writer.objects().put_meta(text.clone(), Era(0)).await.unwrap();
            // Putting it again is harmless.
            assert_eq!(writer.objects().put_meta(text.clone(), Era(0)).await.unwrap(), object);
            // Another handle has nothing in its cache.
            assert_eq!(site.open().await.objects().get_meta(&object).await.unwrap(), text);
        }
        let objects = writer.objects();
        // One request, and one in parts.
        let put = objects.put_data(DataKind::File, table(), noise.slice(..1_000_000), Era(0)).await.unwrap();
        assert_eq!(objects.get_data(DataKind::File, table(), &put).await.unwrap(), noise.slice(..1_000_000));
        let written = attempt::write(&writer, &noise).await.unwrap();
        assert_eq!(objects.get_data(DataKind::DeletionVector, table(), &written).await.unwrap(), noise);
        let absent = objects.get_data(DataKind::DeletionVector, table(), &put).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::Corrupt, "{absent}");
    });
}

pub(super) fn ranges(site: &Site) {
    let noise = Bytes::from(noise(1_000_000));
    lake::run(async {
        let storage = site.open().await;
        let put = storage.objects().put_data(DataKind::File, table(), noise.clone(), Era(0)).await.unwrap();
        let path = DataKind::File.path(table(), &put);
        let get = async |ranges: &[std::ops::Range<u64>]| storage.objects().get_ranges(&path, ranges).await;
        let got = get(&[0..1, 10..20, 999_990..1_000_000]).await.unwrap();
        assert_eq!(got, [noise.slice(0..1), noise.slice(10..20), noise.slice(999_990..)]);
        for beyond in [999_990..1_000_001, 1_000_000..1_000_001, 2_000_000..2_000_010] {
            let error = get(std::slice::from_ref(&beyond)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{beyond:?}: {error}");
        }
    });
}

/// How many puts and deletes are under way.
const PARALLEL: usize = 16;

/// More names than a page has, flat, as a lake makes them below one of its folders.
pub(super) fn pages(site: &Site) {
    let count = site.page.unwrap_or(1_000) + 100;
    lake::run(async {
        let storage = site.open().await;
        let store = storage.objects().store();
        let paths: Vec<Path> = (0..count).map(|n| Path::from(format!("tmp/page/{n:05}.json"))).collect();
        let puts = paths.iter().map(|path| store.put(path, "{}".into()));
        stream::iter(puts).buffered(PARALLEL).try_for_each(async |_| Ok(())).await.unwrap();
        let listed: Vec<_> = store.list(Some(&Path::from("tmp/page"))).try_collect().await.unwrap();
        let mut found: Vec<Path> = listed.into_iter().map(|object| object.location).collect();
        found.sort();
        assert_eq!(found.len(), count);
        assert_eq!(found, paths);
        // What lies beside a folder of this name is not in it.
        assert_eq!(store.list(Some(&Path::from("tmp/pag"))).count().await, 0);
        let scratch = ObjectPath::parse("tmp/page/00000.json");
        assert_eq!(scratch, None, "nothing of this is taken for an object");
    });
}
