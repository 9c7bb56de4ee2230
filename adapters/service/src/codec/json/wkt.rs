//! The texts of timestamps, durations and field masks (ProtoJSON, and the comments of their `.proto` files).

use core::fmt::Write;

use super::Fault;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const SECONDS_OF_TIMESTAMPS: core::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// 10,000 years, near enough.
const MOST_SECONDS: i64 = 315_576_000_000;
const DAY: i64 = 86_400;

/// `1972-01-01T10:00:20.021Z`: with 0, 3, 6 or 9 digits behind the second.
pub(super) fn write_timestamp(seconds: i64, nanos: i32) -> Result<String, Fault> {
    let Some(nanos) = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000) else {
        return Err(Fault::new("a timestamp's nanos must be in 0..1,000,000,000"));
    };
    if !SECONDS_OF_TIMESTAMPS.contains(&seconds) {
        return Err(Fault::new("a timestamp must be in the years 1 to 9999"));
    }
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    write_fraction(nanos, &mut text);
    text.push('Z');
    Ok(text)
}

/// RFC 3339 with capital letters, any offset, and up to 9 digits behind the second.
pub(super) fn read_timestamp(text: &str) -> Option<(i64, i32)> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = literal(&mut rest, b'-').and_then(|()| digits(&mut rest, 2))?;
    let day = literal(&mut rest, b'-').and_then(|()| digits(&mut rest, 2))?;
    let hour = literal(&mut rest, b'T').and_then(|()| digits(&mut rest, 2))?;
    let minute = literal(&mut rest, b':').and_then(|()| digits(&mut rest, 2))?;
    let second = literal(&mut rest, b':').and_then(|()| digits(&mut rest, 2))?;
    let nanos = match literal(&mut rest, b'.') {
        Some(()) => read_fraction(&mut rest)?,
        None => 0,
    };
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let mut zone = zone;
            let hours = digits(&mut zone, 2)?;
            let minutes = literal(&mut zone, b':').and_then(|()| digits(&mut zone, 2))?;
            if hours > 23 || minutes > 59 || !zone.is_empty() {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let known = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !known || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = day_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    SECONDS_OF_TIMESTAMPS.contains(&seconds).then_some((seconds, nanos))
}

/// `3.000001s`: with 0, 3, 6 or 9 digits behind the second.
pub(super) fn write_duration(seconds: i64, nanos: i32) -> Result<String, Fault> {
    if !(-MOST_SECONDS..=MOST_SECONDS).contains(&seconds) || nanos.unsigned_abs() >= 1_000_000_000 {
        return Err(Fault::new(
            "a duration must be at most 315,576,000,000 seconds, and its nanos below one",
        ));
    }
    if seconds.signum() * i64::from(nanos.signum()) < 0 {
        return Err(Fault::new("a duration's seconds and nanos must have the same sign"));
    }
    let mut text = String::new();
    if seconds < 0 || nanos < 0 {
        text.push('-');
    }
    let _ = write!(text, "{}", seconds.unsigned_abs());
    write_fraction(nanos.unsigned_abs(), &mut text);
    text.push('s');
    Ok(text)
}

/// Seconds with up to 9 digits behind them, and an `s`.
pub(super) fn read_duration(text: &str) -> Option<(i64, i32)> {
    let mut rest = text.strip_suffix('s')?.as_bytes();
    let sign = if literal(&mut rest, b'-').is_some() { -1 } else { 1 };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // The most has 12 digits.
    if length == 0 || length > 12 {
        return None;
    }
    let seconds = digits(&mut rest, length)?;
    let nanos = match literal(&mut rest, b'.') {
        Some(()) => read_fraction(&mut rest)?,
        None => 0,
    };
    let known = rest.is_empty() && (seconds < MOST_SECONDS || (seconds == MOST_SECONDS && nanos == 0));
    known.then_some((sign * seconds, sign as i32 * nanos))
}

/// `user.displayName,photo`, if it can be read back.
pub(super) fn write_field_mask<'a>(paths: impl Iterator<Item = &'a str>) -> Result<String, Fault> {
    let mut text = String::new();
    for path in paths {
        if !text.is_empty() {
            text.push(',');
        }
        let start = text.len();
        let mut capital = false;
        for letter in path.chars() {
            match letter {
                '_' => capital = true,
                letter if capital => {
                    text.push(letter.to_ascii_uppercase());
                    capital = false;
                }
                letter => text.push(letter),
            }
        }
        if path.is_empty() || read_path(&text[start..]).as_deref() != Some(path) {
            return Err(Fault::new(format_args!("the path {path:?} of a field mask has no camel case")));
        }
    }
    Ok(text)
}

/// The paths of a field mask, in snake case.
pub(super) fn read_field_mask(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(read_path).collect()
}

fn read_path(text: &str) -> Option<String> {
    let mut path = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        match letter {
            'A'..='Z' => {
                path.push('_');
                path.push(letter.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' | '.' => path.push(letter),
            _ => return None,
        }
    }
    (!path.is_empty()).then_some(path)
}

fn write_fraction(nanos: u32, text: &mut String) {
    let _ = match nanos {
        0 => Ok(()),
        _ if nanos % 1_000_000 == 0 => write!(text, ".{:03}", nanos / 1_000_000),
        _ if nanos % 1000 == 0 => write!(text, ".{:06}", nanos / 1000),
        _ => write!(text, ".{nanos:09}"),
    };
}

/// The digits behind a point, as nanoseconds.
fn read_fraction(rest: &mut &[u8]) -> Option<i32> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > 9 {
        return None;
    }
    let value = digits(rest, length)? * 10_i64.pow(9 - length as u32);
    i32::try_from(value).ok()
}

/// Exactly so many digits, at most 18.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (front, back) = rest.split_at_checked(count)?;
    let mut value = 0;
    for byte in front {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    *rest = back;
    Some(value)
}

fn literal(rest: &mut &[u8], expected: u8) -> Option<()> {
    let (first, back) = rest.split_first()?;
    (*first == expected).then(|| *rest = back)
}

/// The day of a date of the Gregorian calendar, counted from 1970-01-01. Years begin in March here, so that the day
/// that comes and goes is a year's last.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The date of a day: the inverse of [`day_of`].
fn date_of(day: i64) -> (i64, i64, i64) {
    // 400 years have 146,097 days.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // timestamp.proto: "a string in the RFC 3339 format", years 0001 to 9999.
    #[test]
    fn timestamps() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.500Z", -1, 500_000_000),
            ("2017-01-15T01:30:15.010Z", 1_484_443_815, 10_000_000),
            ("2000-02-29T12:00:00.000001Z", 951_825_600, 1000),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
        ] {
            assert_eq!(read_timestamp(text), Some((seconds, nanos)), "{text}");
            assert_eq!(write_timestamp(seconds, nanos).unwrap(), text);
        }
        assert_eq!(read_timestamp("1970-01-01T02:30:00.1+02:30"), Some((0, 100_000_000)));
        assert_eq!(read_timestamp("1969-12-31T16:00:00-08:00"), Some((0, 0)));
        for text in [
            "",
            "1970-01-01",
            "1970-01-01 00:00:00Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T24:00:00Z",
            "1970-02-30T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00ZZ",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(read_timestamp(text), None, "{text}");
        }
        assert!(write_timestamp(253_402_300_800, 0).is_err() && write_timestamp(0, -1).is_err());
        assert!(write_timestamp(i64::MIN, 0).is_err() && write_timestamp(0, 1_000_000_000).is_err());
    }

    #[test]
    fn every_day_of_four_centuries_is_found_again() {
        for day in -146_097..146_097 {
            let (year, month, of_month) = date_of(day);
            assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&of_month));
            assert_eq!(day_of(year, month, of_month), day);
        }
    }

    // duration.proto: "3.000000001s", within ten thousand years.
    #[test]
    fn durations() {
        for (text, seconds, nanos) in [
            ("0s", 0, 0),
            ("1.500s", 1, 500_000_000),
            ("-0.000001s", 0, -1000),
            ("-3.000000001s", -3, -1),
            ("315576000000s", MOST_SECONDS, 0),
            ("-315576000000s", -MOST_SECONDS, 0),
        ] {
            assert_eq!(read_duration(text), Some((seconds, nanos)), "{text}");
            assert_eq!(write_duration(seconds, nanos).unwrap(), text);
        }
        assert_eq!(read_duration("1.5s"), Some((1, 500_000_000)));
        for text in
            ["", "s", "1", "1.s", ".5s", "+1s", "1 s", "1.0000000001s", "315576000001s", "1e3s", "--1s"]
        {
            assert_eq!(read_duration(text), None, "{text}");
        }
        assert_eq!(read_duration("315576000000.1s"), None);
        assert!(write_duration(1, -1).is_err() && write_duration(MOST_SECONDS + 1, 0).is_err());
        assert!(write_duration(0, i32::MIN).is_err());
    }

    // field_mask.proto, "JSON Encoding of Field Masks".
    #[test]
    fn field_masks() {
        let paths = ["user.display_name", "photo", "a_b2c.d"];
        let text = write_field_mask(paths.iter().copied()).unwrap();
        assert_eq!(text, "user.displayName,photo,aB2c.d");
        assert_eq!(read_field_mask(&text).unwrap(), paths);
        assert_eq!(read_field_mask("").unwrap(), Vec::<String>::new());
        for text in ["a_b", "a,,b", ",", "a b", "a-b"] {
            assert_eq!(read_field_mask(text), None, "{text}");
        }
        for path in ["fooBar", "foo_3_bar", "foo__bar", "foo_", ""] {
            assert!(write_field_mask([path].into_iter()).is_err(), "{path}");
        }
    }
}
