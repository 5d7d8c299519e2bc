//! Who may use the numbers of a category.

use crate::model::Category;

/// Who may use the numbers of a category. Source: RFC 6335, sections 6 and 8.
pub fn rule(category: Category) -> &'static str {
    match category {
        Category::WellKnown => "assigned by IANA; on Unix a program needs a privilege to listen there",
        Category::Registered => "registered with IANA on request; choose an unregistered one for your own service",
        Category::Dynamic => "never assigned; handed out for a short time, so a server may find its port taken",
    }
}
