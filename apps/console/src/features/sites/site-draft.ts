// What the forms of a site hold, and how that becomes what the API takes. Pure.
import { SiteInput } from '@understudy/contract/site'
import type { z } from 'zod'
import {
  type AzureDraft,
  checkAzure,
  emptyAzure,
  needsStoredAzureSecret,
  toAzureDraft,
  toAzureInput,
} from './azure-draft.ts'
import { FILL_IN, type Loose, list, number, type Problems, record, text } from './draft-fields.ts'

export type HostDraft = {
  readonly key: string
  readonly name: string
  readonly where: 'local' | 'ssh'
  readonly host: string
  readonly port: number
  readonly user: string
  readonly hostKeySha256: string
  readonly machinesFolder: string
  readonly libvirtUri: string
}

export type NetworkDraft = {
  readonly key: string
  readonly id: string
  readonly name: string
  readonly kind: 'user' | 'bridge'
  readonly isolated: boolean
  readonly bridge: string
  /** `80, 443` */
  readonly probePorts: string
}

export type SiteDraft = {
  readonly name: string
  readonly platform: Platform
  readonly kvm: {
    readonly adapter: 'qmp' | 'libvirt'
    readonly hosts: readonly HostDraft[]
    readonly accelerator: 'kvm' | 'tcg'
    readonly bootDeadlineSeconds: number
    readonly networks: readonly NetworkDraft[]
    readonly replicaFolder: string
    readonly privateKey: string
  }
  readonly simulated: {
    readonly machines: number
    readonly disksPerMachine: number
    readonly diskMegabytes: number
    readonly churnKilobytesPerSecond: number
    readonly seed: number
  }
  readonly azure: AzureDraft
}

export type Platform = 'kvm' | 'simulated' | 'azure' | 'physical'

const KiB = 1024
const MiB = 1024 * KiB

export const emptyHost = (key: string): HostDraft => ({
  key,
  name: 'host-1',
  where: 'local',
  host: '',
  port: 22,
  user: 'root',
  hostKeySha256: '',
  machinesFolder: '',
  libvirtUri: '',
})

export const emptyNetwork = (key: string): NetworkDraft => ({
  key,
  id: '',
  name: '',
  kind: 'bridge',
  isolated: false,
  bridge: '',
  probePorts: '',
})

export const emptyDraft: SiteDraft = {
  name: '',
  platform: 'kvm',
  kvm: {
    adapter: 'qmp',
    hosts: [emptyHost('first')],
    accelerator: 'kvm',
    bootDeadlineSeconds: 120,
    networks: [],
    replicaFolder: '',
    privateKey: '',
  },
  simulated: { machines: 10, disksPerMachine: 1, diskMegabytes: 64, churnKilobytesPerSecond: 64, seed: 1 },
  azure: emptyAzure,
}

/** The draft as the API takes it. Fields that are left empty are left out. */
export function toSiteInput(draft: SiteDraft): z.input<typeof SiteInput> {
  if (draft.platform === 'azure') return toAzureInput(draft)
  if (draft.platform === 'physical') return { name: draft.name, platform: 'physical' }
  if (draft.platform === 'simulated') {
    const { machines, disksPerMachine, diskMegabytes, churnKilobytesPerSecond, seed } = draft.simulated
    return {
      name: draft.name,
      platform: 'simulated',
      settings: {
        machines,
        disksPerMachine,
        diskBytes: diskMegabytes * MiB,
        churnBytesPerSecond: churnKilobytesPerSecond * KiB,
        seed,
      },
    }
  }
  const { adapter, hosts, accelerator, bootDeadlineSeconds, networks, replicaFolder, privateKey } = draft.kvm
  return {
    name: draft.name,
    platform: 'kvm',
    settings: {
      adapter,
      accelerator,
      bootDeadlineSeconds,
      hosts: hosts.map((host) => ({
        name: host.name,
        address:
          host.where === 'local'
            ? { kind: 'local' }
            : {
                kind: 'ssh',
                host: host.host,
                port: host.port,
                user: host.user,
                hostKeySha256: host.hostKeySha256.trim(),
              },
        machinesFolder: host.machinesFolder,
        ...(adapter === 'libvirt' && host.libvirtUri !== '' ? { libvirtUri: host.libvirtUri } : {}),
      })),
      networks: networks.map((network) => ({
        id: network.id,
        name: network.name,
        kind: network.kind,
        isolated: network.isolated,
        ...(network.kind === 'bridge' && network.bridge !== '' ? { bridge: network.bridge } : {}),
        ...(network.probePorts.trim() === '' ? {} : { probePorts: portsOf(network.probePorts) }),
      })),
      ...(replicaFolder === '' ? {} : { replicaFolder }),
    },
    secrets: privateKey.trim() === '' ? {} : { privateKey },
  }
}

export const portsOf = (text: string): number[] =>
  text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map(Number)

/**
 * What does not fit before it is sent, by the path of its field; an empty record when all is well. A site that is saved has its
 * secrets already.
 */
export function checkDraft(draft: SiteDraft, saved = false): Problems {
  const own = draft.platform === 'azure' ? checkAzure(draft.azure, saved) : {}
  const parsed = SiteInput.safeParse(toSiteInput(draft))
  if (parsed.success) return own
  return {
    ...own,
    ...Object.fromEntries(
      parsed.error.issues.toReversed().map((issue) => [issue.path.join('.'), wordsOf(issue)]),
    ),
  }
}

function wordsOf(issue: z.core.$ZodIssue): string {
  // What is wrong with the name of an entry lies below the entry.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  return issue.code === 'too_small' && issue.message.startsWith('Too small') ? FILL_IN : issue.message
}

/** Settings of a site that is registered already, for its form. Secrets never come back: their fields stay empty. */
export function toDraft(site: {
  readonly name: string
  readonly platform: Platform
  readonly settings: Loose
}): SiteDraft {
  const { settings } = site
  return {
    name: site.name,
    platform: site.platform,
    kvm: {
      adapter: settings.adapter === 'libvirt' ? 'libvirt' : 'qmp',
      hosts: list(settings.hosts).map((each, index) => toHostDraft(record(each), `host ${index}`)),
      accelerator: settings.accelerator === 'tcg' ? 'tcg' : 'kvm',
      bootDeadlineSeconds: number(settings.bootDeadlineSeconds, 120),
      networks: list(settings.networks).map((each, index) =>
        toNetworkDraft(record(each), `network ${index}`),
      ),
      replicaFolder: text(settings.replicaFolder),
      privateKey: '',
    },
    simulated: {
      machines: number(settings.machines, 10),
      disksPerMachine: number(settings.disksPerMachine, 1),
      diskMegabytes: number(settings.diskBytes, 64 * MiB) / MiB,
      churnKilobytesPerSecond: number(settings.churnBytesPerSecond, 64 * KiB) / KiB,
      seed: number(settings.seed, 1),
    },
    azure: toAzureDraft(settings),
  }
}

/** It cannot be tested from the form: the secret that is kept on the server is not in it. Pure. */
export function needsStoredSecret({ platform, kvm, azure }: SiteDraft): boolean {
  switch (platform) {
    case 'kvm':
      return kvm.hosts.some(({ where }) => where === 'ssh') && kvm.privateKey.trim() === ''
    case 'azure':
      return needsStoredAzureSecret(azure)
    case 'simulated':
    case 'physical':
      return false
  }
}

function toHostDraft(host: Loose, key: string): HostDraft {
  const address = record(host.address)
  return {
    key,
    name: text(host.name),
    where: address.kind === 'ssh' ? 'ssh' : 'local',
    host: text(address.host),
    port: number(address.port, 22),
    user: text(address.user, 'root'),
    hostKeySha256: text(address.hostKeySha256),
    machinesFolder: text(host.machinesFolder),
    libvirtUri: text(host.libvirtUri),
  }
}

const toNetworkDraft = (network: Loose, key: string): NetworkDraft => ({
  key,
  id: text(network.id),
  name: text(network.name),
  kind: network.kind === 'user' ? 'user' : 'bridge',
  isolated: network.isolated === true,
  bridge: text(network.bridge),
  probePorts: list(network.probePorts).join(', '),
})
