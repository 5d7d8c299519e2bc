//! `portscope` with each backend: one contract, two ways to keep it.

mod support;

mod native {
    const BACKEND: &str = "native";
    include!("contract/list.rs");
}

mod portable {
    const BACKEND: &str = "portable";
    include!("contract/list.rs");
}
