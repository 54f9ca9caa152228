use jlens_core::output::Builder;
use prunella_model::ByteSize;

use crate::exact;

/// The deepest result that readers of JSON can be expected to read: the limit of `serde_json`.
pub(super) const DEEPEST_RESULT: usize = 127;

/// What most results have room in.
const FIRST_CAPACITY: usize = 512;

/// Below this, integers are written in plain digits, as JavaScript does.
const PLAIN_DIGITS_BELOW: f64 = 1e21;
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// Writes a result as compact JSON text.
///
/// The engine gives the key of a field after its value, so a field is written behind its value and turned around.
pub(super) struct Writer {
    out: Vec<u8>,
    /// Whether strings may be marked integers.
    exact: bool,
    depth: usize,
    pub(super) too_deep: bool,
    /// A `null` was written: perhaps for a function or a number that is not finite.
    nulls: bool,
    /// A field of an object was left out: perhaps a function.
    left_out: bool,
    /// An integer longer than 64 bits was written.
    pub(super) long_integers: bool,
}

pub(super) struct Open {
    start: usize,
    expected: usize,
    written: usize,
}

impl Writer {
    pub(super) fn new(exact: bool, capacity: ByteSize) -> Self {
        Self {
            out: Vec::with_capacity(capacity.as_usize().min(FIRST_CAPACITY)),
            exact,
            depth: 0,
            too_deep: false,
            nulls: false,
            left_out: false,
            long_integers: false,
        }
    }

    /// Many results wait in memory until they are delivered: none takes much more than it holds.
    pub(super) fn into_text(mut self) -> Vec<u8> {
        if self.out.capacity() / 2 > self.out.len() {
            self.out.shrink_to_fit();
        }
        self.out
    }

    /// Whether a value in the result may not be what it looks like.
    pub(super) fn may_hide(&self) -> bool {
        self.nulls || self.left_out
    }

    fn raw(&mut self, text: &[u8]) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(text);
        start
    }

    fn quoted(&mut self, text: &str) -> usize {
        let start = self.out.len();
        let written = serde_json::to_writer(&mut self.out, text);
        debug_assert!(written.is_ok(), "a string can be written to memory");
        start
    }

    fn open(&mut self, bracket: u8, expected: usize) -> Open {
        self.depth += 1;
        self.too_deep |= self.depth > DEEPEST_RESULT;
        Open { start: self.raw(&[bracket]), expected, written: 0 }
    }

    fn close(&mut self, open: &Open, bracket: u8) -> usize {
        self.depth -= 1;
        match open.written {
            0 => self.out.push(bracket),
            _ => {
                let comma = self.out.len() - 1;
                self.out[comma] = bracket;
            }
        }
        open.start
    }
}

impl Builder for Writer {
    /// Where the text of a value starts; it ends with the text written so far.
    type Value = usize;
    type Array = Open;
    type Object = Open;

    fn null(&mut self) -> usize {
        self.nulls = true;
        self.raw(b"null")
    }

    fn bool(&mut self, value: bool) -> usize {
        self.raw(if value { b"true" } else { b"false" })
    }

    fn number(&mut self, value: f64) -> usize {
        let start = self.out.len();
        let written = match value {
            _ if value.fract() != 0.0 || value.abs() >= PLAIN_DIGITS_BELOW => {
                serde_json::to_writer(&mut self.out, &value)
            }
            #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
            _ if value.abs() < EXACT_BELOW => serde_json::to_writer(&mut self.out, &(value as i64)),
            _ => {
                self.out.extend_from_slice(value.to_string().as_bytes());
                Ok(())
            }
        };
        debug_assert!(written.is_ok(), "a number can be written to memory");
        start
    }

    fn string(&mut self, value: &str) -> usize {
        if !self.exact {
            return self.quoted(value);
        }
        match exact::unmark(value) {
            Some(digits) => {
                self.long_integers |= digits.parse::<u64>().is_err() && digits.parse::<i64>().is_err();
                self.raw(digits.as_bytes())
            }
            None => self.quoted(&exact::unmark_within(value, false)),
        }
    }

    fn array(&mut self, len: usize) -> Open {
        self.open(b'[', len)
    }

    fn push(&mut self, array: &mut Open, _item: usize) {
        array.written += 1;
        self.out.push(b',');
    }

    fn end_array(&mut self, array: Open) -> usize {
        self.close(&array, b']')
    }

    fn object(&mut self, len: usize) -> Open {
        self.open(b'{', len)
    }

    fn insert(&mut self, object: &mut Open, key: &str, value: usize) {
        object.written += 1;
        let key_start = match self.exact {
            true => self.quoted(&exact::unmark_within(key, false)),
            false => self.quoted(key),
        };
        self.out.push(b':');
        let key_length = self.out.len() - key_start;
        self.out[value..].rotate_right(key_length);
        self.out.push(b',');
    }

    fn end_object(&mut self, object: Open) -> usize {
        self.left_out |= object.written < object.expected;
        self.close(&object, b'}')
    }
}
