// Kill the process at any call of any port while a first copy is exported, or imported, and let another one go on.
import { defaultPolicySettings } from '@understudy/domain/protection/policy'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { expect, test } from 'vitest'
import { type CrashLab, newCrashLab, type Process } from '../crash-lab.ts'
import { by } from '../engine-lab.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const CRASHES = 40
const passphrase = 'correct horse battery'

/** A machine whose first copy is not made yet. */
async function newSeedLab(): Promise<CrashLab> {
  const lab = await newCrashLab()
  const machine = await lab.a.addMachine({ name: 'web', disks: [2 ** 20], writeEveryMilliseconds: 700 })
  const first = await lab.begin({})
  const { engine } = first
  const nothing = { platform: 'simulated' as const, settings: {}, secrets: {} }
  const siteA = await engine.registerSite({ ...nothing, name: 'A' }, { by })
  const siteB = await engine.registerSite({ ...nothing, name: 'B' }, { by })
  const policy = await engine.savePolicy({ ...defaultPolicySettings, name: 'gold' }, null, { by })
  const row = await lab.stores.machines.findByRef(siteA.id, machine.ref)
  if (!row) throw new Error('the inventory has the machine')
  lab.a.faults.failNext('source.openPoint')
  const { protectionId } = await engine.protect({
    by,
    machineId: row.id,
    targetSiteId: siteB.id,
    policyId: policy.id,
    adapters: [],
    excludedDisks: [],
  })
  await lab.clock.advance(5000)
  await engine.pause({ by, protectionId })
  await engine.stop()
  return { ...lab, protectionId, process: first }
}

/** What an operator does: whatever is the next thing that the product allows, once nothing is at work. */
async function goOn(lab: CrashLab, { engine, outside }: Process): Promise<void> {
  const { protectionId, stores, clock } = lab
  const request = { by, protectionId, folder: '/media/seed', passphrase }
  for (let turn = 0; turn < 600 && !outside.dead; turn += 1) {
    const active = await stores.jobs.list(
      { subjectId: protectionId, states: ['queued', 'running'], kinds: ['export-seed', 'import-seed'] },
      { limit: 10, cursor: null },
    )
    const protection = await stores.protections.find(protectionId)
    if (protection?.state === 'protected' && active.rows.length === 0) return
    if (active.rows.length === 0) {
      const actions = await Promise.race([engine.allowedActions(protectionId), outside.died])
      const may = (action: string) => actions?.some((each) => each.action === action && each.allowed)
      const asked = may('import-seed')
        ? engine.importSeed(request)
        : may('export-seed')
          ? engine.exportSeed(request)
          : null
      await Promise.race([asked, outside.died])
    }
    await clock.advance(1000)
  }
  if (!outside.dead)
    throw new Error(`it is not protected: ${JSON.stringify(await stores.protections.find(protectionId))}`)
}

async function live(crash: Parameters<CrashLab['begin']>[0]) {
  const lab = await newSeedLab()
  const first = await lab.begin(crash)
  await goOn(lab, first)
  const { dead: died, callCount: calls, lastCall } = first.outside
  if (!died) await first.engine.stop()
  const second = await lab.begin({})
  await goOn(lab, second)
  await lab.clock.advance(20_000)
  lab.process = second
  return { lab, died, calls, lastCall }
}

async function checkWorld({ lab, died }: Awaited<ReturnType<typeof live>>): Promise<void> {
  const { protectionId, stores } = lab
  const protection = await stores.protections.find(protectionId)
  if (!protection) throw new Error('there is a protection')
  const points = await lab.process.engine.recoveryPoints(protectionId)
  expect(points[0]).toMatchObject({ cycle: 'seed' })
  // The checkpoint of the seed was held all the time: nothing is compared.
  expect(points.slice(1).every(({ cycle }) => cycle === 'delta')).toBe(true)
  const replica = await lab.b.replicas.openReplica(protection.replicaId, null)
  for (const { id } of points) {
    const opened = await replica.openPoint(id)
    expect(await checkGuest(opened.disks.map(({ reader }) => reader)), `point ${id}`).not.toBeNull()
  }
  expect(await stores.seeds.find(protectionId)).toBeNull()
  const manifests = [...lab.seeds.seeds.values()].flatMap(({ manifest }) => manifest ?? [])
  expect(manifests.some(({ point }) => point.instant === points[0]?.instant)).toBe(true)
  if (!died) expect(lab.seeds.seeds.size).toBe(1)
}

test(`a first copy on a disk survives a kill at any call (SEED=${seed})`, { timeout: 300_000 }, async () => {
  const undisturbed = await live({})
  await checkWorld(undisturbed)
  const random = seededRandom(seed)
  let deaths = 0
  for (let times = 0; times < CRASHES; times += 1) {
    const call = {
      call: 1 + random.below(undisturbed.calls),
      moment: random.chance(0.5) ? 'before' : 'after',
    } as const
    const ran = await live({ call })
    if (ran.died) deaths += 1
    await checkWorld(ran).catch((error: unknown) => {
      const where = `SEED=${seed}, killed ${call.moment} call ${call.call} (${ran.lastCall})`
      throw new Error(`${where}: ${String(error)}`, { cause: error })
    })
    await ran.lab.process.engine.stop()
  }
  expect(deaths).toBeGreaterThan(CRASHES / 2)
})
