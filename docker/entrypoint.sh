#!/bin/sh
# Other containers reach this one by its host name, unless told otherwise.
RMQC_ADVERTISE="${RMQC_ADVERTISE:-$(hostname)}"
export RMQC_ADVERTISE
# shellcheck disable=SC2086 # A command and its arguments.
exec ${CONNECT:-rocketmq-connect} "$@"
