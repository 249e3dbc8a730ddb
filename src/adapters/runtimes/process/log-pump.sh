# Carries an agent's output from stdin to `output.log` in the present directory, rotated near $max bytes; $keep older files
# stay. Read in by run-wrapper.sh, which sets both. Ends when nobody holds the other end any more; then `output.end` is there.
# On a full disk it reads on and drops, so that the agent never waits, and says so in the log once there is space.

trap '' TERM INT HUP QUIT
block=65536 count=32 size=0 dropped=0
[ "$max" -lt $((block * count * 2)) ] && count=$(((max + 2 * block - 1) / (2 * block)))

# Copies at most $count reads to the file $1. Sets `reads` (0 at the end, -1 when the file could not be opened) and `bytes`.
copy() {
  report=$(dd bs=$block count=$count 2>&1 >> "$1")
  case $report in
    *' records in'*)
      reads=${report%% records in*} bytes=${report##*
}
      reads=${reads##*
} bytes=${bytes%% *}
      reads=$((${reads%+*} + ${reads#*+}))
      case $bytes in '' | *[!0-9]*) bytes=$((reads * block)) ;; esac
      ;;
    *) reads=-1 bytes=0 ;;
  esac
}

rotate() {
  i=$keep
  while [ "$i" -gt 1 ]; do
    [ -e "output.log.$((i - 1))" ] && mv -f "output.log.$((i - 1))" "output.log.$i"
    i=$((i - 1))
  done
  mv -f output.log output.log.1
  size=0
}

# Says what is missing as soon as that can be written again.
note() {
  [ "$dropped" -eq 0 ] || { echo "[regent: the disk was full, $dropped pieces of output are missing here]" >> output.log && dropped=0; }
}

while note; copy output.log; [ "$reads" -ne 0 ]; do
  size=$((size + bytes))
  [ "$size" -ge "$max" ] && rotate
  [ "$bytes" -gt 0 ] && continue
  # Nothing could be written; where not even the file could be opened nothing was read either.
  [ "$reads" -gt 0 ] || copy /dev/null
  [ "$reads" -gt 0 ] || break
  dropped=$((dropped + reads))
done
true > output.end
