//! Tags: set, moved, deleted, and what is refused.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::{ErrorKind, Lake};
use strandline_testkit::VirtualClock;

use crate::fixture::paused;
use crate::past::{branch, grow, hour, storage};

#[test]
fn a_tag_is_set_moved_under_a_check_and_deleted() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::create_in(storage(&store, 1, &VirtualClock::at(hour(1)))).await.unwrap();
        grow(&lake, "main", 4).await;
        let at = async |text: &str| lake.at(text).await.unwrap().commit().hash();
        let set = lake.create_tag("v/1").on("main~").author("ada").message("first").await.unwrap();
        assert_eq!((set.version.0, set.author.as_str(), set.message.as_str()), (3, "ada", "first"));
        assert_eq!((set.branch.as_str(), set.time), ("main", hour(1)));
        assert_eq!(lake.tags().await.unwrap(), std::slice::from_ref(&set));
        let refused = async |tag: strandline::refs::CreateTag| tag.await.unwrap_err().kind();
        assert_eq!(refused(lake.create_tag("V/1").on("main")).await, ErrorKind::AlreadyExists);
        let (third, fourth) = (at("main~").await, at("main").await);
        assert_eq!(refused(lake.create_tag("v/1").expecting(fourth)).await, ErrorKind::Conflict);
        assert_eq!(refused(lake.create_tag("x").expecting(fourth)).await, ErrorKind::NotFound);
        let moved = lake.create_tag("v/1").expecting(third).await.unwrap();
        assert_eq!((moved.commit, at("v/1").await), (fourth, fourth));
        lake.create_tag("v/1").on("main@{0}").moving().await.unwrap();
        lake.create_tag("fresh").moving().await.unwrap();
        let error = lake.delete_tag("v/1").expecting(fourth).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        lake.delete_tag("v/1").await.unwrap();
        assert_eq!(lake.delete_tag("v/1").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(lake.tags().await.unwrap().len(), 1);
        assert_eq!(lake.create_tag("v/1").await.unwrap().version.0, 4);
        assert!(lake.branch(&branch("main")).await.unwrap().pointer().pins().is_empty());
        assert_eq!(refused(lake.create_tag("x").message("m".repeat(70_000))).await, ErrorKind::InvalidInput);
    });
}
