#!/bin/sh
# Forks a wrapper for each line `ID DESCRIPTOR` on stdin, for as long as Regent holds that pipe: a shell that has read
# run-wrapper.sh already costs two forks where a new one costs a program start.
#
#   spawner.sh LIBRARY REGENT_PID
#
# DESCRIPTOR is a file that Regent keeps open until the run is on record. What starts nothing is told on stdout: `ID CODE`.

trap ':' TERM INT HUP QUIT PIPE
umask 077
regent=$2
. "$1/run-wrapper.sh"

while read -r id descriptor; do
  # The shell in between is ended by its wrapper, which nobody waits for then. `&` would do the same, but gives an agent
  # that ignores INT and QUIT for good.
  (
    (wrapper "$id" "/proc/$regent/fd/$descriptor" < /dev/null)
    exit $?
  )
  code=$?
  [ "$code" -eq 141 ] || echo "$id $code"
done
