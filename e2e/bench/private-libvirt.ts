// A libvirtd that nothing else on the computer can see: its folders are bind mounts in a mount namespace of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from './bench-site.ts'

export type PrivateLibvirt = {
  /** Runs a program that talks to this libvirtd. */
  run(command: string, ...args: readonly string[]): Promise<string>
  /** Starts a machine without an operating system on this qcow2 disk. */
  startDomain(name: string, disk: string): Promise<void>
  /** Ends its machines and itself. */
  close(): Promise<void>
}

const startSeconds = 30
const places = {
  run: '/run/libvirt',
  lib: '/var/lib/libvirt',
  etc: '/etc/libvirt',
  log: '/var/log/libvirt',
  cache: '/var/cache/libvirt',
}
const qemuSettings = `
user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
`
const daemonSettings = `
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "/run/libvirt"
`

/** Needs root, for the mounts. */
export async function startPrivateLibvirt(folder: string): Promise<PrivateLibvirt> {
  if (process.getuid?.() !== 0) throw new Error('A libvirtd of our own needs root, for its mounts')
  for (const name of Object.keys(places)) await mkdir(join(folder, name), { recursive: true })
  await writeFile(join(folder, 'etc/qemu.conf'), qemuSettings)
  await writeFile(join(folder, 'etc/libvirtd.conf'), daemonSettings)
  // libvirtd wants a user and a group of this name, whether it uses them or not. Only it sees them.
  await writeFile(
    join(folder, 'passwd'),
    `${await readFile('/etc/passwd', 'utf8')}libvirt-qemu:x:64055:64055::/:/bin/false\n`,
  )
  await writeFile(join(folder, 'group'), `${await readFile('/etc/group', 'utf8')}libvirt-qemu:x:64055:\n`)
  const files = ['passwd', 'group'].map((name) => `mount --bind '${join(folder, name)}' /etc/${name}`)
  const mounts = Object.entries(places).map(
    ([name, place]) => `mkdir -p ${place} && mount --bind '${join(folder, name)}' ${place}`,
  )
  const script = `${[...mounts, ...files].join(' && ')} && exec /usr/sbin/libvirtd`
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text.toString()).slice(-2000)
  })
  const inside = (command: string, ...args: readonly string[]): Promise<string> =>
    run('nsenter', '--target', String(child.pid), '--mount', command, ...args)
  await untilListening(child, inside, () => complaint)
  const domains: string[] = []
  return {
    run: inside,
    async startDomain(name, disk) {
      const definition = join(folder, `${name}.xml`)
      await writeFile(definition, domainDefinition(name, disk))
      domains.push(name)
      await inside('virsh', 'define', definition)
      await inside('virsh', 'start', name)
    },
    async close() {
      for (const name of domains) await inside('virsh', 'destroy', name).catch(() => '')
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function untilListening(
  child: ChildProcess,
  inside: (command: string, ...args: readonly string[]) => Promise<string>,
  complaint: () => string,
): Promise<void> {
  const deadline = performance.now() + startSeconds * 1000
  for (;;) {
    const answers = await inside('virsh', 'version').then(
      () => true,
      () => false,
    )
    if (answers) return
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`libvirtd does not answer: ${complaint()}`)
    }
    await sleep(100)
  }
}

const domainDefinition = (name: string, disk: string): string => `
<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='${disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
`
