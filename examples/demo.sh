#!/bin/sh
# What make demo does: publish the example to a folder, run it as a container would, and look at what became of it.
set -eu
cd "$(dirname "$0")/.."
rm -rf demo
mkdir -p demo

echo "== runner build examples/rides_report.py --storage demo/flows"
runner build examples/rides_report.py --storage demo/flows

echo
echo "== export RUNNER_STORAGE=local RUNNER_LOCATION=demo/flows/rides-report RUNNER_RUN_ID=demo"
echo "== RUNNER_LOG_FORMAT=text RUNNER_PARAMETERS='{\"path\": \"demo/report.csv\"}' python -m runner"
export RUNNER_STORAGE=local RUNNER_LOCATION=demo/flows/rides-report RUNNER_RUN_ID=demo
RUNNER_LOG_FORMAT=text RUNNER_PARAMETERS='{"path": "demo/report.csv"}' python -m runner

echo
echo "== runner show demo"
runner show demo

echo
echo "== runner result demo rank"
runner result demo rank

echo
echo "== demo/report.csv"
cat demo/report.csv
