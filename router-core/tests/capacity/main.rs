//! Use of provisioned throughput: the router's own code over the emulator's pure bucket, in paused time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod bound;
mod in_memory_exchange;
mod kinds;
mod learned;
mod long_answers;
mod recovery;
mod replicas;
mod shared_keys;
mod spill;
mod world;
