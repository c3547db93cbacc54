// What an edit has changed, as the record of it says it: from what to what, in the names that people gave. Pure.
import { formatBytes } from '@understudy/base/bytes'
import type { MachineHardware } from '../machines/machine.ts'
import type { Network } from '../sites/site.ts'
import type { Policy, PolicySettings, RetentionTier } from './policy.ts'
import type { AdapterAddress, AdapterMapping, Protection } from './protection.ts'

export type Change = { readonly what: string; readonly from: string; readonly to: string }

/** `policy from "gold" to "silver"; excluded disks from none to Disk 2`. */
export const wordsOfChanges = (changes: readonly Change[]): string =>
  changes.length === 0
    ? 'nothing is other than it was'
    : changes.map(({ what, from, to }) => `${what} from ${from} to ${to}`).join('; ')

type Edited = Pick<Protection, 'name' | 'excludedDisks' | 'adapters'> & { readonly policyName: string }

/** `networks`: of the target; a mapping to one that has gone keeps its id. */
export function protectionChanges(
  before: Edited,
  after: Edited,
  { hardware, networks }: { readonly hardware: MachineHardware; readonly networks: readonly Network[] },
): readonly Change[] {
  const labelsOf = ({ excludedDisks }: Edited): string =>
    listOf(excludedDisks.map((key) => hardware.disks.find((disk) => disk.key === key)?.label ?? key))
  const networkOf = (id: string | null | undefined): string =>
    id == null ? 'none' : quoted(networks.find((network) => network.id === id)?.name ?? id)
  return whatDiffers([
    ['name', quoted(before.name), quoted(after.name)],
    ['policy', quoted(before.policyName), quoted(after.policyName)],
    ['excluded disks', labelsOf(before), labelsOf(after)],
    ...adapterKeys(before, after).flatMap((key): Row[] => {
      const [old, now] = [mappingOf(before, key), mappingOf(after, key)]
      const label = labelOfAdapter(hardware, key)
      return [
        [
          `failover network of ${label}`,
          networkOf(old?.failoverNetworkId),
          networkOf(now?.failoverNetworkId),
        ],
        [`test network of ${label}`, networkOf(old?.testNetworkId), networkOf(now?.testNetworkId)],
        [`failover address of ${label}`, addressOf(old?.failoverAddress), addressOf(now?.failoverAddress)],
        [`test address of ${label}`, addressOf(old?.testAddress), addressOf(now?.testAddress)],
      ]
    }),
  ])
}

const addressOf = (address: AdapterAddress | undefined): string => {
  if (address?.method !== 'static') return 'asked for (DHCP)'
  const { prefix, gateway, nameServers } = address
  return [prefix, `gateway ${gateway ?? 'none'}`, `name servers ${listOf(nameServers)}`].join(', ')
}

const adapterKeys = (before: Edited, after: Edited): readonly string[] => [
  ...new Set([...before.adapters, ...after.adapters].map(({ adapterKey }) => adapterKey)),
]

const mappingOf = ({ adapters }: Edited, key: string): AdapterMapping | undefined =>
  adapters.find(({ adapterKey }) => adapterKey === key)

const labelOfAdapter = ({ adapters }: MachineHardware, key: string): string => {
  const index = adapters.findIndex((adapter) => adapter.key === key)
  return index < 0 ? key : `adapter ${index + 1}`
}

export function policyChanges(before: Policy, after: Policy): readonly Change[] {
  return whatDiffers([
    ['name', quoted(before.name), quoted(after.name)],
    ...Object.values(wordsOfSetting).map(({ what, of }): Row => [what, of(before), of(after)]),
  ])
}

type SettingWords = { readonly what: string; readonly of: (settings: PolicySettings) => string }

const wordsOfSetting: Record<keyof PolicySettings, SettingWords> = {
  intervalSeconds: { what: 'interval', of: (settings) => `${settings.intervalSeconds} s` },
  lagTargetSeconds: { what: 'lag target', of: (settings) => `${settings.lagTargetSeconds} s` },
  applicationConsistentEverySeconds: {
    what: 'application-consistent points',
    of: (settings) => everyOr('never', settings.applicationConsistentEverySeconds),
  },
  retention: {
    what: 'retention',
    of: ({ retention }) => `"${retention.map(wordsOfTier).join(', then ')}"`,
  },
  compress: { what: 'compression', of: (settings) => onOff(settings.compress) },
  encrypt: { what: 'encryption', of: (settings) => onOff(settings.encrypt) },
  priority: { what: 'priority', of: (settings) => String(settings.priority) },
  rateLimitBytesPerSecond: {
    what: 'rate limit',
    of: ({ rateLimitBytesPerSecond: rate }) => (rate === 0 ? 'none' : `${formatBytes(rate)}/s`),
  },
  commitTimeoutSeconds: {
    what: 'time to commit',
    of: ({ commitTimeoutSeconds: seconds }) => (seconds === 0 ? 'unlimited' : `${seconds} s`),
  },
  uncommittedAction: {
    what: 'what follows without a commit',
    of: ({ uncommittedAction }) => uncommittedAction.replace('-', ' '),
  },
}

const wordsOfTier = ({ everySeconds, forSeconds }: RetentionTier): string =>
  `${everyOr('all', everySeconds)} for ${forSeconds} s`

const everyOr = (otherwise: string, seconds: number): string =>
  seconds === 0 ? otherwise : `every ${seconds} s`
const onOff = (on: boolean): string => (on ? 'on' : 'off')
const quoted = (name: string): string => `"${name}"`
const listOf = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '))

type Row = readonly [what: string, from: string, to: string]

const whatDiffers = (rows: readonly Row[]): readonly Change[] =>
  rows.filter(([, from, to]) => from !== to).map(([what, from, to]) => ({ what, from, to }))
