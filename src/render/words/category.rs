//! The rules for using the ports of a category.

use crate::model::Category;

/// Says how the ports of a category are assigned. Source: RFC 6335, sections 6 and 8.
pub fn rule(category: Category) -> &'static str {
    match category {
        Category::WellKnown => "assigned by IANA; on Unix, listening on one requires a privilege",
        Category::Registered => "registered with IANA on request; choose an unassigned port for your own service",
        Category::Dynamic => "never assigned; used for short-lived connections, so a server may find its port taken",
    }
}
