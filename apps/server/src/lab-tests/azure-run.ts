// A real machine of the lab runs in Azure, emulated on this computer: its disks lie in the emulated storage, become managed disks of the
// emulated Resource Manager, and its guest answers from there.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { Job } from '@understudy/contract/job'
import type { Run } from '@understudy/contract/protection'
import type { Network, Site } from '@understudy/contract/site'
import { openAzureStore } from '@understudy/drivers/azure/azure-store'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from '@understudy/drivers/azure/emulator/start-azurite'
import { pointDifferences } from '@understudy/drivers/kvm/lab/point-differences'
import type { RunMachine } from '@understudy/drivers/kvm/runs'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { beforeAll, expect, test } from 'vitest'
import { addressesOf, type LabProduct, pidOf, until, waitForGuest } from './lab-product.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
console.log(`seed ${seed} (SEED=${seed} kills at the same moments)`)
const random = seededRandom(seed)

/** What a boot found on its disks: everything up to this record, and nothing broken. */
const recordAtBoot = (bootCheck: string): number => Number(/^chain ok up to (\d+)$/.exec(bootCheck)?.[1])

export type AzureLab = { readonly product: LabProduct; readonly machineId: string }

export function azureRunTests(lab: () => AzureLab): void {
  let product: LabProduct
  let azure: Site
  let id: string
  beforeAll(() => {
    ;({ product } = lab())
  })

  const cloudFolder = (): string => join(product.lab, 'azure')
  /** Everything in the emulated Azure that carries the tag of a run, by its name. */
  async function thingsOfRuns(): Promise<readonly string[]> {
    const text = await readFile(join(cloudFolder(), 'state.json'), 'utf8')
    const { resources } = JSON.parse(text) as {
      readonly resources: readonly { readonly name: string; readonly tags: Record<string, string> }[]
    }
    return resources.filter(({ tags }) => tags['understudy-run'] !== undefined).map(({ name }) => name)
  }
  const diskFiles = async (): Promise<readonly string[]> =>
    (await readdir(cloudFolder())).filter((name) => name.startsWith('disk-'))
  const runOf = async (kind: 'test' | 'failover'): Promise<Run> =>
    present((await product.protection(id))[kind], `a ${kind} is up`)
  const isRunning = async (): Promise<boolean> =>
    (await pidOf(await product.machineAt('a', 'lab-db'))) !== null

  test('the emulated Azure is a site in which machines can run, with its networks', async () => {
    const { siteId } = await product.ask<{ siteId: string }>('POST', '/lab/azure')
    azure = await product.ask<Site>('GET', `/sites/${siteId}`)
    expect(azure).toMatchObject({
      emulated: true,
      health: 'healthy',
      canBeTarget: true,
      whyNoTarget: null,
      canBeSource: true,
    })
    expect(azure.settings.compute).toMatchObject({ resourceGroup: 'replicas', region: 'westeurope' })
    const networks = await product.items<Network>(`/sites/${siteId}/networks`)
    expect(networks.map(({ name, isolated }) => [name, isolated])).toEqual([
      ['Own network', true],
      ['lan/web', false],
      ['lan/test', true],
    ])
    const idOf = (name: string): string =>
      present(
        networks.find((one) => one.name === name),
        name,
      ).id
    id = await product.protect(lab().machineId, siteId, 5, {
      encrypt: false,
      networks: { failover: idOf('lan/web'), test: idOf('Own network') },
    })
  })

  test('a test failover ends with the page of the guest while replication goes on, and its clean-up leaves nothing', async () => {
    const sourceBoot = (await waitForGuest(addressesOf(await product.machineAt('a', 'lab-db')))).boot
    await product.finish('POST', `/protections/${id}/test-failover`, { point: { kind: 'latest' } })
    const guest = await waitForGuest((await runOf('test')).addresses)
    expect(guest.chain.state).toBe('ok')
    expect(recordAtBoot(guest.chain.bootCheck)).toBeGreaterThan(0)
    expect(guest.database?.integrity).toBe('ok')
    expect(guest.boot).not.toBe(sourceBoot)
    expect((await runOf('test')).hasScreenshot).toBe(true)
    expect(await isRunning()).toBe(true)
    await product.nextPoint(id)
    expect(await diskFiles()).toHaveLength(2)
  })

  test('a server that is killed leaves no machine behind that nobody knows; the next one starts it again', async () => {
    const before = await waitForGuest((await runOf('test')).addresses)
    await product.kill()
    await until('the guest has ended with its cloud', 30, async () =>
      fetch(`${(await pages())[0]}/status.json`, { signal: AbortSignal.timeout(2000) }).then(
        () => null,
        () => true,
      ),
    )
    await product.start()
    const after = await until('the guest answers again', 180, async () => {
      const [page] = await pages()
      return page === undefined ? null : await waitForGuest([page], 20)
    })
    expect(after.boot).not.toBe(before.boot)
    // It goes on with what it had written itself.
    expect(recordAtBoot(after.chain.bootCheck)).toBeGreaterThanOrEqual(before.chain.step)
    await product.nextPoint(id)
    await product.finish('POST', `/protections/${id}/clean-up-test`)
    expect(await thingsOfRuns()).toEqual([])
    expect(await diskFiles()).toEqual([])
    expect(await pages()).toEqual([])
  })
  /** Where a point in the emulated storage differs from the disks of a machine that is off. */
  async function differencesTo(source: RunMachine, pointId: string): Promise<readonly string[]> {
    const { endpoint, container } = azure.settings as {
      readonly endpoint: string
      readonly container: string
    }
    const signIn = { kind: 'key', account: EMULATOR_ACCOUNT, key: EMULATOR_KEY } as const
    const clock = { now: () => Date.now() }
    const store = openAzureStore({ container: { endpoint, container, signIn }, clock })
    const [replicaId] = await store.list()
    const replica = await store.openReplica(present(replicaId, 'there is a replica'), null)
    const point = present(
      replica.points().find((one) => one.id === pointId),
      'the point is there',
    )
    const opened = await replica.openPoint(point.id)
    try {
      return await pointDifferences(source, opened)
    } finally {
      await opened.close()
      await replica.close()
    }
  }

  const pages = async (): Promise<readonly string[]> =>
    Object.values(JSON.parse(await readFile(join(cloudFolder(), 'pages.json'), 'utf8')) as object)

  test('a planned failover loses nothing and can be taken back: the original goes on', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.finish('POST', `/protections/${id}/failover`, { kind: 'planned' })
    expect(await isRunning()).toBe(false)
    expect(await differencesTo(source, (await runOf('failover')).pointId)).toEqual([])
    const guest = await waitForGuest((await runOf('failover')).addresses)
    expect(guest.chain.state).toBe('ok')
    expect(guest.database?.integrity).toBe('ok')
    await product.finish('POST', `/protections/${id}/roll-back`)
    expect(await thingsOfRuns()).toEqual([])
    const original = await waitForGuest(addressesOf(source))
    // What was written in Azure is given up; what the original had is there.
    expect(recordAtBoot(original.chain.bootCheck)).toBe(recordAtBoot(guest.chain.bootCheck))
    await product.nextPoint(id)
  })

  test.each([
    ['Copy the last changes', 800],
    ['Boot the replica', 6000],
    ['Boot the replica', 12_000],
    ['Wait for the guest to answer', 800],
  ])(
    'a planned failover survives kill -9 of server and cloud at "%s", %d ms later at most',
    async (task, most) => {
      const source = await product.machineAt('a', 'lab-db')
      const { jobId } = await product.ask<{ jobId: string }>('POST', `/protections/${id}/failover`, {
        kind: 'planned',
      })
      await until(`the job is at "${task}"`, 120, async () => {
        const { tasks } = await product.ask<Job>('GET', `/jobs/${jobId}`)
        return tasks.find(({ name, state }) => name === task && state !== 'pending')
      })
      await sleep(random.below(most))
      await product.kill()
      await product.start()
      const job = await product.waitForJob(jobId)
      expect(job.failure).toBeNull()
      expect(job.state).toBe('succeeded')
      expect(await isRunning()).toBe(false)
      expect(await differencesTo(source, (await runOf('failover')).pointId)).toEqual([])
      const guest = await waitForGuest((await runOf('failover')).addresses)
      expect(guest.chain.state).toBe('ok')
      expect(await pages()).toHaveLength(1)
      // Two disks, and of each what it was before the machine first started: from there on it can come home.
      expect(await diskFiles()).toHaveLength(4)
      await product.finish('POST', `/protections/${id}/roll-back`)
      expect(await thingsOfRuns()).toEqual([])
      expect(await diskFiles()).toEqual([])
      await product.nextPoint(id)
    },
  )

  test('an unplanned failover is committed: the machine belongs to Azure, and only the tags of its run stay', async () => {
    await product.nextPoint(id)
    await product.finish('POST', `/protections/${id}/failover`, {
      kind: 'unplanned',
      point: { kind: 'latest' },
    })
    expect(await isRunning()).toBe(false)
    const guest = await waitForGuest((await runOf('failover')).addresses)
    expect(guest.chain.state).toBe('ok')
    await product.finish('POST', `/protections/${id}/commit`)
    expect((await product.protection(id)).state).toBe('committed')
    const [page] = await pages()
    const now = await waitForGuest([present(page, 'it runs')])
    expect(now.boot).toBe(guest.boot)
    expect((await thingsOfRuns()).length).toBeGreaterThan(3)
  })

  test('what it wrote in Azure comes home by differences: reprotect, fail back, commit', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.finish('POST', `/protections/${id}/reprotect`, {})
    await until('it is protected in reverse', 120, async () =>
      (await product.protection(id)).state === 'protected' ? true : null,
    )
    const [first, second] = (await product.points(id)).toReversed()
    expect([first?.cycle, second?.cycle]).toEqual(['seed', 'delta'])
    expect(second?.changedBytes).toBeLessThan(48 * MiB)
    const away = await waitForGuest([present((await pages())[0], 'it runs in Azure')])
    await product.finish('POST', `/protections/${id}/fail-back`, {})
    expect(await pages()).toEqual([])
    const home = await waitForGuest(addressesOf(source))
    expect(home.chain.state).toBe('ok')
    expect(home.database?.integrity).toBe('ok')
    expect(recordAtBoot(home.chain.bootCheck)).toBeGreaterThanOrEqual(away.chain.step)
    await product.finish('POST', `/protections/${id}/commit`)
    expect((await product.protection(id)).state).toBe('committed')
  })

  test('the lab is removed with its emulated Azure: no process and no disk of it stays', async () => {
    await product.finish('DELETE', `/protections/${id}`)
    await product.ask('DELETE', '/lab')
    await expect(readdir(product.lab)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await product.items('/sites')).toEqual([])
  })
}
