#!/bin/sh
# Both ways of asking come here: the power button (acpid) and the guest agent (/sbin/shutdown).
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
touch /run/stopping
tries=0
# The record and the transaction that are under way end first.
while pidof dd sqlite3 >/dev/null && [ $tries -lt 20 ]; do usleep 50000; tries=$((tries + 1)); done
[ "$1" = -r ] || [ "$2" = -r ] && last='reboot -f' || last='poweroff -f'
printf '%s %s\n' "$(date -u +%FT%TZ)" "$last" >>/var/log/lab.log
umount /database 2>/dev/null || mount -o remount,ro /database 2>/dev/null
sync
mount -o remount,ro / 2>/dev/null
exec $last
