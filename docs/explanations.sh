#!/bin/sh
# Prints the explanations of docs/scorer.md: what `router-server explain` says of each line of docs/prompts.txt.
# Usage, from the root of the repository: docs/explanations.sh
set -eu
program=${ROUTER_SERVER:-target/release/router-server}
while IFS= read -r prompt; do
    printf '**%s**\n\n```text\n' "$prompt"
    "$program" explain --config configs/local.toml --text "$prompt" | sed -n '/^task/,/^models/p' | sed '$d' | head -5
    printf '```\n\n'
done <docs/prompts.txt
