// The connection test of a host that libvirt manages: what is needed there, in the order in which its absence is noticed.
import { Refusal } from '@understudy/base/errors'
import { requireAccelerator, requireMachinesFolder } from '../check-host.ts'
import { isAtLeast } from '../eligibility.ts'
import type { KvmSettings } from '../settings.ts'
import type { LibvirtHost } from './libvirt-host.ts'

export async function checkLibvirt(
  host: LibvirtHost,
  { accelerator }: Pick<KvmSettings, 'accelerator'>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { version, count } = await host.virsh(async (session) => {
    const said = await session.ask('version')
    const list = await session.ask('list --all --uuid')
    return {
      version: /Running hypervisor: QEMU (\S+)/i.exec(said)?.[1] ?? '0.0',
      count: list.split('\n').filter((line) => line.trim() !== '').length,
    }
  }, signal)
  if (!isAtLeast(version))
    throw new Refusal({
      code: 'source/qemu-too-old',
      message: `Host ${host.name} has QEMU ${version}; 7.1 is needed`,
      remedy: 'Install a newer QEMU.',
    })
  for (const tool of ['qemu-img', 'qemu-storage-daemon', 'pgrep', 'flock'])
    await requireTool(host, tool, signal)
  await requireRoot(host, signal)
  await requireMachinesFolder(host, "Create the folder; QEMU's user must be able to enter it.", signal)
  await requireAccelerator(host, accelerator)
  return `${host.name}: libvirt with QEMU ${version}, ${count} ${count === 1 ? 'machine' : 'machines'}`
}

async function requireTool(host: LibvirtHost, tool: string, signal: AbortSignal | undefined): Promise<void> {
  const result = await host.run('sh', ['-c', 'command -v "$1"', 'sh', tool], { signal })
  if (result.code === 0) return
  throw new Refusal({
    code: 'kvm/tool-missing',
    message: `Host ${host.name} cannot run ${tool}`,
    remedy: 'Install it there (Debian: qemu-system-x86 qemu-utils procps util-linux).',
  })
}

/** libvirt runs QEMU with a user of its own; only root can hand files to it and connect to its sockets. */
async function requireRoot(host: LibvirtHost, signal: AbortSignal | undefined): Promise<void> {
  if (host.uri.includes('/session')) return
  const { stdout } = await host.run('id', ['-u'], { signal })
  if (stdout.trim() === '0') return
  throw new Refusal({
    code: 'kvm/libvirt-not-permitted',
    message: `We are not root on host ${host.name}, so what points need could not be handed to QEMU's user`,
    remedy: 'Connect to the host as root, or use qemu:///session.',
  })
}
