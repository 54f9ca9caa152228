//! How each form writes a moment: as a mask, as a pattern to parse, as a picture of JSONata.

use super::DateForm::{self, *};

pub(super) struct Layout {
    pub(super) form: DateForm,
    /// `0` is a digit, `d` one or two digits, `a` a letter, `f` digits of a fraction, `+` a sign; the rest stands for itself.
    mask: &'static str,
    pub(super) pattern: &'static str,
    /// Nothing for what JSONata cannot write.
    pub(super) picture: Option<&'static str>,
    pub(super) has_time: bool,
    /// Whether the zone is stated; a day needs none.
    pub(super) has_zone: bool,
}

#[rustfmt::skip]
pub(super) const LAYOUTS: &[Layout] = &[
    layout(IsoUtc, "0000-00-00T00:00:00Z", "%Y-%m-%dT%H:%M:%SZ", "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]Z", true, true),
    layout(IsoMillisUtc, "0000-00-00T00:00:00.000Z", "%Y-%m-%dT%H:%M:%S.%3fZ", "", true, true),
    layout(IsoFractionUtc, "0000-00-00T00:00:00.fZ", "%Y-%m-%dT%H:%M:%SZ", "", true, true),
    layout(IsoFractionOffset, "0000-00-00T00:00:00.f+00:00", "%Y-%m-%dT%H:%M:%S%:z", "", true, true),
    layout(IsoFractionOffsetBare, "0000-00-00T00:00:00.f+0000", "%Y-%m-%dT%H:%M:%S%z", "", true, true),
    layout(IsoFractionLocal, "0000-00-00T00:00:00.f", "%Y-%m-%dT%H:%M:%S", "", true, false),
    layout(IsoOffset, "0000-00-00T00:00:00+00:00", "%Y-%m-%dT%H:%M:%S%:z", "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]+00:00", true, true),
    layout(IsoOffsetBare, "0000-00-00T00:00:00+0000", "%Y-%m-%dT%H:%M:%S%z", "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]+0000", true, true),
    layout(IsoSpaceOffset, "0000-00-00 00:00:00+00:00", "%Y-%m-%d %H:%M:%S%:z", "[Y0001]-[M01]-[D01] [H01]:[m01]:[s01]+00:00", true, true),
    layout(IsoSpaceUtc, "0000-00-00 00:00:00 UTC", "%Y-%m-%d %H:%M:%S UTC", "[Y0001]-[M01]-[D01] [H01]:[m01]:[s01] UTC", true, true),
    layout(IsoLocal, "0000-00-00T00:00:00", "%Y-%m-%dT%H:%M:%S", "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]", true, false),
    layout(IsoSpace, "0000-00-00 00:00:00", "%Y-%m-%d %H:%M:%S", "[Y0001]-[M01]-[D01] [H01]:[m01]:[s01]", true, false),
    layout(IsoMinuteUtc, "0000-00-00T00:00Z", "%Y-%m-%dT%H:%MZ", "[Y0001]-[M01]-[D01]T[H01]:[m01]Z", true, true),
    layout(IsoMinute, "0000-00-00T00:00", "%Y-%m-%dT%H:%M", "[Y0001]-[M01]-[D01]T[H01]:[m01]", true, false),
    layout(IsoSpaceMinute, "0000-00-00 00:00", "%Y-%m-%d %H:%M", "[Y0001]-[M01]-[D01] [H01]:[m01]", true, false),
    layout(IsoBasic, "00000000T000000Z", "%Y%m%dT%H%M%SZ", "[Y0001][M01][D01]T[H01][m01][s01]Z", true, true),
    layout(IsoDate, "0000-00-00", "%Y-%m-%d", "[Y0001]-[M01]-[D01]", false, true),
    layout(YearSlashes, "0000/00/00", "%Y/%m/%d", "[Y0001]/[M01]/[D01]", false, true),
    layout(YearSlashesTime, "0000/00/00 00:00:00", "%Y/%m/%d %H:%M:%S", "[Y0001]/[M01]/[D01] [H01]:[m01]:[s01]", true, false),
    layout(DayDots, "00.00.0000", "%d.%m.%Y", "[D01].[M01].[Y0001]", false, true),
    layout(DayDotsTime, "00.00.0000 00:00:00", "%d.%m.%Y %H:%M:%S", "[D01].[M01].[Y0001] [H01]:[m01]:[s01]", true, false),
    layout(DayDotsMinute, "00.00.0000 00:00", "%d.%m.%Y %H:%M", "[D01].[M01].[Y0001] [H01]:[m01]", true, false),
    layout(DaySlashes, "00/00/0000", "%d/%m/%Y", "[D01]/[M01]/[Y0001]", false, true),
    layout(MonthSlashes, "00/00/0000", "%m/%d/%Y", "[M01]/[D01]/[Y0001]", false, true),
    layout(DaySlashesTime, "00/00/0000 00:00:00", "%d/%m/%Y %H:%M:%S", "[D01]/[M01]/[Y0001] [H01]:[m01]:[s01]", true, false),
    layout(MonthSlashesTime, "00/00/0000 00:00:00", "%m/%d/%Y %H:%M:%S", "[M01]/[D01]/[Y0001] [H01]:[m01]:[s01]", true, false),
    layout(DaySlashesMinute, "00/00/0000 00:00", "%d/%m/%Y %H:%M", "[D01]/[M01]/[Y0001] [H01]:[m01]", true, false),
    layout(MonthSlashesMinute, "00/00/0000 00:00", "%m/%d/%Y %H:%M", "[M01]/[D01]/[Y0001] [H01]:[m01]", true, false),
    layout(DayDashes, "00-00-0000", "%d-%m-%Y", "[D01]-[M01]-[Y0001]", false, true),
    layout(DayMonthName, "00 aaa 0000", "%d %b %Y", "[D01] [MNn,*-3] [Y0001]", false, true),
    layout(DayMonthDashes, "00-aaa-0000", "%d-%b-%Y", "[D01]-[MNn,*-3]-[Y0001]", false, true),
    layout(DayDotsShort, "d.d.0000", "%-d.%-m.%Y", "[D].[M].[Y0001]", false, true),
    layout(DaySlashesShort, "d/d/0000", "%-d/%-m/%Y", "[D]/[M]/[Y0001]", false, true),
    layout(MonthSlashesShort, "d/d/0000", "%-m/%-d/%Y", "[M]/[D]/[Y0001]", false, true),
    layout(DaySlashesShortMinute, "d/d/0000 d:00", "%-d/%-m/%Y %-H:%M", "[D]/[M]/[Y0001] [H]:[m01]", true, false),
    layout(MonthSlashesShortMinute, "d/d/0000 d:00", "%-m/%-d/%Y %-H:%M", "[M]/[D]/[Y0001] [H]:[m01]", true, false),
    layout(Compact, "00000000", "%Y%m%d", "[Y0001][M01][D01]", false, true),
    layout(CompactTime, "00000000000000", "%Y%m%d%H%M%S", "[Y0001][M01][D01][H01][m01][s01]", true, false),
    layout(Rfc1123, "aaa, 00 aaa 0000 00:00:00 GMT", "%a, %d %b %Y %H:%M:%S GMT", "[FNn,*-3], [D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01] GMT", true, true),
    layout(Rfc2822, "aaa, 00 aaa 0000 00:00:00 +0000", "%a, %d %b %Y %H:%M:%S %z", "[FNn,*-3], [D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01] +0000", true, true),
    layout(UnixText, "aaa aaa 00 00:00:00 +0000 0000", "%a %b %d %H:%M:%S %z %Y", "[FNn,*-3] [MNn,*-3] [D01] [H01]:[m01]:[s01] +0000 [Y0001]", true, true),
];

const fn layout(
    form: DateForm,
    mask: &'static str,
    pattern: &'static str,
    picture: &'static str,
    has_time: bool,
    has_zone: bool,
) -> Layout {
    let picture = if picture.is_empty() { None } else { Some(picture) };
    Layout { form, mask, pattern, picture, has_time, has_zone }
}

impl Layout {
    pub(super) fn of(form: DateForm) -> Option<&'static Self> {
        LAYOUTS.iter().find(|layout| layout.form == form)
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        let mut bytes = text.as_bytes();
        for mark in self.mask.bytes() {
            if mark == b'f' {
                let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
                // Three digits with a Z are a form of their own.
                if !(1..=9).contains(&digits) || self.form == IsoFractionUtc && digits == 3 {
                    return false;
                }
                bytes = &bytes[digits..];
                continue;
            }
            if mark == b'd' {
                let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if !(1..=2).contains(&digits) {
                    return false;
                }
                bytes = &bytes[digits..];
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { return false };
            let fits = match mark {
                b'0' => first.is_ascii_digit(),
                b'a' => first.is_ascii_alphabetic(),
                b'+' => matches!(first, b'+' | b'-'),
                mark => *first == mark,
            };
            if !fits {
                return false;
            }
            bytes = rest;
        }
        bytes.is_empty()
    }
}
