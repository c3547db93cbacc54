// The script that guests run, in a tree of files that stands for one.
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { commandsForFstab, commandsForRoot } from '@understudy/domain/boot-check/linux-remedies'
import { LINUX_SCRIPT } from '@understudy/domain/boot-check/linux-script'
import { readLinuxReport } from '@understudy/domain/boot-check/read-linux-report'
import { afterEach, beforeEach, expect, test } from 'vitest'

const run = promisify(execFile)
let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'boot-script-'))
})
afterEach(() => rm(root, { recursive: true }))

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
}

/** An image as initramfs-tools makes it: microcode and firmware in plain archives, each padded, and a packed one. */
async function putImage(version: string, drivers: readonly string[], pack: string): Promise<void> {
  const tree = join(root, 'trees', version)
  for (const part of ['early', 'firmware', 'main']) await mkdir(join(tree, part, 'lib'), { recursive: true })
  await writeFile(join(tree, 'early', 'GenuineIntel.bin'), Buffer.alloc(3333, 7))
  await writeFile(join(tree, 'firmware', 'lib', 'hv_netvsc.ko.zst'), Buffer.alloc(777, 7))
  await writeFile(join(tree, 'main', 'init'), '#!/bin/sh\n')
  for (const driver of drivers) await writeFile(join(tree, 'main', 'lib', `${driver}.ko`), driver)
  await mkdir(join(root, 'boot'), { recursive: true })
  const archive = (part: string): string => `(cd ${part} && find . | cpio -o -H newc --quiet)`
  const image = `{ ${archive('early')}; ${archive('firmware')}; head -c 1024 /dev/zero; ${archive('main')} | ${pack}; }`
  await run('/bin/sh', ['-c', `${image} >${root}/boot/initrd.img-${version}`], { cwd: tree })
  await put(`boot/vmlinuz-${version}`, '')
}

/** As the guest would print it whose files lie in the tree; `running` is its kernel. */
async function report(running: string): Promise<string> {
  for (const name of ['lsinitramfs', 'lsinitrd']) {
    await put(`bin/${name}`, `#!/bin/sh\ntouch ${root}/was-unpacked\n`)
    await chmod(join(root, 'bin', name), 0o755)
  }
  const script = LINUX_SCRIPT.replaceAll(
    /(?<=[\s"'=])\/(etc|boot|usr\/lib|lib|proc\/cmdline)(?=[/\s"'])/g,
    `${root}/$1`,
  )
    .replace('PATH=', `PATH=${root}/bin:`)
    .replaceAll('uname -r', `echo ${running}`)
  const { stdout } = await run('/bin/sh', ['-c', script], { cwd: root, env: { TMPDIR: join(root, 'tmp') } })
  return stdout.replaceAll(root, '')
}

test.each(['gzip', 'zstd'])(
  'an image packed with %s is listed to its end, and nothing is written to list it',
  async (pack) => {
    await putImage('6.1.0-9', ['hv_vmbus', 'hv_storvsc', 'sd_mod'], pack)
    await mkdir(join(root, 'tmp'))
    const before = await readdir('/var/tmp')
    const facts = readLinuxReport(await report('6.1.0-9'))
    expect(facts?.kernels.map(({ initramfs }) => initramfs)).toEqual([
      { kind: 'read', drivers: ['hv_netvsc', 'hv_storvsc', 'hv_vmbus', 'sd_mod'] },
    ])
    expect(await readdir(join(root, 'tmp'))).toEqual([])
    expect(
      (await readdir('/var/tmp')).filter((name) => !before.includes(name) && /initr/.test(name)),
    ).toEqual([])
    // Those who unpack it to tell what is in it are not asked at all.
    expect(await readdir(root)).not.toContain('was-unpacked')
  },
)

test('only the newest kernel and the one that runs are looked at', async () => {
  for (const version of ['6.1.0-9', '6.1.0-10', '6.1.0-11']) await putImage(version, ['sd_mod'], 'gzip')
  const facts = readLinuxReport(await report('6.1.0-9'))
  expect(facts?.kernels.map(({ version }) => version)).toEqual(['6.1.0-11', '6.1.0-9'])
})

test('an image that is cut off, or holds a file system of its own, is not taken for one without drivers', async () => {
  await putImage('6.1.0-9', ['squash-root'], 'gzip')
  await put('boot/initrd.img-6.1.0-8', 'no image')
  const tree = join(root, 'trees', '6.1.0-9', 'main')
  await writeFile(join(tree, 'squash-root.img'), '')
  const image = `(cd ${tree} && find . | cpio -o -H newc --quiet | gzip) >${root}/boot/initrd.img-6.1.0-9`
  await run('/bin/sh', ['-c', image])
  const facts = readLinuxReport(await report('6.1.0-8'))
  expect(facts?.kernels.map(({ initramfs }) => initramfs.kind)).toEqual(['unread', 'unread'])
})

test('no secret of a file leaves the machine, whatever it is called; what is judged does', async () => {
  const secret = 'swordfish'
  await put('etc/os-release', `ID=debian\nPRETTY_NAME="Debian 12"\nSUPPORT_TOKEN=${secret}\n`)
  await put(
    'proc/cmdline',
    `root=iscsi:user:${secret}@192.0.2.1::: rd.iscsi.key=${secret} console=ttyS0 net.ifnames=0\n`,
  )
  await put(
    'etc/fstab',
    `UUID=1 / ext4 errors=remount-ro 0 1\n//nas/x /mnt cifs credentials=${secret} 0 0\n/dev/vdb1 /data ext4 nofail,key=${secret} 0 2`,
  )
  await put(
    'etc/crypttab',
    `#${secret}\nsecure /dev/vdc ${secret} luks,keyslot=${secret}\nasked /dev/vdd none luks,noauto`,
  )
  await put(
    'etc/netplan/a.yaml',
    `network: # ${secret}\n  ethernets:\n    "lan0":\n      match: {driver: hv_netvsc}\n      dhcp4: true # ${secret}\n      auth: {key: ${secret}}\n  tunnels:\n    wg0:\n      key: ${secret}\n      keys:\n        private: ${secret}\n`,
  )
  await put(
    'etc/network/interfaces',
    `iface eth0 inet dhcp\n  wpa-key ${secret}\n  wireless-key s:${secret}\n`,
  )
  await put(
    'etc/NetworkManager/system-connections/w.nmconnection',
    `[connection]\ntype=ethernet\ninterface-name=enp1s0\n[802-1x]\nmethod=peap\nprivate-key=${secret}\nwep-key0=${secret}\n[ipv4]\nmethod=manual\n`,
  )
  await put(
    'etc/systemd/network/a.network',
    `[Match]\nName=ens3\n[WireGuard]\nPrivateKey=${secret}\n[Network]\nDHCP=yes\n`,
  )
  await put('etc/sysconfig/network/ifcfg-eth1', `BOOTPROTO='dhcp'\nWIRELESS_KEY_0='${secret}'\n`)
  await put(
    'etc/udev/rules.d/70-persistent-net.rules',
    `# ${secret}\nSUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", ENV{K}="${secret}", NAME="eth0"\n`,
  )
  const text = await report('6.1')
  expect(text).not.toContain(secret)
  const facts = readLinuxReport(text)
  expect(facts).toMatchObject({
    distribution: { id: 'debian', name: 'Debian 12' },
    commandLine: 'root=iscsi console=ttyS0 net.ifnames=0',
    fstab: ['UUID=1 / ext4', '/dev/vdb1 /data ext4 nofail'],
    crypttab: ['secure - file', 'asked - none noauto'],
    namingRules: ['ATTR{address}=="52:54:00:12:34:56"', 'NAME="eth0"'],
  })
  expect(
    facts?.interfaces.map(({ writtenFor, name, driver, method }) => [writtenFor, name ?? driver, method]),
  ).toEqual([
    ['netplan', 'hv_netvsc', 'dhcp'],
    ['ifupdown', 'eth0', 'dhcp'],
    ['ifcfg', 'eth1', 'dhcp'],
    ['networkmanager', 'enp1s0', 'static'],
    ['networkd', 'ens3', 'dhcp'],
  ])
})

test('a device or a root without a UUID keeps the words by which the machine starts today', async () => {
  await put('etc/fstab', '/dev/vdb /data ext4 defaults 0 2\n/dev/vdc /more ext4 defaults 0 2\n')
  const programs = `
    sudo() { "$@"; }
    findmnt() { :; }
    blkid() { for last in "$@"; do :; done; [ "$last" != /dev/vdc ] || echo 0a34; }
    grubby() { echo "grubby $*"; }`
  const commands = commandsForFstab(['/dev/vdb', '/dev/vdc']).replaceAll('/etc/', `${root}/etc/`)
  await run('/bin/sh', ['-c', `${programs}\n${commands}`])
  expect(await readFile(join(root, 'etc/fstab'), 'utf8')).toBe(
    '/dev/vdb /data ext4 defaults 0 2\nUUID=0a34 /more ext4 defaults 0 2\n',
  )
  const asked = run('/bin/sh', ['-c', `${programs}\n${commandsForRoot('red-hat')}\ntrue`])
  expect((await asked).stdout).toBe('')
})
