#!/bin/sh
# Runs once at boot, before everything else.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lab /run/www /dev/virtio-ports
hostname "$(cat /etc/hostname)"
ln -sf /proc/self/mounts /run/mtab

# udev is not there: the guest agent wants its port by name.
for port in /sys/class/virtio-ports/*; do
  [ -e "$port/name" ] && ln -sf "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

cp /etc/lab/waiting.html /run/www/index.html
ifconfig lo 127.0.0.1 up
if [ -e /sys/class/net/eth0 ]; then
  ifconfig eth0 up
  udhcpc -i eth0 -s /etc/lab/address -t 5 -T 1 -A 5 -S -p /run/udhcpc.pid -b >/dev/null 2>&1 &
fi
httpd -p 80 -h /run/www

if device=$(findfs LABEL=lab-database 2>/dev/null); then
  mkdir -p /database
  # The other programs look for this mark: without its disk there is no database, whatever folders there are.
  mount -t ext4 -o noatime "$device" /database && touch /run/lab/has-database
fi
printf '%s up %s boot %s\n' "$(date -u +%FT%TZ)" "$(cat /etc/hostname)" "$(cat /proc/sys/kernel/random/boot_id)" >>/var/log/lab.log
sync
