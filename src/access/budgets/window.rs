//! Windows of the calendar: the days, weeks and months of a time zone, or all of time.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the money lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A day, from midnight.
    Day,
    /// A week, from Monday.
    Week,
    /// A month, from its first day.
    Month,
    /// For ever: it is never renewed.
    Total,
}

/// The windows of a budget. They follow each other without a gap or an overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// How long each is.
    pub per: Per,
    /// Whose midnight it begins at.
    pub zone: Tz,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// `2026-11-29`, `2026-W48` (as ISO 8601 counts weeks), `2026-11` or `total`.
    pub name: Arc<str>,
    /// Its first instant. The whole of time is taken to begin with 1970.
    pub start: DateTime<Utc>,
    /// The first instant behind it; None for the whole of time.
    pub end: Option<DateTime<Utc>>,
}

impl Per {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The first day of the window that `date` is in; None for the whole of time.
    fn first(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(date),
            Self::Week => Some(date.week(chrono::Weekday::Mon).first_day()),
            Self::Month => date.with_day(1),
            Self::Total => None,
        }
    }

    /// The first day of the window behind the one that begins with `first`.
    fn next(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Total => None,
        }
    }

    /// The name of the window that begins with `first`.
    fn named(self, first: NaiveDate) -> Arc<str> {
        match self {
            Self::Day => first.format("%Y-%m-%d").to_string().into(),
            Self::Week => first.format("%G-W%V").to_string().into(),
            Self::Month => first.format("%Y-%m").to_string().into(),
            Self::Total => "total".into(),
        }
    }
}

impl Windows {
    /// The window that `now` is in. It is worth keeping as long as it [`contains`](Window::contains) the time.
    pub fn at(&self, now: DateTime<Utc>) -> Window {
        let Some(mut first) = self.per.first(now.with_timezone(&self.zone).date_naive()) else {
            return Window {
                name: self.per.named(NaiveDate::default()),
                start: DateTime::UNIX_EPOCH,
                end: None,
            };
        };
        // Where clocks are put back over midnight, a date is left and entered again: its window had begun before.
        loop {
            let next = self.per.next(first);
            let end = next.map(|next| first_instant(next, self.zone));
            match (next, end) {
                (Some(next), Some(end)) if now >= end => first = next,
                _ => {
                    return Window {
                        name: self.per.named(first),
                        start: first_instant(first, self.zone),
                        end,
                    };
                }
            }
        }
    }
}

impl Window {
    /// Whether `time` is in it.
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        self.start <= time && self.end.is_none_or(|end| time < end)
    }
}

/// The first instant that is `date` in `zone`, or a later date where clocks left that one out.
///
/// Midnight is that instant, the first of two where clocks are put back to it. Where they are put forward over it, the
/// instant at which they are.
fn first_instant(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    let first = zone.from_local_datetime(&midnight).earliest();
    let behind_gap = || GapInfo::new(&midnight, &zone)?.end;
    let instant = first.or_else(behind_gap);
    // There is always one: a midnight that is in no span of the zone's table is in a gap between two of them.
    instant.map_or_else(|| midnight.and_utc(), |instant| instant.to_utc())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn windows(per: Per, zone: &str) -> Windows {
        Windows {
            per,
            zone: zone.parse().unwrap(),
        }
    }

    /// The window of `per` in `zone` at `now`: its name, start and end.
    fn check(per: Per, zone: &str, now: &str, [name, start, end]: [&str; 3]) {
        let window = windows(per, zone).at(time(now));
        let expected = Window {
            name: name.into(),
            start: time(start),
            end: Some(time(end)),
        };
        assert_eq!(window, expected, "{now} in {zone}");
        assert!(window.contains(time(now)));
        assert!(window.contains(window.start));
        assert!(!window.contains(time(end)));
    }

    #[test]
    fn a_window_begins_at_the_zones_midnight() {
        let day = ["2026-11-29", "2026-11-28T23:00:00Z", "2026-11-29T23:00:00Z"];
        check(Per::Day, "Europe/Berlin", "2026-11-28T23:00:00Z", day);
        check(Per::Day, "Europe/Berlin", "2026-11-29T22:59:59.999Z", day);
        let month = ["2026-11", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"];
        check(
            Per::Month,
            "America/New_York",
            "2026-12-01T04:59:59Z",
            month,
        );
        let leap = ["2028-02", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"];
        check(Per::Month, "UTC", "2028-02-29T23:59:59Z", leap);
        let leap = ["2028-02-29", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"];
        check(Per::Day, "UTC", "2028-02-29T12:00:00Z", leap);
        let total = windows(Per::Total, "UTC").at(time("2026-11-29T00:00:00Z"));
        assert_eq!((&*total.name, total.end), ("total", None));
        assert!(total.contains(time("9999-12-31T23:59:59Z")));
    }

    #[test]
    fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        let week = ["2026-W48", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"];
        check(Per::Week, "UTC", "2026-11-29T23:59:59Z", week);
        let week = ["2026-W53", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"];
        check(Per::Week, "UTC", "2027-01-03T00:00:00Z", week);
        let week = ["2025-W01", "2024-12-30T00:00:00Z", "2025-01-06T00:00:00Z"];
        check(Per::Week, "UTC", "2024-12-31T00:00:00Z", week);
    }

    #[test]
    fn a_midnight_that_there_is_not_is_the_moment_at_which_clocks_were_put_forward() {
        // 00:00 became 01:00.
        let day = ["2018-11-04", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"];
        check(Per::Day, "America/Sao_Paulo", "2018-11-04T03:00:00Z", day);
        let day = ["2021-03-28", "2021-03-27T22:00:00Z", "2021-03-28T21:00:00Z"];
        check(Per::Day, "Asia/Beirut", "2021-03-28T12:00:00Z", day);
        let day = ["2024-04-26", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z"];
        check(Per::Day, "Africa/Cairo", "2024-04-26T00:00:00Z", day);
    }

    #[test]
    fn a_midnight_that_there_is_twice_is_the_first() {
        // 24:00 became 23:00: the last hour of the day came twice.
        let day = ["2018-02-17", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"];
        check(Per::Day, "America/Sao_Paulo", "2018-02-18T02:30:00Z", day);
        let day = ["2024-10-31", "2024-10-30T21:00:00Z", "2024-10-31T22:00:00Z"];
        check(Per::Day, "Africa/Cairo", "2024-10-31T21:30:00Z", day);
        // 01:00 became 00:00: so did midnight.
        let day = ["2025-11-02", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"];
        check(Per::Day, "America/Havana", "2025-11-02T05:30:00Z", day);
        // 00:01 became 23:01 of the day before, which had ended.
        let day = ["2010-11-07", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"];
        check(Per::Day, "America/St_Johns", "2010-11-07T02:45:00Z", day);
    }

    #[test]
    fn a_day_that_was_left_out_has_no_window() {
        let day = ["2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"];
        check(Per::Day, "Pacific/Apia", "2011-12-30T09:59:59Z", day);
        let day = ["2011-12-31", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"];
        check(Per::Day, "Pacific/Apia", "2011-12-30T10:00:00Z", day);
    }

    /// What must be true of a window around any instant.
    fn check_tiling(windows: Windows, now: DateTime<Utc>) {
        let window = windows.at(now);
        let what = || format!("{windows:?} at {now}: {window:?}");
        assert!(window.contains(now), "{}", what());
        let end = window.end.unwrap();
        let tick = TimeDelta::nanoseconds(1);
        assert_eq!(windows.at(window.start), window, "{}", what());
        assert_eq!(windows.at(end - tick), window, "{}", what());
        assert_eq!(windows.at(end).start, end, "{}", what());
        assert_eq!(
            windows.at(window.start - tick).end,
            Some(window.start),
            "{}",
            what()
        );
        // It begins with the first instant of its date.
        let local = |time: DateTime<Utc>| time.with_timezone(&windows.zone).date_naive();
        assert!(
            local(window.start) > local(window.start - tick),
            "{}",
            what()
        );
        let first = windows.per.first(local(window.start)).unwrap();
        assert_eq!(windows.per.named(first), window.name, "{}", what());
    }

    #[test]
    fn windows_of_every_zone_follow_each_other() {
        for zone in chrono_tz::TZ_VARIANTS {
            let per = Per::Month;
            let mut now = time("1971-01-15T00:00:00Z");
            while now < time("2045-01-01T00:00:00Z") {
                check_tiling(Windows { per, zone }, now);
                now = Windows { per, zone }.at(now).end.unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn time_is_tiled(
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            per in proptest::sample::select(&[Per::Day, Per::Week, Per::Month][..]),
            second in -3_000_000_000_i64..5_000_000_000,
            nanosecond in 0_u32..1_000_000_000,
        ) {
            let now = DateTime::from_timestamp(second, nanosecond).unwrap();
            check_tiling(Windows { per, zone }, now);
        }
    }
}
