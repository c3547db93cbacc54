/** The programs of the operating system that the tests run against: hypervisor, browser, name server, load balancer, NBD and SSH tools. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { binOf, pinnedNode, root } from './environment.mjs'
import { runChild } from './run-child.mjs'

/** Ubuntu has no such package (its browser comes another way): then the test runner fetches a browser of its own. */
const browserPackage = 'chromium'

export const debianPackages = [
  'bind9',
  'busybox-static',
  'cpio',
  'e2fsprogs',
  'extlinux',
  'fdisk',
  'fonts-dejavu-core',
  'haproxy',
  'libnbd-bin',
  'libvirt-clients',
  'libvirt-daemon',
  'libvirt-daemon-driver-qemu',
  'mmdebstrap',
  'nbdkit',
  'openssh-client',
  'openssh-server',
  'qemu-block-extra',
  'qemu-system-x86',
  'qemu-utils',
  'rclone',
  'syslinux-common',
  'xfsprogs',
]

/** What those packages are wanted for, to be looked for where there is no apt. */
const programs = [
  'chromium',
  'cpio',
  'mkfs.ext4',
  'mkfs.xfs',
  'extlinux',
  'sfdisk',
  'nbdinfo',
  'virsh',
  'libvirtd',
  'mmdebstrap',
  'nbdkit',
  'ssh',
  'sshd',
  'named',
  'haproxy',
  'qemu-system-x86_64',
  'qemu-img',
  'rclone',
]

// A test tool must not become a service of the computer that runs the tests: for as long as apt works,
// policy-rc.d forbids the new packages to start sshd, libvirtd, named and haproxy. The tests start their own.
const installScript = `
set -e
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=600 update
if [ -n "$IF_OFFERED" ] && apt-cache policy "$IF_OFFERED" | grep -q 'Candidate: [0-9]'; then set -- "$@" "$IF_OFFERED"; fi
[ $# -eq 0 ] || apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
`

/**
 * Throws with the command to type when something is missing that we may not install.
 * @param {readonly string[]} [more] further Debian packages that are wanted
 */
export async function installTools(more = []) {
  if (!hasProgram('apt-get') || !hasProgram('dpkg-query')) return checkPrograms()
  const installed = installedPackages()
  const missing = [...findMissing(installed), ...more.filter((name) => !installed.has(name))]
  const browser = hasBrowser() ? '' : browserPackage
  if (missing.length === 0 && browser === '') return
  await installAsRoot(missing, browser)
  if (!hasBrowser()) await fetchBrowser()
}

/**
 * Those of them that are missing. Throws with the command to type when we may not install them.
 * @param {readonly string[]} names
 */
export async function installDebianPackages(names) {
  if (!hasProgram('apt-get') || !hasProgram('dpkg-query'))
    throw new Error(`This needs Debian or Ubuntu, for these packages: ${names.join(', ')}`)
  const installed = installedPackages()
  const missing = names.filter((name) => !installed.has(name))
  if (missing.length > 0) await installAsRoot(missing)
}

/**
 * @param {readonly string[]} missing
 * @param {string} [ifOffered] one more, which not every distribution has
 */
async function installAsRoot(missing, ifOffered = '') {
  const all = [...missing, ifOffered].filter((name) => name !== '')
  const prefix = becomeRoot()
  if (prefix === undefined)
    throw new Error(
      `Programs are needed that are not installed. Type:\n  sudo apt-get install ${all.join(' ')}`,
    )
  console.log(`Installing Debian packages: ${all.join(' ')}`)
  const script = [...prefix, 'env', `IF_OFFERED=${ifOffered}`, 'sh', '-c', installScript, 'sh', ...missing]
  const [file = '', ...args] = script
  const code = await runChild(file, args, { limitSeconds: 1800 })
  if (code !== 0) throw new Error(`apt-get failed with exit code ${code}`)
}

/** The one of the distribution, or the one that the test runner keeps for itself. */
function hasBrowser() {
  if (hasProgram('chromium')) return true
  const script = "process.stdout.write(require('@playwright/test').chromium.executablePath())"
  const { stdout } = spawnSync(pinnedNode(), ['-e', script], { cwd: root, encoding: 'utf8' })
  return stdout !== '' && existsSync(stdout)
}

async function fetchBrowser() {
  console.log('This distribution has no package of Chromium; fetching one for the tests')
  const tool = [binOf('@playwright/test', 'playwright'), 'install', '--with-deps', 'chromium']
  const code = await runChild(pinnedNode(), tool, { limitSeconds: 1800 })
  if (code !== 0)
    throw new Error(
      'No browser for the tests could be fetched. Install Chromium so that "chromium" is on the PATH.',
    )
}

/**
 * @param {Set<string>} installed
 * @returns {string[]}
 */
export function findMissing(installed) {
  return debianPackages.filter((name) => !installed.has(name))
}

function installedPackages() {
  // dpkg's own placeholders, not ours.
  const format = ['db:Status-Status', 'binary:Package'].map((field) => `\${${field}}`).join(' ')
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', `${format}\n`], { encoding: 'utf8' })
  return parseInstalled(stdout)
}

/**
 * @param {string} text lines of "<state> <name>", the name perhaps with ":<architecture>"
 * @returns {Set<string>}
 */
export function parseInstalled(text) {
  const lines = text.split('\n').filter((line) => line.startsWith('installed '))
  return new Set(lines.map((line) => line.slice('installed '.length).replace(/:.*/, '')))
}

/** @returns {string[] | undefined} what to put before a command that only root may run */
function becomeRoot() {
  if (process.getuid?.() === 0) return []
  const mayBecome = hasProgram('sudo') && spawnSync('sudo', ['-n', 'true']).status === 0
  return mayBecome ? ['sudo', '-n'] : undefined
}

function checkPrograms() {
  const missing = programs.filter((name) => !hasProgram(name))
  if (missing.length === 0) return
  throw new Error(
    `The tests need these programs, which are not on the PATH: ${missing.join(', ')}.\n` +
      `On Debian and Ubuntu they are in: ${debianPackages.join(' ')}`,
  )
}

/** @param {string} name */
function hasProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => folder !== '' && existsSync(join(folder, name)))
}
