mod parse;
mod text;
mod value;

pub use text::{Encoding, Template};
pub use value::TemplateValue;
