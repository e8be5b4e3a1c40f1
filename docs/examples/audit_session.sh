#!/usr/bin/env bash
# The session that docs/operating/audits.md asks about: about a minute of trading on the simulated exchange, limits that are
# met, an engine killed in between, a kill switch thrown. Everything runs on until Ctrl-C, so that questions can be asked.
# Usage: audit_session.sh [DIR], a directory that is not there yet; data in DIR/data, the address of nats-server in DIR/url.
set -euo pipefail

dir=${1:-audit}
mkdir "$dir"
cd "$dir"
oms up --port 0 >up.log 2>&1 &
up=$!
trap 'kill "$up" 2>/dev/null; wait "$up"' EXIT
until grep -qs 'mExOms is up' up.log; do kill -0 "$up"; sleep 0.2; done
sed -n 's/^mExOms is up at \(.*\); data in.*/\1/p' up.log >url
OMS_NATS=$(cat url)
export OMS_NATS OMS_ACCOUNT=sub_arb

# Who may trade what, and how much of it.
oms accounts assign sub_arb arb --capital 20000 --by ann --id assign-1
oms accounts assign sub_arb dip --capital 10000 --by ann --id assign-2
oms accounts assign main hedge --capital 10000 --by ann --id assign-3
oms limits set strategy:arb max_position=8000 --by ann --reason 'first week' --id limit-1

oms place buy 0.15 BTCUSDT --strategy arb --id open-1
oms place buy 2 ETHUSDT --strategy arb --id open-2
oms place buy 0.1 BTCUSDT --price 48500 --strategy dip --id dip-1 | tee placed
dip=$(cut -d' ' -f1 placed)
sleep 2
oms amend "$dip" --quantity 0.08 --price 48600 --id dip-2
sleep 2
oms place buy 0.05 BTCUSDT --strategy arb --id more-1 || echo "exit $?"
# As long as the other strategy's order rests, a sale might trade with it.
oms place sell 0.05 BTCUSDT --strategy arb --id close-1 || echo "exit $?"
oms cancel "$dip" --id dip-3
sleep 1
oms place sell 0.05 BTCUSDT --strategy arb --id close-2
sleep 1

# The engine dies; a command meanwhile is repeated until the next one has it, and is done once.
kill -9 "$(pgrep -P "$up" -f ' engine')"
oms place sell 0.5 ETHUSDT --strategy arb --id after-1 || echo "exit $?"
oms place sell 0.5 ETHUSDT --strategy arb --id after-1 || echo "exit $?"
sleep 8
oms place sell 0.5 ETHUSDT --strategy arb --id after-2
sleep 2
oms place sell 0.1 BTCUSDT --account main --strategy hedge --id hedge-1

# A person stops an account, and lets it go again.
oms place buy 0.1 BTCUSDT --price 48000 --strategy dip --id dip-4
oms kill account:sub_arb --by bea --reason 'fills that nobody expected' --id kill-1
oms place buy 0.1 BTCUSDT --price 48000 --strategy dip --id dip-5 || echo "exit $?"
sleep 2
oms release account:sub_arb --by ann --reason 'a test of ours' --id release-1
echo 'The session is told; Ctrl-C ends it.'
wait "$up"
