# What is outside of the business, simulated by us: provider, carrier, mailbox.
options=()

install() { gobuild "$repo"; }

run() { exec "$cache/bin/weir" outside "$name" --listen "127.0.0.1:$port" --journal "$dir/journal.jsonl" "${options[@]}"; }

ready() { answers "$port"; }

version() { echo ours; }
