// What is run inside a Linux machine to learn its facts: a script for any POSIX shell, busybox included, that only reads. Lines of content
// begin with a space, so nothing that a file holds is taken for the head of a section.
//
//   ==head [argument]
//    content

/** What a target may need; all other names of drivers are of no interest, and an initial memory disk has thousands. */
export const KNOWN_DRIVERS = [
  'hv_vmbus',
  'hv_storvsc',
  'hv_netvsc',
  'sd_mod',
  'virtio_pci',
  'virtio_blk',
  'virtio_net',
] as const
export type Driver = (typeof KNOWN_DRIVERS)[number]

export const REPORT_HEAD = 'understudy-boot-facts'

/** Options of the kernel's configuration that build a driver in, where no list of them lies beside its modules. */
const OPTION_OF: Record<Driver, string> = {
  hv_vmbus: 'HYPERV',
  hv_storvsc: 'HYPERV_STORAGE',
  hv_netvsc: 'HYPERV_NET',
  sd_mod: 'BLK_DEV_SD',
  virtio_pci: 'VIRTIO_PCI',
  virtio_blk: 'VIRTIO_BLK',
  virtio_net: 'VIRTIO_NET',
}

/** The script gives each memory disk this long, and looks at two at most: whoever runs it has to wait longer than both. */
const LISTING_SECONDS = 60

const LISTING = String.raw`bounded() { if command -v timeout >/dev/null; then timeout ${LISTING_SECONDS} "$@"; else "$@"; fi; }
modules() { sed -n 's#.*/\([A-Za-z0-9_-]*\)\.ko\(\.[a-z0-9]*\)*$#\1#p' | tr - _ | sort -u; }
names() { modules | grep -Ex '${KNOWN_DRIVERS.join('|')}' | tr '\n' ' '; }
hexadecimal() { if command -v od >/dev/null; then od -An -tx1; else hexdump -v -e '1/1 "%02x"'; fi | tr -d ' \n'; }
# An image is any number of plain archives (microcode, firmware), each padded to whole blocks, and then one that is packed. All is read from
# one open file: whoever lists an archive leaves it where the archive ends.
listing() {
  exec 3<"$1"
  turns=0
  while [ $turns -lt 64 ]; do
    turns=$((turns + 1))
    at=$(sed -n 's/^pos:[^0-9]*//p' /proc/self/fdinfo/3)
    [ -n "$at" ] || return
    rest=$(((512 - at % 512) % 512))
    [ $rest -eq 0 ] || dd bs=1 count=$rest <&3 >/dev/null
    at=$((at + rest))
    unpack=
    case $(tail -c +$((at + 1)) "$1" | head -c 4 | hexadecimal) in
      30373037) bounded cpio -t <&3 || return; continue;;
      00000000) dd bs=512 count=1 <&3 >/dev/null; continue;;
      1f8b*) unpack=gzip;;
      28b52ffd) unpack=zstd;;
      fd377a58) unpack=xz;;
      02214c18) unpack=lz4;;
      425a68*) unpack=bzip2;;
      5d0000*) unpack=lzma;;
      894c5a4f) unpack=lzop;;
    esac
    [ -n "$unpack" ] && bounded $unpack -dc <&3 | bounded cpio -t
    return
  done
}
`

// It goes to production machines. So nothing is written to their disks (lsinitramfs would: it unpacks whole images into /var/tmp), it yields
// to whatever else works there, and of the content of files only what the judgement reads leaves the machine: files of network
// configuration, /etc/fstab and the command line of the kernel hold passwords in more forms than a list of bad words knows.
export const LINUX_SCRIPT = String.raw`
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
exec 2>/dev/null </dev/null
renice -n 19 -p $$ >/dev/null
ionice -c 3 -p $$ >/dev/null
say() { printf '==%s\n' "$*"; }
content() { head -c 65536 | sed -e 's/^/ /'; echo; }
show() { [ -f "$2" ] && [ -r "$2" ] && { say "$1" "$2"; head -c 65536 "$2" | $3 | content; }; }
release() { grep -E '^(ID|ID_LIKE|NAME|PRETTY_NAME)='; }
# Of root=iscsi:user:password@... only what kind it is.
cmdline() { tr ' ' '\n' | grep -E '^(root|rootdelay|console|net\.ifnames)=' | sed -e '/^root=\/dev\//b' -e 's/^\(root=[^:]*\):.*/\1/' | tr '\n' ' '; }
chosen() {
  kept=; for option in $2; do case ",$1," in *,"$option"[,=]*) kept=$kept,$option;; esac; done
  printf '%s' "$kept" | cut -c 2-
}
fstab() {
  while read -r device place type options rest || [ -n "$device" ]; do
    case $device in /dev/*|UUID=*|LABEL=*|PARTUUID=*|PARTLABEL=*) printf '%s %s %s %s\n' "$device" "$place" "$type" "$(chosen "$options" 'nofail noauto')";; esac
  done
}
crypttab() {
  while read -r name device key options || [ -n "$name" ]; do
    case $name in ''|'#'*) continue;; esac
    case $key in ''|none|-) key=none;; *) key=file;; esac
    printf '%s - %s %s\n' "$name" $key "$(chosen "$options" 'noauto tpm2-device')"
  done
}
naming() { grep -v '^[[:space:]]*#' | grep -Eo '(ATTR[{]address[}]=="[0-9A-Fa-f:*?]*"|NAME="[A-Za-z0-9._-]*")'; }
interfaces() { sed -nE 's/^[[:space:]]*(iface[[:space:]]+[^[:space:]]+[[:space:]]+inet[[:space:]]+[a-z0-9]+).*/\1/p'; }
# A head that nobody reads is kept without its name: what stands below it must not count as the section before.
sections() {
  sed -nE -e 's/^[[:space:]]*(\[(connection|ethernet|802-3-ethernet|ipv4|Match|Network|Address)\]).*/\1/p' -e 't' -e 's/^[[:space:]]*\[.*/[-]/p' -e 't' \
    -e '/^[[:space:]]*(type|interface-name|mac-address|method|Type|Name|MACAddress|Driver|DHCP|Address)[[:space:]]*=/p'
}
assignments() { sed -nE '/^[[:space:]]*(DEVICE|HWADDR|TYPE|BOOTPROTO|IPADDR)=/p'; }
# Keys that head a map, and the values that say which adapter is meant and how it gets its address.
netplan() {
  sed -nE -e 's/[[:space:]]#.*//' -e '/^[[:space:]]*["'\'']?[A-Za-z0-9_.*-]+["'\'']?:[[:space:]]*$/p' \
    -e '/^[[:space:]]*(macaddress|name|driver|set-name|dhcp4):[[:space:]]+[^{]*$/p' -e 's/^([[:space:]]*addresses:)[[:space:]]*\[.*/\1 []/p' \
    -e '/^[[:space:]]*["'\'']?[A-Za-z0-9_.*-]+["'\'']?:[[:space:]]*[{]([[:space:]]*"?(macaddress|name|driver|dhcp4)"?:[[:space:]]*["A-Za-z0-9_:.*?-]+[[:space:]]*,?)*[[:space:]]*[}][[:space:]]*$/p'
}
${LISTING}built_in() {
  if [ -r "/lib/modules/$1/modules.builtin" ]; then printf ' builtin %s\n' "$(names <"/lib/modules/$1/modules.builtin")"; return; fi
  options=
  [ -r "/boot/config-$1" ] && options=$(cat "/boot/config-$1")
  [ -z "$options" ] && [ "$1" = "$(uname -r)" ] && options=$(gzip -dc </proc/config.gz)
  [ -z "$options" ] && return
  printf ' builtin'
${KNOWN_DRIVERS.map((driver) => `  printf '%s\\n' "$options" | grep -qx 'CONFIG_${OPTION_OF[driver]}=y' && printf ' ${driver}'`).join('\n')}
  echo
}
image() {
  say image "$1"
  built_in "$1"
  [ -r "/lib/modules/$1/modules.dep" ] && printf ' available %s\n' "$(cut -d: -f1 <"/lib/modules/$1/modules.dep" | names)"
  for file in "/boot/initrd.img-$1" "/boot/initramfs-$1.img" "/boot/initrd-$1" /boot/initrd.img /boot/initramfs.img /boot/initrd; do
    [ -e "$file" ] || continue
    [ -r "$file" ] || { printf ' unread %s may not be read\n' "$file"; return; }
    list=$(listing "$file")
    if printf '%s\n' "$list" | grep -Eq '(^|/)squash(fs)?-root[.]img$'; then printf ' unread %s holds a file system of its own, which was not opened\n' "$file"
    elif printf '%s\n' "$list" | grep -Eq '(^|[ /])init( ->.*)?$'; then printf ' initramfs %s\n' "$(printf '%s\n' "$list" | names)"
    else printf ' unread the contents of %s could not be listed\n' "$file"; fi
    return
  done
  printf ' unread no initial memory disk of it was found in /boot\n'
}

say ${REPORT_HEAD} 1
if [ -r /etc/os-release ]; then show os /etc/os-release release; else show os /usr/lib/os-release release; fi
say kernel; uname -r | content
say firmware; if [ -d /sys/firmware/efi ]; then echo ' uefi'; else echo ' bios'; fi
show cmdline /proc/cmdline cmdline
show fstab /etc/fstab fstab
show crypttab /etc/crypttab crypttab
for file in /etc/udev/rules.d/*persistent-net*.rules; do show naming "$file" naming; done
for file in /etc/netplan/*.yaml; do show network "$file" netplan; done
for file in /etc/network/interfaces /etc/network/interfaces.d/*; do show network "$file" interfaces; done
for file in /etc/sysconfig/network-scripts/ifcfg-* /etc/sysconfig/network/ifcfg-*; do show network "$file" assignments; done
for file in /etc/NetworkManager/system-connections/* /etc/systemd/network/*.network; do show network "$file" sections; done
say loader
found=unknown
for place in /boot/efi /efi /boot; do
  [ -d "$place/EFI" ] || continue
  found=no
  for file in "$place"/EFI/[Bb][Oo][Oo][Tt]/[Bb][Oo][Oo][Tt][Xx]64.[Ee][Ff][Ii]; do [ -e "$file" ] && found=yes; done
  break
done
echo " $found"
say services
if command -v systemctl >/dev/null; then
  ssh=no
  for unit in ssh.service sshd.service ssh.socket sshd.socket; do systemctl -q is-enabled $unit && ssh=yes; done
  agent=no
  for unit in walinuxagent.service waagent.service; do systemctl -q is-enabled $unit && agent=yes; done
else
  ssh=unknown; pidof sshd dropbear >/dev/null && ssh=yes
  agent=unknown; command -v waagent >/dev/null && agent=yes
fi
cloud=no; command -v cloud-init >/dev/null && [ ! -e /etc/cloud/cloud-init.disabled ] && cloud=yes
printf ' ssh %s\n agent %s\n cloud-init %s\n' $ssh $agent $cloud
kernels=$(ls /boot | sed -n 's/^vmlinuz-//p' | grep -v rescue)
running=$(uname -r)
[ -n "$kernels" ] || kernels=$running
newest=$(printf '%s\n' "$kernels" | sort -V -r || printf '%s\n' "$kernels" | sort -r)
newest=$(printf '%s\n' "$newest" | head -n 1)
image "$newest"
[ "$newest" = "$running" ] || image "$running"
say end
`

/** Prints all drivers that the initial memory disk `$1` holds, a line each. */
export const MEMORY_DISK_SCRIPT = `
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
exec 2>/dev/null </dev/null
${LISTING}
listing "$1" | modules
`
