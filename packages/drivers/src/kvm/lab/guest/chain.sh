#!/bin/sh
# Writes a chain of records that hops from disk to disk. Every record carries the hash of the one before, and is on its
# disk before the next one is begun: whatever instant the disks are copied at, they hold a prefix of the chain, or the
# copy is wrong. `verify-chain.ts` describes the layout and checks it from outside.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
zeros=0000000000000000000000000000000000000000000000000000000000000000
state=/run/lab/chain

report() {
  printf '%s\n' "$1" >$state.new && mv $state.new $state
}
halt_with() {
  report "state=broken step=$step hash=$hash boot_check='$1'"
  while :; do sleep 60; done
}

step=0 hash=$zeros tracks=0 slots=0
for device in /dev/vd??; do
  header=$(dd if="$device" bs=512 count=1 2>/dev/null | tr -d '\0' | head -n 1)
  case "$header" in
    'understudy-chain 1 '*)
      set -- $header
      tracks=$4 slots=$8
      eval "device_$6=$device"
      ;;
  esac
done
[ "$tracks" -gt 0 ] || halt_with 'no chain area on any disk'

rm -f /run/lab/records
track=0
while [ $track -lt "$tracks" ]; do
  eval "device=\$device_$track"
  [ -n "$device" ] || halt_with "the disk of track $track is missing"
  dd if="$device" bs=512 skip=1 count="$slots" 2>/dev/null | tr -d '\0' | grep '^record ' >>/run/lab/records
  track=$((track + 1))
done
# A record's fields: record 2 track 4 previous 6 boot 8 uptime 10 sha256 12. Each must name the hash of the one before it, without a gap.
if [ -s /run/lab/records ]; then
  sort -n -k 2,2 /run/lab/records >/run/lab/sorted
  tail -n $((slots * tracks)) /run/lab/sorted >/run/lab/records
  found=$(awk -v wanted=$((slots * tracks)) '
    NR > 1 && $2 != number + 1 { print "record " (number + 1) " is missing"; bad = 1; exit }
    NR > 1 && ($6 "") != (hash "") { print "record " $2 " does not follow the one before"; bad = 1; exit }
    { number = $2; hash = $12 }
    END { if (!bad) print (NR == wanted || number == NR) ? "ok" : "the beginning is missing" }' /run/lab/records)
  set -- $(tail -n 1 /run/lab/records)
  step=$2 hash=${12}
  [ "$found" = ok ] || halt_with "$found"
  # Hashing all of them would take too long here; the newest are the ones a crash could tear.
  tail -n 8 /run/lab/records >/run/lab/newest
  while read -r line; do
    body=${line% sha256 *}
    sum=$(printf %s "$body" | sha256sum)
    set -- $line
    [ "${sum%% *}" = "${line##* }" ] || halt_with "the hash of record ${2} is wrong"
  done </run/lab/newest
fi
rm -f /run/lab/records /run/lab/sorted /run/lab/newest
checked="chain ok up to $step"
boot=$(cat /proc/sys/kernel/random/boot_id)

while [ ! -e /run/stopping ]; do
  step=$((step + 1))
  track=$(((step - 1) % tracks))
  slot=$(((step - 1) / tracks % slots))
  read -r up idle </proc/uptime
  body="record $step track $track previous $hash boot $boot uptime $up"
  hash=$(printf %s "$body" | sha256sum)
  hash=${hash%% *}
  eval "device=\$device_$track"
  printf '%s sha256 %s\n' "$body" "$hash" |
    dd of="$device" bs=512 seek=$((slot + 1)) conv=notrunc,sync,fsync 2>/dev/null || halt_with "record $step was not written"
  report "state=ok step=$step hash=$hash boot_check='$checked'"
  usleep 400000
done
while :; do sleep 60; done
