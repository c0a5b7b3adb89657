//! How provisioned throughput is used: the router's own code over the emulator's pure bucket, in paused time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod bound;
mod kinds;
mod learned;
mod long_answers;
mod recovery;
mod replicas;
mod shared_keys;
mod spill;
mod world;
