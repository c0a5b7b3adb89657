//! The program: arguments, config, service.
fn main() {}
