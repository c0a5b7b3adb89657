//! The text in which replicas tell each other what they know.
//!
//! One fact a line, fields between spaces, so that it can be read where it lies. A line that is not understood is passed over:
//! replicas of two versions work side by side while one replaces the other. Times are microseconds of the clock that all
//! share, so that nobody's own clock matters.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::CacheAffinity;
use crate::capacity::Conversation;
use crate::capacity::Ends;
use crate::capacity::LevelReading;
use crate::capacity::Taken;
use crate::capacity::TooLarge;
use crate::units::DeploymentName;
use crate::units::Tokens;

use super::delta::Delta;
use super::usage_report::UsageReport;

/// The clock that replicas share, as seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedClock {
    local: Instant,
    micros: u64,
}

/// Nothing that is told lies farther off.
const FARTHEST: Duration = Duration::from_secs(24 * 3_600);

impl SharedClock {
    /// At `local` it said `micros`.
    pub fn new(local: Instant, micros: u64) -> Self {
        Self { local, micros }
    }

    /// What it says at a moment of ours.
    pub fn micros(&self, at: Instant) -> u64 {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let later = micros(at.saturating_duration_since(self.local));
        let earlier = micros(self.local.saturating_duration_since(at));
        self.micros.saturating_add(later).saturating_sub(earlier)
    }

    /// How far from `now` it said `micros`, before it or after.
    pub fn away(&self, micros: u64, now: Instant) -> Duration {
        Duration::from_micros(self.micros(now).abs_diff(micros))
    }

    /// Our moment at which it says `micros`; `None` where that is more than a day off.
    pub fn local(&self, micros: u64) -> Option<Instant> {
        let away = Duration::from_micros(self.micros.abs_diff(micros));
        if away > FARTHEST {
            return None;
        }
        if micros >= self.micros {
            self.local.checked_add(away)
        } else {
            self.local.checked_sub(away)
        }
    }
}

/// What a replica tells at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Deltas of deployments.
    pub news: Vec<(DeploymentName, Vec<Delta>)>,
    /// Where conversations are at home.
    pub homes: Vec<(Conversation, CacheAffinity)>,
    /// What is new of keys' use.
    pub statement: Option<UsageReport>,
}

/// What a replica says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which replica.
    pub replica: Box<str>,
    /// When, by the shared clock.
    pub micros: u64,
    /// Of each provisioned deployment: the level of its copy, and what it will give back of what it has reserved.
    pub buckets: Vec<(DeploymentName, f64, f64)>,
    /// What keys have under way and used of late.
    pub statement: Option<UsageReport>,
}

impl Batch {
    /// True where there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.news.is_empty() && self.homes.is_empty() && self.statement.is_none()
    }

    /// As text.
    pub fn written(&self, clock: &SharedClock) -> String {
        let mut text = String::new();
        for (deployment, all) in &self.news {
            line(&mut text, format_args!("d {deployment}"));
            for news in all {
                write_news(&mut text, *news, clock);
            }
        }
        for (conversation, home) in &self.homes {
            let CacheAffinity { deployment, until, prefix, spilled } = home;
            let (number, until) = (conversation.number(), clock.micros(*until));
            let spilled = u8::from(*spilled);
            line(
                &mut text,
                format_args!("h {number:x} {deployment} {until} {} {spilled}", prefix.0),
            );
        }
        if let Some(statement) = &self.statement {
            statement.write(&mut text);
        }
        text
    }

    /// From text; what is not understood is left out.
    pub fn read(text: &str, clock: &SharedClock) -> Self {
        let mut bulletin = Self { statement: UsageReport::read(text), ..Self::default() };
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or_default();
            match kind {
                "d" => {
                    let name = DeploymentName::try_from(rest).ok();
                    bulletin.news.extend(name.map(|name| (name, Vec::new())));
                }
                "h" => bulletin.homes.extend(read_home(&mut rest.split(' '), clock)),
                kind => {
                    let news = read_news(kind, &mut rest.split(' '), clock);
                    if let (Some((_, all)), Some(news)) = (bulletin.news.last_mut(), news) {
                        all.push(news);
                    }
                }
            }
        }
        bulletin
    }
}

impl Report {
    /// As text.
    pub fn written(&self) -> String {
        let mut text = String::new();
        line(&mut text, format_args!("i {} {}", self.replica, self.micros));
        for (deployment, level, spare) in &self.buckets {
            line(&mut text, format_args!("b {deployment} {level:.3} {spare:.3}"));
        }
        if let Some(statement) = &self.statement {
            statement.write(&mut text);
        }
        text
    }

    /// From text; `None` where it does not say whose it is.
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (replica, micros) = lines.next()?.strip_prefix("i ")?.split_once(' ')?;
        let (replica, micros) = (replica.into(), micros.parse().ok()?);
        let statement = UsageReport::read(text);
        let mut report = Self { replica, micros, buckets: Vec::new(), statement };
        for line in lines {
            let bucket = || {
                let mut fields = line.strip_prefix("b ")?.split(' ');
                let name = DeploymentName::try_from(fields.next()?).ok()?;
                Some((name, amount(fields.next())?, amount(fields.next())?))
            };
            report.buckets.extend(bucket());
        }
        Some(report)
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    writeln!(text, "{what}").unwrap_or_default();
}

fn write_news(text: &mut String, news: Delta, clock: &SharedClock) {
    match news {
        Delta::Added { at, tokens } => {
            line(text, format_args!("a {} {tokens:.3}", clock.micros(at)));
        }
        Delta::LevelReading(LevelReading { at, over }) => {
            line(text, format_args!("l {} {over:.6}", clock.micros(at)));
        }
        Delta::Cooling { ends, faults } => {
            let end = |end: Option<Instant>| {
                end.map_or_else(|| "-".to_owned(), |end| clock.micros(end).to_string())
            };
            let (throttled, unavailable) = (end(ends.throttled), end(ends.unavailable));
            let (fault, misconfigured) = (end(ends.fault), end(ends.misconfigured));
            // A replica of an earlier version does not read the last field.
            line(
                text,
                format_args!("c {throttled} {fault} {misconfigured} {faults} {unavailable}"),
            );
        }
        Delta::Recovered(at) => line(text, format_args!("r {}", clock.micros(at))),
        Delta::TooLarge(TooLarge { from, until }) => {
            line(text, format_args!("t {} {}", from.0, clock.micros(until)));
        }
        Delta::Taken { at, taken: Taken { requests, tokens } } => {
            line(text, format_args!("q {} {requests} {tokens}", clock.micros(at)));
        }
    }
}

fn read_news<'t>(
    kind: &str,
    fields: &mut impl Iterator<Item = &'t str>,
    clock: &SharedClock,
) -> Option<Delta> {
    match kind {
        "a" => {
            Some(Delta::Added { at: time(fields.next(), clock)?, tokens: amount(fields.next())? })
        }
        "l" => Some(Delta::LevelReading(LevelReading {
            at: time(fields.next(), clock)?,
            over: amount(fields.next())?,
        })),
        "c" => {
            let (throttled, fault) = (fields.next()?, fields.next()?);
            let end = |written| time(Some(written), clock);
            let misconfigured = end(fields.next()?);
            let faults = fields.next()?.parse().ok()?;
            let unavailable = fields.next().and_then(end);
            let ends =
                Ends { throttled: end(throttled), unavailable, fault: end(fault), misconfigured };
            Some(Delta::Cooling { ends, faults })
        }
        "r" => Some(Delta::Recovered(time(fields.next(), clock)?)),
        "t" => {
            let from = Tokens(fields.next()?.parse().ok()?);
            Some(Delta::TooLarge(TooLarge { from, until: time(fields.next(), clock)? }))
        }
        "q" => {
            let at = time(fields.next(), clock)?;
            let requests = fields.next()?.parse().ok()?;
            let tokens = fields.next()?.parse().ok()?;
            Some(Delta::Taken { at, taken: Taken { requests, tokens } })
        }
        _ => None,
    }
}

fn read_home<'t>(
    fields: &mut impl Iterator<Item = &'t str>,
    clock: &SharedClock,
) -> Option<(Conversation, CacheAffinity)> {
    let conversation = Conversation::numbered(u64::from_str_radix(fields.next()?, 16).ok()?);
    let deployment = DeploymentName::try_from(fields.next()?).ok()?;
    let until = time(fields.next(), clock)?;
    let prefix = Tokens(fields.next()?.parse().ok()?);
    let spilled = fields.next()? == "1";
    Some((conversation, CacheAffinity { deployment, until, prefix, spilled }))
}

fn time(written: Option<&str>, clock: &SharedClock) -> Option<Instant> {
    clock.local(written?.parse().ok()?)
}

/// More than this is no amount of tokens or seconds.
const MOST: f64 = 1e12;

fn amount(written: Option<&str>) -> Option<f64> {
    written?.parse().ok().filter(|amount: &f64| amount.abs() <= MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(base: Instant, micros: u64) -> Instant {
        base + Duration::from_micros(micros)
    }

    fn news(base: Instant) -> impl Strategy<Value = Delta> {
        let time = move || (0u64..60_000_000).prop_map(move |micros| at(base, micros));
        let end = move || prop::option::of(time());
        prop_oneof![
            (time(), -900_000i32..900_000)
                .prop_map(|(at, tokens)| Delta::Added { at, tokens: f64::from(tokens) / 8.0 }),
            (time(), -500i32..500).prop_map(|(at, over)| Delta::LevelReading(LevelReading {
                at,
                over: f64::from(over) / 8.0
            })),
            (end(), end(), end(), end(), 0u32..9).prop_map(
                |(throttled, unavailable, fault, misconfigured, faults)| {
                    let ends = Ends { throttled, unavailable, fault, misconfigured };
                    Delta::Cooling { ends, faults }
                }
            ),
            time().prop_map(Delta::Recovered),
            (0u64..200_000, time())
                .prop_map(|(from, until)| Delta::TooLarge(TooLarge { from: Tokens(from), until })),
            (time(), 0u64..99, 0u64..99_999).prop_map(|(at, requests, tokens)| Delta::Taken {
                at,
                taken: Taken { requests, tokens }
            }),
        ]
    }

    proptest! {
        /// Two replicas whose own clocks differ understand each other.
        #[test]
        fn what_is_written_is_read(
            all in prop::collection::vec(news(Instant::now()), 0..20),
            (number, until, prefix, spilled) in (any::<u64>(), 0u64..9_000_000, 0u64..9_000, any::<bool>()),
        ) {
            let base = Instant::now();
            let clock = SharedClock::new(base, 1_700_000_000_000_000);
            let name = DeploymentName::try_from("kr_ptu").unwrap();
            let until = at(base, until);
            let home = CacheAffinity { deployment: name.clone(), until, prefix: Tokens(prefix), spilled };
            let homes = vec![(Conversation::numbered(number), home)];
            // The parts before this moment lose less than a microsecond.
            let all: Vec<Delta> = all.into_iter().map(|news| whole(news, &clock)).collect();
            let bulletin = Batch { news: vec![(name, all)], homes, statement: None };
            prop_assert_eq!(Batch::read(&bulletin.written(&clock), &clock), bulletin);
        }

        #[test]
        fn no_text_makes_it_fail(text in "([adlcrtqhib] )?[ a-z0-9.\n-]{0,60}") {
            let clock = SharedClock::new(Instant::now(), 1_700_000_000_000_000);
            Batch::read(&text, &clock);
            Report::read(&text);
        }
    }

    /// The same, rounded to the microseconds of the clock.
    fn whole(news: Delta, clock: &SharedClock) -> Delta {
        let mut text = String::new();
        write_news(&mut text, news, clock);
        let (kind, rest) = text.trim_end().split_once(' ').unwrap();
        read_news(kind, &mut rest.split(' '), clock).unwrap()
    }

    #[test]
    fn lines_of_a_later_version_are_passed_over() {
        let clock = SharedClock::new(Instant::now(), 1_700_000_000_000_000);
        let read =
            Batch::read("v 2\nd one\nz 1 2 3\nr 1700000000000000 more\nd BAD NAME\n", &clock);
        assert_eq!(read.news.len(), 1);
        assert_eq!(read.news[0].1.len(), 1);
        // A line before any deployment is nobody's, and a time of another age is no time.
        assert!(Batch::read("r 1700000000000000\n", &clock).is_empty());
        assert_eq!(Batch::read("d one\nr 1\nl 1700000000000000 NaN\n", &clock).news[0].1, []);
        let report = Report {
            replica: "a1".into(),
            micros: 7,
            buckets: vec![("one".try_into().unwrap(), 5.5, 1.0)],
            statement: None,
        };
        assert_eq!(Report::read(&report.written()), Some(report));
    }
}
