// What no contract suite can show: several real processes, a database that goes away, and what lies in it.
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { DiscoveredMachine, MachineRef } from '@understudy/domain/machines/machine'
import { samplePlan, samplePlanRun } from '@understudy/simulator/sample-plans'
import {
  sampleDiscoveredMachine,
  samplePolicy,
  sampleProtection,
  sampleSite,
} from '@understudy/simulator/sample-rows'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { migrateDeploy } from './migrate.ts'
import { type OpenedStores, openStores } from './open-stores.ts'
import { makeTestHome } from './test-postgres.ts'

const home = makeTestHome()
const secretKey = randomBytes(32)
let server: EmbeddedPostgres
let databaseUrl: string
let stores: OpenedStores
const opened: OpenedStores[] = []

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home })
})
afterAll(async () => {
  for (const each of opened) await each.close()
  await server.stop()
  rmSync(home, { recursive: true, force: true })
})
beforeEach(async () => {
  databaseUrl = server.databaseUrl.replace(/[^/]*$/, `test_${randomUUID().replaceAll('-', '')}`)
  await migrateDeploy(databaseUrl)
  stores = await openStores({ databaseUrl, secretKey })
  opened.push(stores)
})

const now = Date.now()

async function addProtections(count: number): Promise<string[]> {
  const [source, target] = [sampleSite(), sampleSite()]
  await stores.sites.create(source, {})
  await stores.sites.create(target, {})
  const policy = samplePolicy()
  await stores.policies.save(policy)
  const found: DiscoveredMachine[] = Array.from({ length: count }, (_, index) =>
    sampleDiscoveredMachine({ ref: `machine-${index}` as MachineRef }),
  )
  await stores.machines.replaceInventory(source.id, found, now)
  const machines = await stores.machines.list(source.id)
  for (const machine of machines)
    await stores.protections.create(
      sampleProtection({
        machineId: machine.id,
        sourceRef: machine.ref,
        sourceSiteId: source.id,
        targetSiteId: target.id,
        policyId: policy.id,
      }),
    )
  return (await stores.protections.list()).map(({ id }) => id as string).sort()
}

/** Runs a script in a process of its own, in which `stores` is open; resolves to the JSON that it returns. */
function inProcess<Value>(script: string): Promise<Value> {
  const source = `
    import { openStores } from ${JSON.stringify(path.join(import.meta.dirname, 'open-stores.ts'))}
    const stores = await openStores({ databaseUrl: ${JSON.stringify(databaseUrl)}, secretKey: Buffer.alloc(32) })
    const result = await (async () => { ${script} })()
    process.stdout.write(JSON.stringify(result))
    await stores.close()`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data) => {
    output += String(data)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`The process ended with ${code}`)),
    )
  })
}

test('processes that claim at the same time share the protections out without overlap', async () => {
  const ids = await addProtections(60)
  // They wait for each other, however slowly they come up, then each claims in small bites: the most chances to collide.
  const claims = await Promise.all(
    ['one', 'two', 'three'].map((mover) =>
      inProcess<string[]>(`
        const expiresAt = Date.now() + 60_000
        await stores.leases.beat('${mover}', Date.now(), expiresAt)
        while ((await stores.leases.movers()).length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
        const mine = []
        for (let empty = 0; empty < 20; ) {
          const claimed = await stores.leases.claim('${mover}', Date.now(), 2)
          if (claimed.length === 0) empty += 1
          mine.push(...claimed)
        }
        return mine`),
    ),
  )
  expect(claims.flat().sort()).toEqual(ids)
  expect(claims.filter((mine) => mine.length > 0).length).toBeGreaterThan(1)
})

test('every epoch is given once among processes', async () => {
  const [id] = await addProtections(1)
  const script = `
    const epochs = []
    for (let index = 0; index < 40; index += 1) epochs.push(await stores.protections.nextEpoch('${id}'))
    return epochs`
  const epochs = (await Promise.all([1, 2].map(() => inProcess<number[]>(script)))).flat()
  expect(epochs.sort((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, index) => index + 1))
})

test('of many processes that start a job on one subject at the same moment one does', async () => {
  const script = (kind: string) => `
    const wanted = { kind: '${kind}', state: 'queued', subjectId: 'web', subjectName: 'web', tasks: [], failure: null,
      question: null, createdAt: 0, endedAt: null, startedBy: 'ada' }
    await stores.leases.beat('${kind}', Date.now(), Date.now() + 60_000)
    while ((await stores.leases.movers()).length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
    return await stores.jobs.create({ id: '${kind}', ...wanted }).then(() => 'created', (error) => error.code)`
  const ends = await Promise.all(
    ['commit', 'roll-back', 'change-point'].map((kind) => inProcess<string>(script(kind))),
  )
  expect(ends.sort()).toEqual(['created', 'job/another-works', 'job/another-works'])
  expect((await stores.jobs.list({ subjectId: 'web' }, { limit: 10, cursor: null })).rows).toHaveLength(1)
})

test('while the database is away every call is an outage, and afterwards the same stores work with nothing lost', async () => {
  const site = sampleSite()
  await stores.sites.create(site, { privateKey: 'PEM' })
  const postmaster = Number(readFileSync(path.join(home, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
  process.kill(postmaster, 'SIGKILL')
  const failures: unknown[] = []
  // The server's processes notice its death one by one, so the first calls may still be answered.
  const deadline = Date.now() + 40_000
  for (let back = false; !back; await wait(20)) {
    if (Date.now() > deadline) throw new Error('The database did not come back within 40 s')
    const calls = await Promise.allSettled([
      stores.sites.list(),
      stores.leases.claim('one', now, 0),
      stores.sites.update(site.id, { name: site.name }, { privateKey: 'PEM' }),
      openStores({ databaseUrl, secretKey }).then((other) => other.close()),
    ])
    const failed = calls.flatMap((call) => (call.status === 'rejected' ? [call.reason] : []))
    failures.push(...failed)
    back = failures.length > 0 && failed.length === 0
  }
  for (const failure of failures) expect(failure).toMatchObject({ name: 'Outage', code: 'store/unreachable' })
  expect(await stores.sites.list()).toEqual([site])
  expect(await stores.sites.secrets(site.id)).toEqual({ privateKey: 'PEM' })
})

test('secrets are nowhere in the database in the clear, and another key does not open them', async () => {
  const [site, plan] = [sampleSite(), samplePlan([])]
  const run = samplePlanRun(plan)
  await stores.sites.create(site, { privateKey: 'very-secret' })
  await stores.plans.create({ plan, version: 1, savedAt: now, savedBy: 'ada', comment: '' })
  await stores.plans.changeSecrets(plan.id, { token: 'very-secret' })
  await stores.planRuns.create(run, [], { token: 'very-secret' })
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query<{ row: string }>(`
    SELECT s::text AS row FROM "Site" s UNION ALL SELECT encode(sealed, 'escape') FROM "SiteSecrets"
    UNION ALL SELECT v::text FROM "PlanVersion" v UNION ALL SELECT encode(sealed, 'escape') FROM "PlanSecrets"
    UNION ALL SELECT r::text FROM "PlanRun" r UNION ALL SELECT encode(sealed, 'escape') FROM "PlanRunSecrets"`)
  await client.end()
  expect(rows).toHaveLength(6)
  expect(rows.map(({ row }) => row).join()).not.toContain('very-secret')
  const thief = await openStores({ databaseUrl, secretKey: randomBytes(32) })
  opened.push(thief)
  const unreadable = { code: 'store/secrets-unreadable' }
  await expect(thief.sites.secrets(site.id)).rejects.toMatchObject(unreadable)
  await expect(thief.plans.secrets(plan.id)).rejects.toMatchObject(unreadable)
  await expect(thief.planRuns.secrets(run.id)).rejects.toMatchObject(unreadable)
})

test('what is in use is refused to be removed, and what is missing cannot be protected', async () => {
  const [id] = await addProtections(1)
  const protection = (await stores.protections.list()).find((each) => each.id === id)
  if (!protection) throw new Error('The protection was just added')
  const inUse = (code: string) => ({ name: 'Refusal', code })
  await expect(stores.sites.remove(protection.sourceSiteId)).rejects.toMatchObject(inUse('site/in-use'))
  await expect(stores.sites.remove(protection.targetSiteId)).rejects.toMatchObject(inUse('site/in-use'))
  await expect(stores.policies.remove(protection.policyId)).rejects.toMatchObject(inUse('policy/in-use'))
  await expect(
    stores.protections.create({
      ...protection,
      ...{ id: 'other' as typeof protection.id, machineId: 'nobody' as never },
    }),
  ).rejects.toMatchObject({ code: 'protection/part-missing' })
  expect(await stores.policies.list()).toHaveLength(1)
  await stores.protections.remove(protection.id)
  await stores.policies.remove(protection.policyId)
  await stores.sites.remove(protection.sourceSiteId)
  expect(await stores.machines.list()).toEqual([])
})

test('a move that the life of a protection does not know is our mistake and changes nothing', async () => {
  const [id] = await addProtections(1)
  const before = await stores.protections.list()
  await expect(
    stores.protections.moveState(id as never, 'enabling', 'committed', null),
  ).rejects.toMatchObject({
    name: 'InvariantError',
  })
  expect(await stores.protections.list()).toEqual(before)
})

test('a protection that is gone leaves its machine free to be protected anew', async () => {
  const [id] = await addProtections(1)
  const [protection] = await stores.protections.list()
  if (!protection) throw new Error('The protection was just added')
  expect(await stores.protections.moveState(id as never, 'enabling', 'ending', null)).toBe(true)
  expect(await stores.protections.moveState(id as never, 'ending', 'gone', null)).toBe(true)
  await stores.protections.create({ ...protection, id: 'anew' as typeof protection.id })
  expect(await stores.protections.list()).toHaveLength(2)
})

test('a cursor that is not one of ours is refused', async () => {
  const list = stores.events.list({}, { limit: 10, cursor: "1/1' OR true" })
  await expect(list).rejects.toMatchObject({ code: 'page/bad-cursor' })
})

test('a mover whose clock is an hour ahead takes nothing from one that is alive', async () => {
  const ids = await addProtections(2)
  const hour = 3_600_000
  await stores.leases.beat('right', Date.now(), Date.now() + 20_000)
  expect(await stores.leases.claim('right', Date.now(), 10)).toHaveLength(ids.length)
  const taken = await inProcess<string[]>(`
    const wall = Date.now
    Date.now = () => wall() + ${hour}
    await stores.leases.beat('ahead', Date.now(), Date.now() + 20_000)
    return await stores.leases.claim('ahead', Date.now(), 10)`)
  expect(taken).toEqual([])
  const movers = await stores.leases.movers()
  for (const { beatAt } of movers) expect(Math.abs(beatAt - Date.now())).toBeLessThan(60_000)
})
