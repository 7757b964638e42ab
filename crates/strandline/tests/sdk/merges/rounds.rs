//! What a merge costs after many rounds of picks and merges, of which the merges record nothing, since all that they bring was picked before [MRG-3].

use super::*;

/// A round of work between `main` and `dev`, after which both have the row of the round.
#[derive(Clone, Copy, Debug)]
enum Round {
    /// A commit of `dev` is picked, and `dev` merged.
    OneWay,
    /// The same, and `main` merged back.
    BothWays,
    /// A commit of each is picked by the other one, and then they are merged in turn.
    Crosswise,
    /// `main` and a third branch pick the commit, and `dev` comes to `main` by way of the third one.
    ByThird,
}

async fn put(lake: &Lake, branch: &str, u: i64) {
    on(lake, branch, async |on| on.append("t", rows(&[(u, 1, 1)])).await.map(drop).unwrap()).await;
}

async fn pick(lake: &Lake, of: &str, on: &str) {
    lake.cherry_pick(of).on(on).await.unwrap().committed().unwrap();
}

/// Goes through a round; what its last merge read in a process that has read nothing before.
async fn round(counted: &Counted, kind: Round, at: i64) -> u64 {
    let lake = reopened(counted).await;
    put(&lake, "dev", 100 + 2 * at).await;
    if matches!(kind, Round::Crosswise) {
        put(&lake, "main", 101 + 2 * at).await;
        pick(&lake, "main", "dev").await;
        pick(&lake, "dev~", "main").await;
    } else {
        pick(&lake, "dev", "main").await;
    }
    if matches!(kind, Round::ByThird) {
        pick(&lake, "dev", "third").await;
    }
    let ways: &[(&str, &str)] = match kind {
        Round::ByThird => &[("dev", "third"), ("third", "main")],
        Round::OneWay => &[("dev", "main")],
        Round::BothWays => &[("dev", "main"), ("main", "dev")],
        Round::Crosswise if at % 2 == 0 => &[("dev", "main")],
        Round::Crosswise => &[("main", "dev")],
    };
    let mut reads = 0;
    for (from, into) in ways {
        let lake = reopened(counted).await;
        let (_, counts) = counted.store.measure(merge(&lake, from, into)).await;
        reads = counts.reads().requests;
    }
    reads
}

async fn reopened(counted: &Counted) -> Lake {
    open(counted.cold().storage).await.unwrap()
}

#[test]
fn a_merge_after_many_picks_reads_no_more_than_a_little_for_each() {
    for kind in [Round::OneWay, Round::BothWays, Round::Crosswise, Round::ByThird] {
        paused(async {
            let (counted, lake) = tens().await;
            lake.create_branch("third").await.unwrap();
            put(&lake, "main", 10).await;
            let mut reads = Vec::new();
            for at in 0..12 {
                reads.push(round(&counted, kind, at).await);
            }
            // The merges have recorded nothing, so each of them is asked for, and each copy of a commit.
            for (at, (early, late)) in reads.iter().zip(&reads[6..]).enumerate() {
                assert!(late - early.min(late) <= 6 * 10, "{kind:?}, round {}: {reads:?}", at + 6);
            }
            check_whole(&lake, "after the rounds").await;
        });
    }
}
