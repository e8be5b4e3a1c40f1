#!/usr/bin/env bash
# The session that docs/operating/audits.md asks about: some 25 s of trading on the simulated exchange, an engine killed in
# between. Everything runs on until Ctrl-C, so that questions can be asked.
# Usage: audit_session.sh [DIR], a directory that is not there yet; data in DIR/data, the address of nats-server in DIR/url.
set -euo pipefail

dir=${1:-audit}
mkdir "$dir"
cd "$dir"
oms up --port 0 >up.log 2>&1 &
up=$!
trap 'kill "$up" 2>/dev/null; wait "$up"' EXIT
until grep -q 'mExOms is up' up.log; do kill -0 "$up"; sleep 0.2; done
sed -n 's/^mExOms is up at \(.*\); data in.*/\1/p' up.log >url
OMS_NATS=$(cat url)
export OMS_NATS OMS_ACCOUNT=sub_arb

oms place buy 0.5 BTCUSDT --strategy arb --id open-1
oms place buy 4 ETHUSDT --strategy arb --id open-2
oms place buy 0.4 BTCUSDT --price 45000 --strategy dip --id dip-1 | tee placed
dip=$(cut -d' ' -f1 placed)
sleep 2
oms amend "$dip" --quantity 0.3 --price 45100 --id dip-2
sleep 2
oms place buy 10 BTCUSDT --price 45000 --strategy arb --id big-1 || echo "exit $?"
oms place sell 0.2 BTCUSDT --strategy arb --id close-1
oms cancel "$dip" --id dip-3
sleep 2

# The engine dies; a command meanwhile is repeated until the next one has it, and is done once.
kill -9 "$(pgrep -P "$up" -f ' engine')"
oms place sell 1 ETHUSDT --strategy arb --id after-1 || echo "exit $?"
oms place sell 1 ETHUSDT --strategy arb --id after-1 || echo "exit $?"
sleep 8
oms place sell 1 ETHUSDT --strategy arb --id after-2
sleep 2
oms place sell 0.1 BTCUSDT --account main --strategy hedge --id hedge-1
echo 'The session is told; Ctrl-C ends it.'
wait "$up"
