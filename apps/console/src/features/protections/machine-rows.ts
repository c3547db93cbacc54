// Machines and their protections as one list: joined, filtered, sorted. Pure.
import type { Machine } from '@understudy/contract/machine'
import type { AllowedAction, Protection } from '@understudy/contract/protection'
import { knownPower } from './power-words.ts'
import { lagCounts } from './replication-words.ts'
import { wordsOfState } from './state-words.ts'

/** One row: a machine of the inventory with what replicates it, or a protection whose machine is not there (any more). */
export type MachineRow = {
  readonly id: string
  readonly name: string
  readonly machine: Machine | null
  readonly protection: Protection | null
}

export type MachineFilter = {
  readonly search?: string | undefined
  readonly siteId?: string | undefined
  readonly groupId?: string | undefined
  /** Comma lists. */
  readonly health?: string | undefined
  readonly state?: string | undefined
  readonly show?: 'all' | 'protected' | 'unprotected' | undefined
}

/** In the order of their names. A row whose machine and protection are the same as before is the same row. */
export function joinRows(
  machines: readonly Machine[],
  protections: readonly Protection[],
  before: readonly MachineRow[] = [],
): MachineRow[] {
  const known = new Map(before.map((row) => [row.id, row]))
  const kept = (row: MachineRow): MachineRow => {
    const was = known.get(row.id)
    return was && was.machine === row.machine && was.protection === row.protection ? was : row
  }
  const byId = new Map(protections.map((protection) => [protection.id, protection]))
  const joined = new Set<string>()
  const rows = machines.map((machine): MachineRow => {
    const protection = machine.protectionId === null ? null : (byId.get(machine.protectionId) ?? null)
    if (protection) joined.add(protection.id)
    return kept({ id: machine.id, name: machine.name, machine, protection })
  })
  for (const protection of protections)
    if (!joined.has(protection.id) && protection.state !== 'gone')
      rows.push(kept({ id: protection.machineId, name: protection.name, machine: null, protection }))
  return byName(rows, before)
}

/** Those that were there keep their order first: sorting what is sorted is quick, and ten thousand names are not. */
function byName(rows: readonly MachineRow[], before: readonly MachineRow[]): MachineRow[] {
  const place = new Map(before.map(({ id }, index) => [id, index]))
  const placed: MachineRow[] = []
  const fresh: MachineRow[] = []
  for (const row of rows) {
    const index = place.get(row.id)
    if (index === undefined || placed[index]) fresh.push(row)
    else placed[index] = row
  }
  return [...placed.filter((row) => row !== undefined), ...fresh].sort((left, right) =>
    names.compare(left.name, right.name),
  )
}

export function filterRows(rows: readonly MachineRow[], filter: MachineFilter): MachineRow[] {
  const search = filter.search?.trim().toLowerCase() ?? ''
  const health = listOf(filter.health)
  const state = listOf(filter.state)
  return rows.filter(({ name, machine, protection }) => {
    if (filter.show === 'protected' && !protection) return false
    if (filter.show === 'unprotected' && (protection || machine?.runId)) return false
    if (filter.siteId !== undefined && !sitesOf(machine, protection).includes(filter.siteId)) return false
    if (filter.groupId !== undefined && protection?.group?.id !== filter.groupId) return false
    if (health.length > 0 && !(protection && health.includes(protection.health))) return false
    if (state.length > 0 && !(protection && state.includes(protection.state))) return false
    if (search === '') return true
    const texts = [
      name,
      machine?.host,
      machine?.siteName,
      protection?.target.name,
      protection?.policyName,
      protection?.group?.name,
    ]
    return texts.some((text) => text?.toLowerCase().includes(search))
  })
}

const sitesOf = (machine: Machine | null, protection: Protection | null): (string | undefined)[] => [
  machine?.siteId,
  protection?.source.id,
  protection?.target.id,
]

export const listOf = (text: string | undefined): string[] => (text ? text.split(',') : [])

export const sortKeys = [
  'name',
  'health',
  'state',
  'lag',
  'site',
  'power',
  'newestPoint',
  'lastTest',
  'policy',
  'group',
  'points',
  'stored',
] as const
export type SortKey = (typeof sortKeys)[number]

/** Null where the age of the newest point says nothing about what would be lost. */
export const lagOf = (protection: Protection | null): number | null =>
  protection && lagCounts[protection.state] ? protection.lagSeconds : null

const healthOrder = ['bad', 'at-risk', 'off', 'good']
const valueFor: Record<SortKey, (row: MachineRow) => string | number | null> = {
  name: (row) => row.name,
  health: ({ protection }) => (protection ? healthOrder.indexOf(protection.health) : null),
  state: ({ protection }) => (protection ? wordsOfState[protection.state] : null),
  lag: ({ protection }) => lagOf(protection),
  site: ({ machine, protection }) => machine?.siteName ?? protection?.source.name ?? null,
  power: ({ machine }) => (machine ? knownPower(machine, undefined) : null),
  newestPoint: ({ protection }) => protection?.newestPoint?.instant ?? null,
  lastTest: ({ protection }) => protection?.lastTestAt ?? null,
  policy: ({ protection }) => protection?.policyName ?? null,
  group: ({ protection }) => protection?.group?.name ?? null,
  points: ({ protection }) => protection?.pointCount ?? null,
  stored: ({ protection }) => protection?.storedBytes ?? null,
}

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

/** `lag` or `-lag`, of rows in the order of their names. Rows without a value come last either way; equal ones by name. */
export function sortRows(rows: readonly MachineRow[], sort: string): MachineRow[] {
  const down = sort.startsWith('-')
  const key = sortKeys.find((each) => each === sort.replace(/^-/, '')) ?? 'name'
  if (key === 'name') return down ? rows.toReversed() : [...rows]
  const keyed = rows.map((row) => ({ row, value: valueFor[key](row) }))
  keyed.sort((left, right) => {
    if (left.value === null || right.value === null) {
      if (left.value === right.value) return 0
      return left.value === null ? 1 : -1
    }
    const order =
      typeof left.value === 'number' && typeof right.value === 'number'
        ? left.value - right.value
        : names.compare(String(left.value), String(right.value))
    return down ? -order : order
  })
  return keyed.map(({ row }) => row)
}

/** The server's verdict about one action of one protection. */
export function verdictOf(protection: Protection | null, action: AllowedAction['action']): string | null {
  if (!protection) return 'It is not protected'
  const verdict = protection.actions.find((each) => each.action === action)
  if (!verdict) return 'Not possible now'
  return verdict.allowed ? null : (verdict.reason ?? 'Not possible now')
}
