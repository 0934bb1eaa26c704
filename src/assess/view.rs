//! The report for people: text for a terminal, a page for everybody else. PURE.

mod html;
mod svg;
mod text;

pub use html::html;
pub use text::text;
