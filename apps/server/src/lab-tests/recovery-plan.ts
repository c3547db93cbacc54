// A plan of two tiers with real guests: the database first, then the web server, with probes, a program of ours and a person between.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import type { Machine } from '@understudy/contract/machine'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import { startNameServer, type TestNameServer } from '@understudy/drivers/steps/test-name-server'
import { freePort } from '@understudy/simulator/free-port'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type GuestStatus, type LabProduct, pidOf, until, waitForGuest } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
console.log(`seed ${seed} (SEED=${seed} kills at the same moments)`)
const random = seededRandom(seed)

const item = { needs: [], whenItFails: 'stop' } as const
const always = {
  kinds: ['test', 'planned', 'unplanned', 'fail-back'],
  directions: ['forward', 'reverse'],
} as const
const step = (id: string, action: object) => ({ id, name: id, ...item, ...always, action })
const answers = (machine: string, expectedText: string) => ({
  kind: 'probe',
  check: {
    kind: 'http',
    target: { kind: 'machine', machine },
    scheme: 'http',
    port: 80,
    path: '/status.json',
    expectedStatus: 200,
    expectedText,
  },
  until: 'green',
  intervalSeconds: 1,
  timeoutSeconds: 300,
})

export function recoveryPlanTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let planId = ''
  let log = ''
  let nameServer: TestNameServer
  beforeAll(async () => {
    const { id, siteA, siteB } = lab()
    product = lab().product
    const machines = await product.items<Machine>(`/machines?siteId=${siteA.id}`)
    const web = present(
      machines.find(({ name }) => name === 'lab-web'),
      'the lab has a web server',
    )
    const webId = await product.protect(web.id, siteB.id, 2)
    nameServer = await startNameServer(await freePort(), { 'shop.test': 'allow-update { any; };' })
    log = join(product.home, 'announced')
    await writeFile(log, '')
    const program = join(product.home, 'announce.mjs')
    await writeFile(
      program,
      `import { appendFileSync } from 'node:fs'
       const { kind, groups } = JSON.parse(process.env.UNDERSTUDY_CONTEXT)
       const [db] = groups[0].machines
       appendFileSync(${JSON.stringify(log)}, [kind, db.name, db.addresses.length].join(' ') + '\\n')
       console.log('announced')`,
    )
    const announce = {
      kind: 'script',
      where: { kind: 'server' },
      command: process.execPath,
      arguments: [program],
      environment: {},
      timeoutSeconds: 60,
    }
    const call = {
      kind: 'manual',
      instructions: 'Call the bank',
      assigneeRole: 'operator',
      timeoutSeconds: 600,
      whenTimedOut: 'fail',
    }
    const pointToWeb = {
      kind: 'dns',
      server: nameServer.address,
      zone: 'shop.test',
      recordName: 'www.shop.test',
      recordType: 'A',
      ttlSeconds: 5,
      value: { kind: 'machine', machine: 'web' },
      tsig: null,
      timeoutSeconds: 10,
    }
    const made = await product.ask<PlanDetail>('POST', '/plans', {
      name: 'Two tiers',
      priority: 5,
      targetRtoSeconds: 300,
      parameters: [],
      groups: [
        {
          id: 'data',
          name: 'Data',
          start: 'in-order',
          before: [],
          machines: [{ id: 'db', ...item, protectionId: id }],
          after: [step('db-is-whole', answers('db', '"integrity":"ok"'))],
        },
        {
          id: 'front',
          name: 'Front',
          start: 'in-order',
          before: [step('announce', announce), step('call', call)],
          machines: [{ id: 'web', ...item, protectionId: webId }],
          after: [
            step('web-answers', answers('web', 'lab-web')),
            // A test tells nobody where its copies are.
            { ...step('point-to-web', pointToWeb), kinds: ['planned', 'unplanned', 'fail-back'] },
          ],
        },
      ],
    })
    expect(made.findings.filter(({ level }) => level === 'blocker')).toEqual([])
    planId = made.id
  })
  afterAll(() => nameServer?.stop())

  const runOf = (id: string): Promise<PlanRun> => product.ask('GET', `/plan-runs/${id}`)
  const begin = (kind: string): Promise<PlanRun> => product.ask('POST', `/plans/${planId}/runs`, { kind })
  const follow = (id: string, kind: string): Promise<PlanRun> =>
    product.ask('POST', `/plan-runs/${id}/follow-up`, { kind })

  /** Answers what asks for a person, and resolves with the run when it is over. */
  async function finished({ id }: PlanRun): Promise<PlanRun> {
    const over = await until(`run ${id} is over`, 400, async () => {
      const run = await runOf(id)
      const asking = run.activities.find(({ asks }) => asks?.kind === 'manual')
      if (asking) {
        const path = `/plan-runs/${id}/activities/${asking.itemId}/answer`
        await product.call('POST', path, { value: 'done', comment: 'They know' })
      }
      return ['succeeded', 'failed', 'cancelled'].includes(run.state) ? run : null
    }).catch(async (cause: unknown) => {
      const { activities } = await runOf(id)
      throw new Error(`${String(cause)}: ${JSON.stringify(activities, null, 1)}`, { cause })
    })
    if (over.state !== 'succeeded')
      throw new Error(`The run is ${over.state}: ${JSON.stringify(over, null, 1)}`)
    return over
  }

  const addressesOfShop = (): Promise<string[]> => nameServer.resolver.resolve4('www.shop.test')

  const announced = async (): Promise<string[]> => (await readFile(log, 'utf8')).trim().split('\n')
  const addressesIn = (run: PlanRun, itemId: string): readonly string[] =>
    present(
      run.activities.find((activity) => activity.itemId === itemId),
      `${itemId} is in the run`,
    ).addresses

  test('a test of the plan survives kill -9 of the server, does nothing twice and leaves nothing after its clean-up', async () => {
    const { id } = await begin('test')
    await until('the database comes up', 120, async () => {
      const db = (await runOf(id)).activities.find(({ itemId }) => itemId === 'db')
      return db?.state === 'running' ? db : null
    })
    await sleep(random.below(8000))
    await product.kill()
    await sleep(random.below(2000))
    await product.start()
    const run = await finished(await runOf(id))
    const states = run.activities.map(({ itemId, state }) => [itemId, state])
    expect(states).toEqual(
      run.activities.map(({ itemId }) => [itemId, itemId === 'point-to-web' ? 'left-out' : 'succeeded']),
    )
    expect((await addressesOfShop()).sort()).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(run.activities.find(({ itemId }) => itemId === 'announce')?.output).toContain('announced')
    expect(await announced()).toEqual(['test lab-db 1'])
    const guest = await waitForGuest(addressesIn(run, 'db'))
    expect(guest.chain.state).toBe('ok')
    expect(await product.machinesAt('b')).toHaveLength(2)
    await finished(await follow(id, 'clean-up'))
    expect(await product.machinesAt('b')).toEqual([])
  })

  test('a planned failover of the plan moves both machines in order, and its roll back brings both home', async () => {
    const sources = [await product.machineAt('a', 'lab-db'), await product.machineAt('a', 'lab-web')]
    const run = await finished(await begin('planned'))
    for (const source of sources) expect(await pidOf(source)).toBeNull()
    const db = await waitForGuest(addressesIn(run, 'db'))
    expect(db.database?.integrity).toBe('ok')
    // The plan has not ended before its probe has read this; the web server has no database that could be waited for.
    const page = await fetch(new URL('/status.json', addressesIn(run, 'web')[0]))
    expect([db.machine, ((await page.json()) as GuestStatus).machine]).toEqual(['lab-db', 'lab-web'])
    expect((await announced()).at(-1)).toBe('planned lab-db 1')
    expect(run.predictedSeconds).toBeGreaterThan(0)
    await finished(await follow(run.id, 'roll-back'))
    expect(await product.machinesAt('b')).toEqual([])
    for (const source of sources) expect(await pidOf(source)).not.toBeNull()
  })

  test('with both sources killed, an unplanned failover is committed, reprotected and fails back, each time with the whole chain and a name that leads there', async () => {
    const sources = [await product.machineAt('a', 'lab-db'), await product.machineAt('a', 'lab-web')]
    for (const source of sources) process.kill(present(await pidOf(source), 'the source runs'), 'SIGKILL')
    const run = await finished(await begin('unplanned'))
    expect((await announced()).at(-1)).toBe('unplanned lab-db 1')
    const away = await waitForGuest(addressesIn(run, 'db'))
    expect([away.chain.state, away.database?.integrity]).toEqual(['ok', 'ok'])
    expect(await addressesOfShop()).toEqual(['127.0.0.1'])

    await finished(await follow(run.id, 'commit'))
    await finished(await follow(run.id, 'reprotect'))
    const home = await finished(await begin('fail-back'))
    expect((await announced()).at(-1)).toBe('fail-back lab-db 1')
    const back = await waitForGuest(addressesIn(home, 'db'))
    expect([back.chain.state, back.database?.integrity]).toEqual(['ok', 'ok'])
    // Until the way home is committed they are kept, off.
    for (const copy of await product.machinesAt('b')) expect(await pidOf(copy)).toBeNull()
  })
}
