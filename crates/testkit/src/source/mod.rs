//! Sources to extract from.

mod catalogue;
mod hostile;
mod hostile_answers;
mod pages;
mod releases;
mod shop;

pub use catalogue::{customer, is_bad, order};
pub use hostile::{HostileServer, Hostility};
pub use releases::Release;
pub use shop::{BadDay, Shop, ShopConfig, ShopHandle};
