# Stands beside one run for its whole life: claims the run directory, starts the agent, waits for it and records how it ended.
# Builtins only, apart from what the handover puts in front of the agent; written for dash, busybox sh and bash. Read in by
# spawner.sh, which forks it, or by a shell of its own:  wrapper ID SETUP [HANDOVER]
#
# SETUP is shell text that sets run, poke, boot, cwd, files, reap, handover, `limit`, `enter` and the arguments. HANDOVER, SETUP itself where it is
# left out, is then fd 3: it sets the agent's environment here (handover=text), or is read by the command itself (file).
# Exit codes before the agent exists, told as `ID CODE [claimed]` on fd 1: 117 to 119 a limit that cannot be
# set (as environment.ts has them), 120 no handover, 121 not confined, 122 no space, 123 no
# directory, 124 claimed by another wrapper, 2 no process.
#
# Records are single lines of fixed length, written in place over blanks that were allocated with the claim, so that a
# full disk cannot lose them, and a line that is blank or has no newline is not there yet:
#   exit  CODE                                    its creation (O_EXCL) is the claim
#   pid   PID STARTTIME BOOT_ID WRAPPER           written by the agent's own process, before it becomes the agent
# POKE is a file that is touched after each record, for whoever watches its directory.
#
# The agent's output goes into two pipes that the wrapper holds at both ends (4 and 5, 6 and 7), so that nobody's death but
# its own ends them. The log pump reads them by name, and says by a newline into 8 that the wrapper may go.

wrapper() {
  # First of all: a signal between the claim and the record must not end it.
  trap ':' TERM INT HUP QUIT PIPE
  trap 'echo "$id $? $claimed"' EXIT
  id=$1 setup=$2 part=run claimed=''
  if [ -n "${3-}" ]; then
    exec 3< "$3"
  else
    read -r _ _ _ between _ < /proc/self/stat
    [ -r "$setup" ] || exit 120
    exec 3< "$setup"
    kill -PIPE "$between"
  fi
  . "$setup"
  cd "$run" || exit 123
  set -C
  true > exit || { [ -e exit ] && exit 124; exit 123; }
  claimed=claimed
  set +C
  printf '%63s\n' '' 1<> exit && printf '%127s\n' '' 1<> pid || exit 122

  limit 2> /dev/null

  # A real pipe without an external command: the shell keeps a here-document in one, and Linux opens its other end by name.
  exec 4<< END 6<< END 8<< END

END

END

END
  if [ -p /dev/fd/4 ] && true 5> /dev/fd/4; then
    read -r _ <&4
    read -r _ <&6
    read -r _ <&8
    exec 5> /dev/fd/4 7> /dev/fd/6 9> /dev/fd/8
  else
    mkfifo out err go || exit 122
    exec 4<> out 5> out 6<> err 7> err 8<> go 9> go
  fi

  (
    if read -r pid _ _ parent _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ start _ < /proc/self/stat; then :; else
      pid=$(exec sh -c 'echo "$PPID"')
      start=$(echo $(LC_ALL=C ps -o lstart= -p "$pid") | tr ' ' _) parent=$(echo $(ps -o ppid= -p "$pid"))
    fi 2> /dev/null
    enter 2> /dev/null || exit 121
    printf '%-127s\n' "$pid $start $boot $parent" 1<> pid || exit 122
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
    [ "$handover" = file ] && exec "$@"
    part=environment
    unset PATH PWD OLDPWD SHLVL
    . /dev/fd/3
    exec "$@" 3<&-
  ) >&5 2>&7 4<&- 5>&- 6<&- 7>&- 8<&- 9>&-
  code=$?

  read -r agent _ < pid
  [ "$code" = 121 ] && [ -z "$agent" ] && exit 121
  trap - EXIT
  [ "$reap" = 1 ] && [ "${agent:-0}" -gt 1 ] && kill -KILL "-$agent"
  until printf '%-63s\n' "$code" 1<> exit; do
    [ -d "$run" ] || exit 123
    sleep 1
  done
  true > "$poke"
  # What the agent printed last is in the pipes until somebody has them.
  [ -n "$agent" ] || exit 0
  until [ -e output.held ]; do
    [ -d "$run" ] || exit 0
    sleep 0.1
  done
  until read -r _ <&8; do [ -d "$run" ] || break; done
  exit 0
}
