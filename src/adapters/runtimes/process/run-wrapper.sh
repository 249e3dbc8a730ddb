#!/bin/sh
# Stands beside one run for its whole life: claims the run directory, starts the agent in a session of its own, waits for
# it and records how it ended. Shell builtins only, apart from one `setsid`; written for dash, busybox sh and bash.
#
#   run-wrapper.sh RUN_DIR POKE BOOT_ID LIBRARY MAX_BYTES KEEP OPEN_FILES REAP HANDOVER CWD COMMAND [ARG ...]
#
# fd 3 holds the agent's environment: shell text to read in (HANDOVER=text), or JSON for the COMMAND itself (HANDOVER=file).
# Its own exit code, before the agent exists: 122 no space, 123 no directory, 124 claimed by another wrapper.
#
# Records are single lines of fixed length, written in place over blanks that were allocated with the claim, so that a
# full disk cannot lose them, and a line that is blank or has no newline is not there yet:
#   exit  CODE                                    its creation (O_EXCL) is the claim
#   pid   PID STARTTIME BOOT_ID WRAPPER PUMP      written by the agent's own process, before it becomes the agent
# POKE is a file that is touched after each record, for whoever watches its directory.

trap ':' TERM INT HUP QUIT PIPE
umask 077
run=$1 poke=$2 boot=$3 library=$4 max=$5 keep=$6 files=$7 reap=$8 handover=$9
shift 9
cd "$run" || exit 123

set -C
true > exit || { [ -e exit ] && exit 124; exit 123; }
set +C
printf '%63s\n' '' 1<> exit && printf '%95s\n' '' 1<> pid || exit 122

# A real pipe without an external command: the shell keeps a here-document in one, and Linux opens its other end by name.
exec 4<< END

END
if [ -p /dev/fd/4 ] && true 5> /dev/fd/4; then
  read -r _ <&4
  exec 5> /dev/fd/4
else
  mkfifo pipe || exit 122
  exec 6<> pipe 4< pipe 5> pipe 6<&-
fi

( . "$library/log-pump.sh" ) <&4 3<&- 4<&- 5>&- &
pump=$!
exec 4<&-

(
  cwd=$1
  shift
  if read -r pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ < /proc/self/stat; then :; else
    pid=$(exec sh -c 'echo "$PPID"')
    start=$(echo $(LC_ALL=C ps -o lstart= -p "$pid") | tr ' ' _)
  fi 2> /dev/null
  printf '%-95s\n' "$pid $start $boot $$ $pump" 1<> pid || exit 122
  # Whoever declares this run lost writes `lost` before reading `pid`; here it is the other way round.
  [ -e lost ] && exit 125
  true > "$poke"
  cd "$cwd" || exit 126
  umask 022 # what programs expect; Regent's own files say their mode themselves
  ulimit -c 0
  case $files in
    any) ulimit -n 4096 2> /dev/null ;;
    *) ulimit -n "$files" ;;
  esac
  { echo 500 > /proc/self/oom_score_adj; } 2> /dev/null
  [ "$handover" = file ] && exec "$@" 4<&- 5>&- 6>&- 7>&- 8>&- 9>&-
  unset PATH PWD OLDPWD SHLVL
  . /dev/fd/3
  exec "$@" 3<&- 4<&- 5>&- 6>&- 7>&- 8>&- 9>&-
) >&5 2>&1 5>&-
code=$?

read -r agent _ < pid
[ "$reap" = 1 ] && [ "${agent:-0}" -gt 1 ] && kill -KILL "-$agent"
until printf '%-63s\n' "$code" 1<> exit; do
  [ -d "$run" ] || exit 123
  sleep 1
done
true > "$poke"
