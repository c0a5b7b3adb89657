//! Prints the reference page: `cargo run -p router-server --example reference > docs/reference.md`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(router_server::reference::page().as_bytes())
}
