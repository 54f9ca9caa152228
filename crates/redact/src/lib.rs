//! Values without what they should not tell: placeholders that keep the shape.
//!
//! Invariants:
//! 1. **There is no way back.** A placeholder is made with a key that lives as long as the process; nothing stores what
//!    it stands for.
//! 2. **Equal values stay equal**, within a process, so that a mapping can still be seen in redacted samples. A text and a
//!    number never share a placeholder.
//! 3. **Types and lengths stay.** A number stays a number with as many digits, `null` and `""` stay what they are, arrays
//!    and objects keep their form. A text tells its kind and the class of its length.
//! 4. **What was redacted once is redacted everywhere.** A value at a configured path is also recognised at other paths, in
//!    texts, and as a text instead of a number, within one [`Pass`].
//! 5. A text that is redacted twice is as if it were redacted once.
//! 6. In doubt a value is redacted. What the rules do not know cannot be recognised: a name that a mapping has split or
//!    translated needs its path configured too.

mod detect;
mod field;
mod key;
mod pass;
mod placeholder;
mod redactor;
mod schema;

pub use field::{FieldError, FieldPattern, remove};
pub use key::RedactionKey;
pub use pass::Pass;
pub use placeholder::Kind;
pub use redactor::{RedactSettings, Redactor};
