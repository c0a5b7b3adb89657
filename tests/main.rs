//! One integration test program: every behaviour over real HTTP on loopback.
