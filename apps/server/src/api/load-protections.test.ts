import { present } from '@understudy/base/invariant'
import type { MachineId, MachineRef } from '@understudy/domain/machines/machine'
import { openEvidencePrinter } from '@understudy/drivers/evidence/open-evidence-printer'
import { createEngine } from '@understudy/engine/engine'
import { defaultEngineConfig } from '@understudy/engine/engine-parts'
import type { SitePlatform } from '@understudy/engine/ports/platforms'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { samplePolicy, sampleProtection, sampleSite } from '@understudy/simulator/sample-rows'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { expect, test } from 'vitest'
import type { ApiDeps } from './context.ts'
import { loadProtection, loadProtections } from './load-protections.ts'

/** Protections of one site to another that only keeps replicas, and one to a site that hangs, among sites that nothing goes to. */
async function newHangingApi() {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const clock = virtualClock()
  const { target: _, ...keeps } = fakeWorld(clock).addSite('B').platform
  const sites = ['home', 'keeps', 'hangs', 'idle'].map((name) => sampleSite({ name }))
  for (const site of sites) await stores.sites.create(site, {})
  const [home, kept, hung] = sites.map(({ id }) => id)
  const policy = samplePolicy()
  await stores.policies.save(policy)
  const rows = [kept, kept, hung].map((target, index) => {
    const sites = { sourceSiteId: present(home, 'home'), targetSiteId: present(target, 'a target') }
    const machine = { machineId: `m-${index}` as MachineId, sourceRef: `ref-${index}` as MachineRef }
    return sampleProtection({ ...sites, ...machine, policyId: policy.id }, { name: `web-${index}` })
  })
  for (const row of rows) await stores.protections.create(row)
  const asked: string[] = []
  const of = async ({ name }: { readonly name: string }): Promise<SitePlatform> => {
    asked.push(name)
    return name === 'hangs' ? await new Promise(() => undefined) : keeps
  }
  const platforms = { of, preview: of, secretPlaces: () => ({}), forget: async () => undefined }
  const live = memoryLive()
  const engine = createEngine({
    stores,
    durable: memoryDurable({ log: durableLog(), clock }),
    platforms,
    steps: memorySteps(clock),
    seeds: memorySeedFolders(),
    printer: openEvidencePrinter(),
    live,
    clock,
    sleep: clock.sleep,
    newId: () => crypto.randomUUID(),
    config: { ...defaultEngineConfig, moverId: 'test' },
    log: () => undefined,
  })
  // What shows protections needs no more than these.
  const deps = { engine, stores, live, platforms, clock } as unknown as ApiDeps
  const within = async <Answer>(seconds: number, answer: Promise<Answer>): Promise<Answer> => {
    let found: { readonly answer: Answer } | null = null
    const waited = answer.then((value) => {
      found = { answer: value }
    })
    await clock.advance(seconds * 1000)
    expect(found).not.toBeNull()
    await waited
    return answer
  }
  return { deps, rows, asked, within }
}

test('an answer asks each target once whether machines can run there, and no other site', async () => {
  const { deps, rows, asked, within } = await newHangingApi()
  const all = await within(3, loadProtections(deps))
  expect(all.map(({ name, target }) => [name, target.runsMachines])).toEqual([
    ['web-0', false],
    ['web-1', false],
    ['web-2', true],
  ])
  expect(asked.toSorted()).toEqual(['hangs', 'keeps'])
  asked.length = 0
  const one = await within(3, loadProtection(deps, present(rows[0], 'web-0')))
  expect(one.target.runsMachines).toBe(false)
  const reasons = one.actions.find(({ action }) => action === 'test-failover')
  expect(reasons?.allowed).toBe(false)
  expect(asked).toEqual(['keeps'])
})
