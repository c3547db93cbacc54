import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { describe, expect, test } from 'vitest'
import { filterRows, joinRows, sortRows } from './machine-rows.ts'

const machine = (id: string, part: Partial<Machine> = {}): Machine => ({
  id,
  siteId: 'berlin',
  siteName: 'Berlin',
  name: id,
  host: 'host-1',
  power: 'running',
  hardware: { cpus: 1, memoryBytes: 1, firmware: 'bios', disks: [], adapters: [] },
  guestAgent: true,
  present: true,
  seenAt: '2026-03-01T12:00:00Z',
  simulated: false,
  protectionId: null,
  runId: null,
  ...part,
})
const protection = (id: string, part: Partial<Protection> = {}): Protection => ({
  id,
  name: id,
  state: 'protected',
  stateNote: null,
  health: 'good',
  simulated: false,
  direction: 'forward',
  activeSiteId: 'berlin',
  source: { id: 'berlin', name: 'Berlin', platform: 'kvm', emulated: false },
  target: { id: 'paris', name: 'Paris', platform: 'kvm', emulated: false, runsMachines: true },
  machineId: `machine of ${id}`,
  policyId: 'gold',
  group: null,
  policyName: 'Gold',
  lagSeconds: 4,
  lagTargetSeconds: 30,
  intervalSeconds: 5,
  pace: null,
  newestPoint: null,
  newestApplicationPoint: null,
  pointCount: 1,
  storedBytes: 1,
  diskBytes: 1,
  lastCycle: null,
  lastTestAt: null,
  lastTestPassed: null,
  readiness: {
    level: 'unproven',
    score: 40,
    parts: { test: 0, lag: 20, drift: 10, preflight: 10 },
    reasons: [],
  },
  lastRecoverySeconds: null,
  excludedDisks: [],
  adapters: [],
  hardware: { cpus: 1, memoryBytes: 1, firmware: 'bios', disks: [], adapters: [] },
  test: null,
  failover: null,
  seed: null,
  busyJobId: null,
  actions: [],
  createdAt: '2026-03-01T12:00:00Z',
  ...part,
})

const rows = joinRows(
  [machine('web-10', { protectionId: 'p1' }), machine('web-9'), machine('replica', { runId: 'run' })],
  [
    protection('p1', { lagSeconds: 90, health: 'at-risk' }),
    protection('lost', { source: { id: 'rome', name: 'Rome', platform: 'kvm', emulated: false } }),
  ],
)
const namesOf = (found: readonly { readonly name: string }[]): string[] => found.map(({ name }) => name)

describe('machines and protections in one table', () => {
  test('a protection whose machine has left the inventory keeps its row', () => {
    expect(namesOf(rows)).toEqual(['lost', 'replica', 'web-9', 'web-10'])
  })
  test('a site finds what runs there and what is replicated to or from it', () => {
    expect(namesOf(filterRows(rows, { siteId: 'paris' }))).toEqual(['lost', 'web-10'])
    expect(namesOf(filterRows(rows, { siteId: 'rome' }))).toEqual(['lost'])
  })
  test('our own replicas are not offered as unprotected', () => {
    expect(namesOf(filterRows(rows, { show: 'unprotected' }))).toEqual(['web-9'])
  })
  test('several healths are one filter, and the search looks at sites and policies too', () => {
    expect(namesOf(filterRows(rows, { health: 'at-risk,bad' }))).toEqual(['web-10'])
    expect(namesOf(filterRows(rows, { search: 'gold' }))).toEqual(['lost', 'web-10'])
  })
  test('rows that say the same as before are the same rows, in their order, with the new ones between them', () => {
    const machines = [machine('b'), machine('c', { protectionId: 'p' }), machine('d')]
    const before = joinRows(machines, [protection('p')])
    const after = joinRows(
      [machine('a'), ...machines.toReversed()],
      [protection('p', { pointCount: 9 })],
      before,
    )
    expect(namesOf(after)).toEqual(['a', 'b', 'c', 'd'])
    expect([after[1] === before[0], after[2] === before[1], after[3] === before[2]]).toEqual([
      true,
      false,
      true,
    ])
    expect(after[2]?.protection?.pointCount).toBe(9)
  })
  test('downwards by name is the other way round', () => {
    expect(namesOf(sortRows(rows, '-name'))).toEqual(['web-10', 'web-9', 'replica', 'lost'])
  })
  test('numbers in names sort as numbers', () => {
    expect(namesOf(sortRows(rows, 'name'))).toEqual(['lost', 'replica', 'web-9', 'web-10'])
  })
  test('rows without a value come last, whichever way the column is sorted', () => {
    expect(namesOf(sortRows(rows, '-lag'))).toEqual(['web-10', 'lost', 'replica', 'web-9'])
    expect(namesOf(sortRows(rows, 'lag'))).toEqual(['lost', 'web-10', 'replica', 'web-9'])
  })
  test('a machine that runs from its replica has no lag, however old its newest point is', () => {
    const moved = joinRows(
      [machine('a', { protectionId: 'p1' }), machine('b', { protectionId: 'p2' })],
      [protection('p1', { lagSeconds: 900, state: 'failedOver' }), protection('p2', { lagSeconds: 2 })],
    )
    expect(namesOf(sortRows(moved, '-lag'))).toEqual(['b', 'a'])
  })
})
