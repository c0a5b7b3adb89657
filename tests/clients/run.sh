#!/bin/sh
# Runs the official clients against a router in front of the emulator, all on loopback.
#
#   tests/clients/run.sh [folder of the two programs, default target/debug]
#
# Ports: EMULATOR_PORT (18900) and ROUTER_PORT (18901). The virtual environment is kept in target/clients.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=${1:-$root/target/debug}
emulator=127.0.0.1:${EMULATOR_PORT:-18900}
router=127.0.0.1:${ROUTER_PORT:-18901}
work=$root/target/clients
venv=$work/venv
started=

stop() {
    for process in $started; do
        kill "$process" 2>/dev/null || true
    done
    wait
}
trap stop EXIT
trap 'exit 1' INT TERM

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

"$programs/azure-emulator" serve --listen "$emulator" --config "$here/emulator.toml" >"$work/emulator.log" 2>&1 &
started="$started $!"
ROUTER__SERVER__LISTEN=$router ROUTER__ENDPOINTS__EMULATOR__URL=http://$emulator \
    "$programs/router-server" serve --config "$root/configs/local.toml" --unready-ms 0 >"$work/router.log" 2>&1 &
started="$started $!"

if ! "$venv/bin/python" "$here/openai_python.py" "http://$router" "http://$emulator"; then
    echo "the router's log:" >&2
    tail -n 20 "$work/router.log" >&2
    exit 1
fi
