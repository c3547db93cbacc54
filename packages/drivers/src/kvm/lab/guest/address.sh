#!/bin/sh
# udhcpc calls it with what the network's DHCP server gave us.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
case "$1" in
  bound | renew)
    ifconfig "$interface" "$ip" netmask "${subnet:-255.255.255.0}"
    route del default 2>/dev/null
    for gateway in $router; do route add default gw "$gateway" && break; done
    echo "$ip" >/run/lab/address
    ;;
  deconfig) ifconfig "$interface" 0.0.0.0 ;;
esac
