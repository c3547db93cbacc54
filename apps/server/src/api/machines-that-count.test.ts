import type { Machine, MachineId, MachineRef } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { Protection } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { sampleDiscoveredMachine, sampleProtection } from '@understudy/simulator/sample-rows'
import { expect, test } from 'vitest'
import { countMachinesAt, countUnprotected, machinesThatCount } from './machines-that-count.ts'

const here = 'here' as SiteId
const there = 'there' as SiteId

const machine = (siteId: SiteId, ref: string, change: Partial<Machine> = {}): Machine => ({
  ...sampleDiscoveredMachine({ ref: ref as MachineRef }),
  id: `${siteId} ${ref}` as MachineId,
  siteId,
  seenAt: 0,
  present: true,
  ...change,
})

const protection = (change: Partial<Protection> = {}): Protection =>
  sampleProtection(
    {
      machineId: 'here web' as MachineId,
      sourceRef: 'web' as MachineRef,
      sourceSiteId: here,
      targetSiteId: there,
      policyId: 'gold' as PolicyId,
    },
    { state: 'protected', ...change },
  )

const web = machine(here, 'web')
const copy = machine(there, 'web-test', { ownedBy: 'run' })
const reprotected = protection({
  direction: 'reverse',
  sourceSiteId: there,
  sourceRef: copy.ref,
  targetSiteId: here,
  originalRef: web.ref,
})

test('a copy that a test has made is no machine to protect', () => {
  expect(machinesThatCount([web, copy], [protection()])).toEqual([web])
  expect(countUnprotected(there, [web, copy], [protection()])).toBe(0)
})

test('after a reprotect the machine counts where it runs, and the former one that waits for it does not', () => {
  expect(machinesThatCount([web, copy], [reprotected])).toEqual([copy])
  expect(countUnprotected(here, [web, copy], [reprotected])).toBe(0)
  expect(countUnprotected(there, [web, copy], [reprotected])).toBe(0)
})

test('a machine that runs from its replica would stay down with that site until it is replicated back', () => {
  for (const state of ['failedOver', 'committed'] as const)
    expect(countUnprotected(there, [web, copy], [protection({ state })])).toBe(1)
})

test('a machine is counted where it runs, once: at the second site between a failover and the way back', () => {
  const at = (one: Protection) => [here, there].map((siteId) => countMachinesAt(siteId, [web, copy], [one]))
  expect(at(protection())).toEqual([1, 0])
  expect(at(protection({ state: 'failedOver' }))).toEqual([0, 1])
  expect(at(protection({ state: 'committed' }))).toEqual([0, 1])
  expect(at(reprotected)).toEqual([0, 1])
  expect(at({ ...reprotected, state: 'failedOver' })).toEqual([1, 0])
})

test('what nobody protects counts while the inventory has it', () => {
  const bare = [machine(here, 'db'), machine(here, 'left', { present: false })]
  expect(countUnprotected(here, [web, ...bare], [protection()])).toBe(1)
  expect(countUnprotected(here, [web], [protection({ state: 'gone' })])).toBe(1)
})
