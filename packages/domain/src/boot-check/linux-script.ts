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

// Files of network configuration may hold passwords of wireless networks: lines that speak of secrets stay in the machine.
export const LINUX_SCRIPT = String.raw`
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
exec 2>/dev/null
say() { printf '==%s\n' "$*"; }
content() { head -c 65536 | sed -e '/[Pp][Aa][Ss][Ss]/d' -e '/[Pp][Ss][Kk]/d' -e '/[Ss][Ee][Cc][Rr][Ee][Tt]/d' -e 's/^/ /'; echo; }
show() { [ -f "$2" ] && [ -r "$2" ] && { say "$1" "$2"; content <"$2"; }; }
bounded() { if command -v timeout >/dev/null; then timeout 90 "$@"; else "$@"; fi; }
names() { sed -n 's#.*/\([A-Za-z0-9_-]*\)\.ko\(\.[a-z0-9]*\)*$#\1#p' | tr - _ | sort -u | grep -Ex '${KNOWN_DRIVERS.join('|')}' | tr '\n' ' '; }
listing() {
  if command -v lsinitramfs >/dev/null; then bounded lsinitramfs "$1"
  elif command -v lsinitrd >/dev/null; then bounded lsinitrd "$1"
  else for unpack in gzip zstd xz cat; do
    if [ $unpack = cat ]; then cat "$1"; else $unpack -dc <"$1"; fi | cpio -t
  done; fi
}
built_in() {
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
    if printf '%s\n' "$list" | grep -Eq '(^|[ /])init( ->.*)?$'; then printf ' initramfs %s\n' "$(printf '%s\n' "$list" | names)"
    else printf ' unread the contents of %s could not be listed\n' "$file"; fi
    return
  done
  printf ' unread no initial memory disk of it was found in /boot\n'
}

say ${REPORT_HEAD} 1
if [ -r /etc/os-release ]; then show os /etc/os-release; else show os /usr/lib/os-release; fi
say kernel; uname -r | content
say firmware; if [ -d /sys/firmware/efi ]; then echo ' uefi'; else echo ' bios'; fi
show cmdline /proc/cmdline
show fstab /etc/fstab
show crypttab /etc/crypttab
for file in /etc/udev/rules.d/*persistent-net*.rules; do show naming "$file"; done
for file in /etc/netplan/*.yaml /etc/network/interfaces /etc/network/interfaces.d/* \
  /etc/NetworkManager/system-connections/* /etc/sysconfig/network-scripts/ifcfg-* \
  /etc/sysconfig/network/ifcfg-* /etc/systemd/network/*.network; do show network "$file"; done
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
for version in $(printf '%s\n' "$newest" | head -n 3); do image "$version"; done
printf '%s\n' "$newest" | head -n 3 | grep -qxF "$running" || image "$running"
say end
`
