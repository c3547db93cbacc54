// What runs in a replica before its network comes up: a script that sets the addresses that the target has written into the firmware. On the
// server itself, and wherever the mark of a replica is missing, it does nothing.
import { NETWORK_MARK } from '@understudy/domain/failover/network-text'
import { replicaMark } from '@understudy/domain/failover/replica-mark'

export const FIRST_BOOT_SCRIPT_PATH = '/usr/local/lib/understudy/first-boot'
export const FIRST_BOOT_UNIT = 'understudy-first-boot.service'
export const FIRST_BOOT_UNIT_PATH = `/etc/systemd/system/${FIRST_BOOT_UNIT}`
export const FIRST_BOOT_LINK_PATH = `/etc/systemd/system/multi-user.target.wants/${FIRST_BOOT_UNIT}`

export const firstBootUnit = `# By the Understudy agent. Removed with the protection of this server.
[Unit]
Description=Network of a replica, as its target says
DefaultDependencies=no
ConditionPathExists=/sys/firmware/dmi/tables/DMI
After=local-fs.target systemd-remount-fs.service systemd-udev-trigger.service
Wants=network-pre.target
Before=network-pre.target systemd-networkd.service networking.service NetworkManager.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${FIRST_BOOT_SCRIPT_PATH}
TimeoutStartSec=120

[Install]
WantedBy=multi-user.target
`

// A line is "<hardware address> dhcp" or "<hardware address> static <address/prefix> <gateway or -> <name servers or ->". An adapter is known by its
// hardware address alone: its name is another one on other hardware. Its files are written anew at every start, so that another target's word counts
// after the next failover; where nothing is said every adapter asks for its address.
export const firstBootScript = String.raw`#!/bin/sh
# By the Understudy agent. Removed with the protection of this server.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
root=${'$'}{1:-}
# The first text of a table stands right behind a number.
texts=$(tr '\000-\037\177-\377' '\n' <"$root/sys/firmware/dmi/tables/DMI" | sed -n 's/^.\{0,1\}understudy-/understudy-/p')
printf '%s\n' "$texts" | grep -q '^${replicaMark('')}' || exit 0
[ -n "$root" ] || { command -v udevadm >/dev/null && udevadm settle --timeout=30; }

nameOf() { # by hardware address
  for folder in "$root"/sys/class/net/*; do
    [ -e "$folder/device" ] || continue
    [ "$(cat "$folder/address")" = "$1" ] && basename "$folder" && return
  done
}
put() { # file mode
  mkdir -p "$(dirname "$1")"
  (umask 077; cat >"$1.new") && chmod "$2" "$1.new" && mv "$1.new" "$1"
}
list() { [ "$1" = - ] || printf '%s\n' "$1" | tr ',' '\n'; }

for_networkd() { # address method cidr gateway servers
  {
    printf '[Match]\nMACAddress=%s\n\n[Network]\n' "$1"
    if [ "$2" = dhcp ]; then echo DHCP=yes; else
      echo "Address=$3"
      [ "$4" = - ] || echo "Gateway=$4"
      list "$5" | sed 's/^/DNS=/'
    fi
  } | put "$root/etc/systemd/network/05-understudy-$(echo "$1" | tr -d :).network" 644
}
for_ifupdown() { # name method cidr gateway servers
  {
    echo "auto $1"
    if [ "$2" = dhcp ]; then echo "iface $1 inet dhcp"; else
      printf 'iface %s inet static\n  address %s\n' "$1" "$3"
      [ "$4" = - ] || echo "  gateway $4"
      [ "$5" = - ] || echo "  dns-nameservers $(echo "$5" | tr ',' ' ')"
    fi
  } | put "$root/etc/network/interfaces.d/understudy-$1" 644
}
for_networkmanager() { # address method cidr gateway servers
  {
    printf '[connection]\nid=understudy-%s\ntype=ethernet\nautoconnect-priority=100\n\n[ethernet]\nmac-address=%s\n\n[ipv4]\n' "$1" "$1"
    if [ "$2" = dhcp ]; then echo method=auto; else
      gateway=; [ "$4" = - ] || gateway=",$4"
      printf 'method=manual\naddress1=%s%s\n' "$3" "$gateway"
      [ "$5" = - ] || echo "dns=$(echo "$5" | tr ',' ';');"
    fi
  } | put "$root/etc/NetworkManager/system-connections/understudy-$(echo "$1" | tr -d :).nmconnection" 600
}
for_netplan() { # address method cidr gateway servers
  {
    printf 'network:\n  version: 2\n  ethernets:\n    understudy-%s:\n      match: {macaddress: "%s"}\n' "$(echo "$1" | tr -d :)" "$1"
    if [ "$2" = dhcp ]; then echo '      dhcp4: true'; else
      printf '      addresses: [%s]\n' "$3"
      [ "$4" = - ] || printf '      routes: [{to: default, via: %s}]\n' "$4"
      [ "$5" = - ] || printf '      nameservers: {addresses: [%s]}\n' "$5"
    fi
  } | put "$root/etc/netplan/90-understudy-$(echo "$1" | tr -d :).yaml" 600
}
enabled() { [ -e "$root/etc/systemd/system/multi-user.target.wants/$1" ] || [ -e "$root/etc/systemd/system/network-online.target.wants/$1" ]; }
resolver() { # servers: where nobody else writes it
  [ "$1" = - ] || [ -L "$root/etc/resolv.conf" ] || list "$1" | sed 's/^/nameserver /' | put "$root/etc/resolv.conf" 644
}

lines=$(printf '%s\n' "$texts" | sed -n 's/^${NETWORK_MARK}//p' | tr 'A-F' 'a-f')
if [ -z "$lines" ]; then
  lines=$(for folder in "$root"/sys/class/net/*; do [ -e "$folder/device" ] && echo "$(cat "$folder/address") dhcp"; done)
fi
rm -f "$root"/etc/systemd/network/05-understudy-*.network "$root"/etc/network/interfaces.d/understudy-* \
  "$root"/etc/NetworkManager/system-connections/understudy-*.nmconnection "$root"/etc/netplan/90-understudy-*.yaml
printf '%s\n' "$lines" | while read -r address method cidr gateway servers rest; do
  case "$address$cidr$gateway$servers" in *[!0-9a-f:./,-]*) continue;; esac
  [ "$method" = dhcp ] || [ "$method" = static ] || continue
  name=$(nameOf "$address")
  [ -n "$name" ] || continue
  if ls "$root"/etc/netplan/*.yaml >/dev/null 2>&1; then for_netplan "$address" "$method" "$cidr" "$gateway" "$servers"
  elif enabled NetworkManager.service; then for_networkmanager "$address" "$method" "$cidr" "$gateway" "$servers"
  elif enabled systemd-networkd.service; then for_networkd "$address" "$method" "$cidr" "$gateway" "$servers"
  elif [ -e "$root/etc/network/interfaces" ]; then for_ifupdown "$name" "$method" "$cidr" "$gateway" "$servers"
  fi
  [ "$method" = static ] && resolver "$servers"
done
ls "$root"/etc/netplan/90-understudy-*.yaml >/dev/null 2>&1 && [ -z "$root" ] && command -v netplan >/dev/null && netplan generate
exit 0
`
