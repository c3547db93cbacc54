// A KVM site: what it can do as a source and as a target.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { Site } from '@understudy/domain/sites/site'
import type { HostPrograms } from '@understudy/engine/ports/host-programs'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { requireAccelerator, requireMachinesFolder } from './check-host.ts'
import { isAtLeast } from './eligibility.ts'
import type { Host } from './host.ts'
import { hostPrograms } from './host-programs.ts'
import { checkLibvirt } from './libvirt/check-libvirt.ts'
import { libvirtDirectory } from './libvirt/libvirt-directory.ts'
import { libvirtHost } from './libvirt/libvirt-host.ts'
import { libvirtSource } from './libvirt/libvirt-source.ts'
import { libvirtTarget } from './libvirt/libvirt-target.ts'
import { DEFAULT_URI, toLibvirtUri } from './libvirt/uri.ts'
import { machineDirectory } from './machine-directory.ts'
import { openHosts } from './open-hosts.ts'
import { QEMU } from './qemu-command.ts'
import { checkKvmSecrets, checkKvmSettings, type KvmSecrets, type KvmSettings } from './settings.ts'
import { kvmSource } from './source.ts'
import { type KvmTarget, kvmTarget } from './target.ts'

export type KvmPlatformDeps = {
  readonly clock: Clock
  /** A folder that could not be read as a machine; it is left out of the inventory. */
  readonly onProblem?: (problem: { host: string; folder: string; error: unknown }) => void
  /** See PreparePointDeps.scratchBytes. */
  readonly scratchBytes?: number
}

export type KvmPlatform = {
  readonly settings: KvmSettings
  readonly hosts: readonly Host[]
  readonly source: SourcePlatform
  readonly target: KvmTarget
  /** Of the first host of the settings. */
  readonly hostPrograms: HostPrograms
  checkConnection(signal?: AbortSignal): Promise<{ readonly summary: string }>
  close(): Promise<void>
}

/** Refusal `kvm/settings` when the settings are wrong. Connects to nothing until something is asked. */
export function openKvmPlatform(
  site: Pick<Site, 'settings'>,
  secrets: Readonly<Record<string, string>>,
  deps: KvmPlatformDeps,
): KvmPlatform {
  const settings = checkKvmSettings(site.settings)
  if (settings.adapter === 'libvirt')
    return openLibvirtPlatform(settings, checkKvmSecrets(settings, secrets), deps)
  const hosts = openHosts(settings, checkKvmSecrets(settings, secrets))
  const directory = machineDirectory(hosts, deps.onProblem ?? (() => undefined))
  const source = kvmSource({ ...deps, hosts, directory, bootDeadlineSeconds: settings.bootDeadlineSeconds })
  const target = kvmTarget({ hosts, directory, settings })
  return {
    settings,
    hosts,
    source,
    target,
    hostPrograms: hostPrograms(present(hosts[0], 'a site has a host')),
    async checkConnection(signal) {
      const summaries: string[] = []
      for (const host of hosts) summaries.push(await checkHost(host, settings, signal))
      return { summary: summaries.join('; ') }
    },
    async close() {
      await target.close()
      await Promise.all(hosts.map((host) => host.close()))
    },
  }
}

/** Machines that libvirt manages. Refusal `kvm/libvirt-uri`, see toLibvirtUri. */
function openLibvirtPlatform(
  settings: KvmSettings,
  secrets: KvmSecrets,
  { clock, scratchBytes }: KvmPlatformDeps,
): KvmPlatform {
  const uris = settings.hosts.map(toLibvirtUri)
  const hosts = openHosts(settings, secrets).map((host, index) =>
    libvirtHost(host, uris[index] ?? DEFAULT_URI),
  )
  const { bootDeadlineSeconds } = settings
  const directory = libvirtDirectory(hosts)
  const target = libvirtTarget({ hosts, directory, settings, clock })
  const source = libvirtSource({
    hosts,
    directory,
    clock,
    bootDeadlineSeconds,
    ...(scratchBytes === undefined ? {} : { scratchBytes }),
  })
  return {
    settings,
    hosts,
    source,
    target,
    hostPrograms: hostPrograms(present(hosts[0], 'a site has a host')),
    async checkConnection(signal) {
      const summaries: string[] = []
      for (const host of hosts) summaries.push(await checkLibvirt(host, settings, signal))
      return { summary: summaries.join('; ') }
    },
    async close() {
      await target.close()
      await Promise.all(hosts.map((host) => host.close()))
    },
  }
}

/** What is needed on a host, in the order in which its absence is noticed. */
async function checkHost(
  host: Host,
  { accelerator }: Pick<KvmSettings, 'accelerator'>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const version = await qemuVersion(host, signal)
  if (!isAtLeast(version))
    throw new Refusal({
      code: 'source/qemu-too-old',
      message: `Host ${host.name} has QEMU ${version}; 7.1 is needed`,
      remedy: 'Install a newer QEMU.',
    })
  for (const tool of ['qemu-img', 'qemu-storage-daemon']) await requireTool(host, tool, signal)
  await requireMachinesFolder(host, 'Create the folder, or correct the settings.', signal)
  await requireAccelerator(host, accelerator)
  const folders = (await host.list(host.machinesFolder)).filter(
    ({ kind, name }) => kind === 'folder' && !name.startsWith('.'),
  )
  return `${host.name}: QEMU ${version}, ${folders.length} ${folders.length === 1 ? 'machine folder' : 'machine folders'}`
}

async function qemuVersion(host: Host, signal: AbortSignal | undefined): Promise<string> {
  const result = await requireTool(host, QEMU, signal)
  return /version (\d+\.\d+(\.\d+)?)/.exec(result)?.[1] ?? '0.0'
}

async function requireTool(host: Host, tool: string, signal: AbortSignal | undefined): Promise<string> {
  const result = await host.run(tool, ['--version'], { signal }).catch((error: unknown) => {
    // Locally a program that is not there cannot even be started.
    if (error instanceof Outage && error.code === 'kvm/host-failed') return null
    throw error
  })
  if (result !== null && result.code === 0) return result.stdout
  throw new Refusal({
    code: 'kvm/tool-missing',
    message: `Host ${host.name} cannot run ${tool}`,
    remedy: 'Install QEMU there (Debian: qemu-system-x86 qemu-utils).',
  })
}
