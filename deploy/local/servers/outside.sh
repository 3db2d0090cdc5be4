# What is outside of the business, simulated by us: provider, carrier, mailbox.
options=()

install() { gobuild "$repo/deploy/local/$name"; }

run() { exec "$cache/bin/$name" -listen "127.0.0.1:$port" -journal "$dir/journal.jsonl" "${options[@]}"; }

ready() { answers "$port"; }

version() { echo ours; }
