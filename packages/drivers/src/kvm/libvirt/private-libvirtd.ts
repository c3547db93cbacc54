// A libvirtd of our own, for tests: with its own mounts, so that it finds nothing of the computer's libvirt and leaves nothing
// behind. Without systemd. Its QEMUs run with another user than we do, as libvirt's always do.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { localHost } from '../local-host.ts'
import { virshPool } from './virsh-pool.ts'
import { openVirsh, word } from './virsh-session.ts'

const run = promisify(execFile)

export type PrivateLibvirtd = {
  /** Ours to use; QEMU may enter it. */
  readonly folder: string
  readonly uri: string
  virsh(...args: string[]): Promise<string>
  /** Ends every domain and then libvirtd itself. */
  close(): Promise<void>
}

const START_MILLISECONDS = 90_000
const COMMAND_MILLISECONDS = 60_000
const END_MILLISECONDS = 20_000
const MOUNTED = ['/run/libvirt', '/var/lib/libvirt', '/etc/libvirt', '/var/cache/libvirt', '/var/log/libvirt']
const USER = 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n'
const GROUP = 'libvirt-qemu:x:64055:\n'

export async function privateLibvirtd(): Promise<PrivateLibvirtd> {
  if (process.getuid?.() !== 0)
    throw new Error('A private libvirtd needs root, for its mounts. Run the tests as root.')
  const folder = await mkdtemp(join(tmpdir(), 'us-'))
  await run('chmod', ['755', folder])
  await writeConfiguration(folder)
  const script = [
    'set -e',
    ...MOUNTED.map((path) => `mkdir -p ${path}; mount --bind ${folder}/mounts${path} ${path}`),
    `mount --bind ${folder}/passwd /etc/passwd; mount --bind ${folder}/group /etc/group`,
    // libvirtd tries every accelerator it can open; one that hangs here would cost a minute.
    `if [ -e /dev/kvm ]; then mount --bind ${folder}/nothing /dev/kvm; fi`,
    `exec libvirtd --pid-file ${folder}/libvirtd.pid`,
  ].join('\n')
  const log: string[] = []
  // Each of these replaces the one before, so the process that we know is libvirtd in the end.
  const daemon = spawn('unshare', ['--mount', 'bash', '-c', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `/usr/sbin:/sbin:${process.env.PATH ?? ''}` },
  })
  daemon.stderr?.on('data', (chunk: Buffer) => log.push(chunk.toString('utf8')))
  const socket = join(folder, 'mounts/run/libvirt/libvirt-sock')
  const uri = `qemu+unix:///system?socket=${socket}`
  // A virsh for every command would take longer than what most of them ask for.
  const pool = virshPool(() =>
    openVirsh(localHost({ name: 'private libvirtd', machinesFolder: folder }), uri),
  )
  const virsh = (...args: string[]): Promise<string> =>
    pool.use((session) => session.ask(args.map(word).join(' '), COMMAND_MILLISECONDS))
  const close = async (): Promise<void> => {
    const names = await virsh('list', '--name').catch(() => '')
    for (const name of names.split('\n').filter((line) => line.trim() !== ''))
      await virsh('destroy', name.trim()).catch(() => undefined)
    pool.close()
    await end(daemon)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await untilItListens(daemon, socket, log)
    return { folder, uri, virsh, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function writeConfiguration(folder: string): Promise<void> {
  for (const path of MOUNTED) await mkdir(join(folder, 'mounts', path), { recursive: true })
  const etc = join(folder, 'mounts/etc/libvirt')
  // No cgroups, no namespaces and no confinement: none of them works everywhere that tests run.
  await writeFile(
    join(etc, 'qemu.conf'),
    'security_driver = "none"\nstdio_handler = "file"\nnamespaces = []\ncgroup_controllers = []\nmax_core = 0\nremember_owner = 0\n',
  )
  await writeFile(
    join(etc, 'libvirtd.conf'),
    'auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_dir = "/run/libvirt"\n',
  )
  for (const [name, line] of [
    ['passwd', USER],
    ['group', `${GROUP}kvm:x:64056:\n`],
  ] as const) {
    const text = await readFile(`/etc/${name}`, 'utf8')
    if (text.includes('libvirt-qemu:')) await copyFile(`/etc/${name}`, join(folder, name))
    else await writeFile(join(folder, name), text + line)
  }
  await writeFile(join(folder, 'nothing'), '')
}

async function untilItListens(daemon: ChildProcess, socket: string, log: readonly string[]): Promise<void> {
  const deadline = performance.now() + START_MILLISECONDS
  while ((await stat(socket).catch(() => null)) === null) {
    if (daemon.exitCode !== null || performance.now() > deadline)
      throw new Error(`libvirtd did not start:\n${log.join('').slice(-2000)}`)
    await sleep(100)
  }
}

async function end(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  const ended = new Promise<void>((resolve) => daemon.once('exit', () => resolve()))
  daemon.kill('SIGTERM')
  const timer = setTimeout(() => daemon.kill('SIGKILL'), END_MILLISECONDS)
  await ended
  clearTimeout(timer)
}
