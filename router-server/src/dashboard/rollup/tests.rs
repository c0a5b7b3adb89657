//! Sums by step of time.

use super::*;

fn group(key: Id) -> Group {
    Group { key, team: 0, deployment: 2, cause: 0, task: 1, way: 0 }
}

fn count(rollup: &mut Rollup, key: Id) {
    let most = rollup.most();
    let cell = rollup.tiers.first_mut().and_then(|tier| tier.open.cell(group(key), most));
    cell.unwrap().requests += 1;
}

fn requests(rollup: &Rollup, range: Range, wall_ms: u64) -> u64 {
    let steps = rollup.range(range, wall_ms);
    steps.iter().flat_map(|step| &step.cells).map(|(_, sums)| sums.requests).sum()
}

#[test]
fn every_range_counts_each_request_once_while_it_is_in_it() {
    let mut rollup = Rollup::default();
    let start = 1_795_046_400_000;
    for second in 0..7_200 {
        rollup.sample(start + second * 1_000, std::iter::empty());
        count(&mut rollup, 3);
    }
    let now = start + 7_199_000;
    for (range, expected) in
        [(Range::QuarterHour, 900), (Range::Hour, 3_600), (Range::SixHours, 7_200)]
    {
        let (step, _) = range.steps();
        let found = requests(&rollup, range, now);
        assert!(found.abs_diff(expected) <= step / 1_000, "{range:?}: {found}");
    }
    for range in [Range::Day, Range::Week] {
        assert_eq!(requests(&rollup, range, now), 7_200, "{range:?}");
    }
    // Older steps have left every range.
    let later = now + 3_600_000 * 24 * 8;
    rollup.sample(later, std::iter::empty());
    assert_eq!(requests(&rollup, Range::QuarterHour, later), 0);
    assert_eq!(requests(&rollup, Range::Week, later), 0);
}

#[test]
fn memory_is_bounded_and_what_is_beyond_it_is_counted_together() {
    let mut rollup = Rollup::default();
    rollup.sample(5_000, std::iter::empty());
    for key in 0..2_000 {
        count(&mut rollup, key);
    }
    assert_eq!(requests(&rollup, Range::QuarterHour, 5_000), 2_000);
    assert_eq!(rollup.tiers[0].open.cells.len(), MOST_GROUPS + 1);
    rollup.cells = MOST_CELLS;
    rollup.sample(10_000, std::iter::empty());
    rollup.cells = MOST_CELLS;
    for key in 0..2_000 {
        count(&mut rollup, key);
    }
    assert_eq!(rollup.tiers[0].open.cells.len(), FEW_GROUPS + 1);
}

#[test]
fn what_is_written_is_read_again() {
    let mut rollup = Rollup::default();
    rollup.names.id("chat_ptu");
    for second in 0..30 {
        let level = Level { samples: 1, used: 0.5, reserved: 0.25, peak: 0.75, usd: 0.1 };
        rollup.sample(1_000_000 + second * 1_000, [("chat_ptu", level)].into_iter());
        count(&mut rollup, 3);
    }
    let text = serde_json::to_string(&rollup).unwrap();
    let read: Rollup = serde_json::from_str(&text).unwrap();
    assert!(read.is_whole());
    assert_eq!(read.range(Range::Hour, 1_030_000), rollup.range(Range::Hour, 1_030_000));
    assert_eq!(read.names.find("chat_ptu"), rollup.names.find("chat_ptu"));
}
