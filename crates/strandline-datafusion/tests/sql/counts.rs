//! How many requests a query takes, and how many of them wait for each other.

use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, longs, paused, rows, session, table};

#[test]
fn a_cold_query_of_a_small_table_is_at_most_four_requests_deep() {
    paused(async {
        let counted = Counted::new().await;
        table(&counted.lake, "t", &[("id", longs(0..100))]).await;
        let query = async {
            let lake = counted.cold().await;
            rows(&session(&lake), "SELECT sum(id) FROM lake.public.t").await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["4950"]);
        assert!(counts.depth() <= 4, "{counts}");
        assert_eq!(counts.of_to(RequestKind::Get, PathClass::Data).requests, 1, "{counts}");
    });
}
