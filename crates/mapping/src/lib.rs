//! The mapping language of Prunella: JSONata, compiled once and evaluated within limits, behind the [`Engine`] trait.
//!
//! A [`Mapping`] turns the JSON text of one item into the JSON text of another. An [`Expression`] decides conditions,
//! keys and final transforms over values. A [`Template`] is text with `{{ … }}` parts.
//!
//! ```
//! use prunella_mapping::{Bindings, Expression, Limits, Moment};
//! use serde_json::json;
//!
//! let total = Expression::compile("$sum(items.price)")?;
//! let input = json!({ "items": [{ "price": 2 }, { "price": 3.5 }] });
//! let sum = total.evaluate(&input, &Bindings::new(), Moment::new(0, 0), &Limits::default())?;
//! assert_eq!(sum, Some(json!(5.5)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bindings;
mod cache;
mod engine;
mod error;
mod exact;
mod expression;
mod input;
mod jlens;
#[cfg(feature = "jsonata-rs")]
mod jsonata_rs;
mod limits;
mod moment;
mod patience;
mod place;
mod reads;
mod template;

pub use bindings::Bindings;
pub use cache::{MappingCache, SourceHash};
pub use engine::{CompiledExpression, Engine};
pub use error::{CompileError, EvalError, LimitKind};
pub use expression::Expression;
pub use input::Input;
pub use jlens::JlensEngine;
#[cfg(feature = "jsonata-rs")]
pub use jsonata_rs::JsonataRsEngine;
pub use limits::Limits;
pub use moment::Moment;
pub use place::Place;
pub use reads::{Reads, StepReads};
pub use template::{Encoding, Template, TemplateValue};
