// What an operator tells us about a simulated site, checked before anything is done with it.
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { Network } from '@understudy/domain/sites/site'

/** Every field may be left out. Sizes and rates count for machines that are made from now on. */
export type SimulatedSettings = {
  /** How many machines the site has of its own. Fewer than before: the last ones are gone. */
  readonly machines: number
  readonly disksPerMachine: number
  readonly diskBytes: number
  /** How much of every disk is in use, 16 MiB or all of a smaller disk unless told otherwise; the rest reads as zeros. */
  readonly usedBytes: number
  /** What the guest of every machine writes, over all its disks. */
  readonly churnBytesPerSecond: number
  /** Another seed, other content. */
  readonly seed: number
  /** An agent in every guest: application-consistent points are possible. */
  readonly guestAgent: boolean
  /** Every call to the site takes this long. */
  readonly latencyMilliseconds: number
  /** From power-on to the first answer to a probe. */
  readonly bootSeconds: number
  readonly faults: SimulatedFaults
  /** Absolute. Where replicas that run here are kept, unless the server decides; the driver only lets it pass. */
  readonly replicaFolder?: string
}

export type SimulatedFaults = {
  /** The source side answers nothing, as after a disaster. Its machines run on. */
  readonly unreachable: boolean
  /** Of so many calls of thousand an outage. */
  readonly failuresPerThousandCalls: number
  /** Guests do not react to the power button. */
  readonly ignoresShutDown: boolean
}

export const defaultSimulatedSettings: SimulatedSettings = {
  machines: 3,
  disksPerMachine: 1,
  diskBytes: GiB,
  usedBytes: 16 * MiB,
  churnBytesPerSecond: 64 * KiB,
  seed: 1,
  guestAgent: true,
  latencyMilliseconds: 0,
  bootSeconds: 2,
  faults: { unreachable: false, failuresPerThousandCalls: 0, ignoresShutDown: false },
}

/** Fixed: a simulated site has nothing that could be plugged in elsewhere. */
export const simulatedNetworks: readonly Network[] = [
  { id: 'sim-lan', name: 'sim-lan', isolated: false, description: 'Simulated network of the site' },
  { id: 'sim-isolated', name: 'sim-isolated', isolated: true, description: 'Simulated network for tests' },
]

type Range = { readonly least: number; readonly most: number; readonly multipleOf?: number }

const numberRanges: Readonly<Record<string, Range>> = {
  machines: { least: 0, most: 20_000 },
  disksPerMachine: { least: 1, most: 16 },
  diskBytes: { least: 64 * KiB, most: 64 * 1024 * GiB, multipleOf: 4 * KiB },
  usedBytes: { least: 0, most: 64 * GiB, multipleOf: 4 * KiB },
  churnBytesPerSecond: { least: 0, most: GiB },
  seed: { least: 0, most: 2 ** 32 - 1 },
  latencyMilliseconds: { least: 0, most: 60_000 },
  bootSeconds: { least: 0, most: 600 },
}

/** Throws Refusal `simulated/settings`, naming the field that is wrong. */
export function checkSimulatedSettings(settings: Readonly<Record<string, unknown>>): SimulatedSettings {
  const known = defaultSimulatedSettings
  refuseUnknown(settings, [...Object.keys(known), 'replicaFolder'], 'settings')
  const number = (name: keyof typeof numberRanges & keyof SimulatedSettings, otherwise: number): number =>
    readNumber(settings[name], otherwise, `settings.${name}`, numberRanges[name] ?? { least: 0, most: 0 })
  const diskBytes = number('diskBytes', known.diskBytes)
  const checked: SimulatedSettings = {
    machines: number('machines', known.machines),
    disksPerMachine: number('disksPerMachine', known.disksPerMachine),
    diskBytes,
    usedBytes: number('usedBytes', Math.min(known.usedBytes, diskBytes)),
    churnBytesPerSecond: number('churnBytesPerSecond', known.churnBytesPerSecond),
    seed: number('seed', known.seed),
    guestAgent: readFlag(settings.guestAgent, known.guestAgent, 'settings.guestAgent'),
    latencyMilliseconds: number('latencyMilliseconds', known.latencyMilliseconds),
    bootSeconds: number('bootSeconds', known.bootSeconds),
    faults: readFaults(settings.faults),
    ...readReplicaFolder(settings.replicaFolder),
  }
  if (checked.usedBytes > checked.diskBytes)
    throw wrong('settings.usedBytes is more than settings.diskBytes', 'Use at most the size of the disk.')
  return checked
}

function readFaults(value: unknown): SimulatedFaults {
  const known = defaultSimulatedSettings.faults
  if (value === undefined) return known
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('settings.faults must be an object', 'Give an object or leave it out.')
  const faults: Readonly<Record<string, unknown>> = { ...value }
  refuseUnknown(faults, Object.keys(known), 'settings.faults')
  const where = 'settings.faults.failuresPerThousandCalls'
  return {
    unreachable: readFlag(faults.unreachable, known.unreachable, 'settings.faults.unreachable'),
    failuresPerThousandCalls: readNumber(faults.failuresPerThousandCalls, 0, where, { least: 0, most: 1000 }),
    ignoresShutDown: readFlag(
      faults.ignoresShutDown,
      known.ignoresShutDown,
      'settings.faults.ignoresShutDown',
    ),
  }
}

function readReplicaFolder(value: unknown): Pick<SimulatedSettings, 'replicaFolder'> {
  if (value === undefined) return {}
  if (typeof value !== 'string' || !value.startsWith('/'))
    throw wrong('settings.replicaFolder must be an absolute path', 'Begin it with /.')
  return { replicaFolder: value }
}

function readNumber(
  value: unknown,
  otherwise: number,
  where: string,
  { least, most, multipleOf }: Range,
): number {
  if (value === undefined) return otherwise
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw wrong(`${where} must be a whole number from ${least} to ${most}`, 'Correct the number.')
  if (multipleOf !== undefined && value % multipleOf !== 0)
    throw wrong(`${where} must be a multiple of ${multipleOf}`, 'Round it.')
  return value
}

function readFlag(value: unknown, otherwise: boolean, where: string): boolean {
  if (value === undefined) return otherwise
  if (typeof value !== 'boolean') throw wrong(`${where} must be true or false`, 'Correct the value.')
  return value
}

function refuseUnknown(
  fields: Readonly<Record<string, unknown>>,
  known: readonly string[],
  where: string,
): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw wrong(`${where}.${unknown} is not a setting of a simulated site`, `Use one of ${known.join(', ')}.`)
}

const wrong = (message: string, remedy: string): Refusal =>
  new Refusal({ code: 'simulated/settings', message, remedy })
