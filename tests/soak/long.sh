#!/usr/bin/env bash
# Five minutes of the soak, on the programs as they are shipped. No check runs it; .ci/run has a minute of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release -p router-server -p azure-emulator --bins
python3 tests/soak/run.py --seconds 300 --programs target/release "$@"
