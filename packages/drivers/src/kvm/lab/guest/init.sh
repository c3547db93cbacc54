#!/bin/busybox sh
# First program of the guest, in the initial memory disk: load the drivers, find the root by label, go there.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
for module in $($bb cat /modules/order); do $bb insmod /modules/$module 2>/dev/null; done

tries=0
until device=$($bb findfs LABEL=lab-root 2>/dev/null); do
  tries=$((tries + 1))
  if [ $tries -gt 200 ]; then
    echo 'No disk with the label lab-root appeared within 10 s' >/dev/console
    $bb poweroff -f
  fi
  $bb usleep 50000
done
$bb mount -t ext4 -o noatime "$device" /root
$bb mount -o move /dev /root/dev
$bb mount -o move /proc /root/proc
$bb mount -o move /sys /root/sys
exec $bb switch_root /root /sbin/init
