//! A weekly window in local time: whether it is open, and when it opens next. The time zones are part of the program;
//! nothing is read from the machine, and the time comes in as an argument.

use jiff::{
    Timestamp,
    civil::{Date, Time, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::api::{
    Moment,
    around::{Day, Window},
};

/// How many days ahead an opening is looked for.
const DAYS_AHEAD: usize = 400;

/// A window, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    days: Vec<Weekday>,
    from: Time,
    /// None is the end of the day.
    to: Option<Time>,
    holidays: Vec<Date>,
}

/// When a closed window opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is open.
    Open,
    /// It opens then.
    At(Moment),
    /// Not within a year.
    Never,
}

impl Calendar {
    /// Reads a window, or says what to write instead.
    pub fn read(window: &Window) -> Result<Self, String> {
        let zone = TimeZoneDatabase::bundled().get(&window.time_zone).map_err(|_| {
            format!("window.timeZone: {} is not known; write for example Europe/Berlin", window.time_zone)
        })?;
        let time = |text: &str| {
            text.parse::<Time>().map_err(|_| format!("window: {text} is not a time of day; write for example 09:00"))
        };
        let date = |text: &String| {
            text.parse::<Date>()
                .map_err(|_| format!("window.holidays: {text} is not a day; write for example 2026-12-25"))
        };
        let workdays = vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
        let to = if window.to == "24:00" { None } else { Some(time(&window.to)?) };
        let from = time(&window.from)?;
        if to.is_some_and(|to| to <= from) {
            return Err("window: `from` must be before `to` on the same day".to_owned());
        }
        Ok(Self {
            zone,
            days: window.days.clone().unwrap_or(workdays).into_iter().map(weekday).collect(),
            from,
            to,
            holidays: window.holidays.iter().map(date).collect::<Result<_, _>>()?,
        })
    }

    /// Whether it is open, and if not, when it opens.
    pub fn opening(&self, now: Moment) -> Opening {
        let Ok(at) = Timestamp::from_second(now.unix()) else { return Opening::Never };
        let today = at.to_zoned(self.zone.clone()).date();
        let days = today.series(jiff::Span::new().days(1)).take(DAYS_AHEAD);
        let open_days = days.filter(|d| self.days.contains(&d.weekday()) && !self.holidays.contains(d));
        for day in open_days {
            let Some((opens, closes)) = self.hours(day) else { continue };
            if now < opens {
                return Opening::At(opens);
            }
            if now < closes {
                return Opening::Open;
            }
        }
        Opening::Never
    }

    /// The instants between which it is open on a day.
    fn hours(&self, day: Date) -> Option<(Moment, Moment)> {
        let instant = |date: Date, time: Time| {
            let zoned = self.zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()?;
            Some(Moment::from_unix(zoned.timestamp().as_second()))
        };
        let closes = match self.to {
            Some(to) => instant(day, to)?,
            None => instant(day.tomorrow().ok()?, Time::midnight())?,
        };
        Some((instant(day, self.from)?, closes))
    }
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::{Calendar, Opening};
    use crate::api::{
        Moment,
        around::{Day, Window},
    };

    fn window() -> Window {
        Window {
            time_zone: "Europe/Berlin".into(),
            days: None,
            from: "09:00".into(),
            to: "17:00".into(),
            holidays: vec!["2026-12-25".into()],
        }
    }

    fn at(text: &str) -> Moment {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    fn opening(window: &Window, now: &str) -> Opening {
        Calendar::read(window).unwrap().opening(at(now))
    }

    #[test]
    fn opens_by_the_local_clock() {
        // Winter time is one hour ahead of UTC, summer time two.
        assert_eq!(opening(&window(), "2026-11-20T07:59:59Z"), Opening::At(at("2026-11-20T08:00:00Z")));
        assert_eq!(opening(&window(), "2026-11-20T08:00:00Z"), Opening::Open);
        assert_eq!(opening(&window(), "2026-11-20T15:59:59Z"), Opening::Open);
        assert_eq!(opening(&window(), "2026-07-17T15:00:00Z"), Opening::At(at("2026-07-20T07:00:00Z")));
    }

    #[test]
    fn stays_closed_at_weekends_and_on_holidays() {
        // A Friday evening; and the day before Christmas, a Thursday, before a holiday and a weekend.
        assert_eq!(opening(&window(), "2026-11-20T16:00:00Z"), Opening::At(at("2026-11-23T08:00:00Z")));
        assert_eq!(opening(&window(), "2026-12-24T16:00:00Z"), Opening::At(at("2026-12-28T08:00:00Z")));
    }

    #[test]
    fn whole_days_and_days_without_an_opening() {
        let whole = Window { from: "00:00".into(), to: "24:00".into(), days: Some(vec![Day::Sat]), ..window() };
        assert_eq!(opening(&whole, "2026-11-21T22:59:59Z"), Opening::Open);
        assert_eq!(opening(&whole, "2026-11-21T23:00:00Z"), Opening::At(at("2026-11-27T23:00:00Z")));
        // An hour that the change to summer time leaves out opens an hour later.
        let night = Window { from: "02:30".into(), to: "03:30".into(), days: Some(vec![Day::Sun]), ..window() };
        assert_eq!(opening(&night, "2026-03-29T00:00:00Z"), Opening::At(at("2026-03-29T01:30:00Z")));
        let never = Window { days: Some(vec![]), ..window() };
        assert_eq!(opening(&never, "2026-11-21T22:59:59Z"), Opening::Never);
    }

    #[test]
    fn says_what_to_write_instead() {
        for (wrong, word) in [
            (Window { time_zone: "Mars/Olympus".into(), ..window() }, "timeZone"),
            (Window { from: "9".into(), ..window() }, "time of day"),
            (Window { to: "08:00".into(), ..window() }, "before"),
            (Window { holidays: vec!["2026-02-30".into()], ..window() }, "holidays"),
        ] {
            let said = Calendar::read(&wrong).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }
}
