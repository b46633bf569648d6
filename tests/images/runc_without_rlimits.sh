#!/bin/sh
# runc for Podman on a machine without CAP_SYS_RESOURCE, which may set no limits of resources: it is asked for none.
set -eu
bundle=. previous=
for argument in "$@"; do
    case $previous in --bundle | -b) bundle=$argument ;; esac
    previous=$argument
done
case " $* " in
    *" create "* | *" run "*)
        config=$bundle/config.json
        jq 'del(.process.rlimits, .process.oomScoreAdj)' "$config" >"$config.new"
        cat "$config.new" >"$config"
        ;;
esac
exec runc "$@"
