// A real machine of the lab runs in Azure, emulated on this computer: its disks lie in the emulated storage, become managed disks of the
// emulated Resource Manager, and its guest answers from there.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { Run } from '@understudy/contract/protection'
import type { Network, Site } from '@understudy/contract/site'
import { beforeAll, expect, test } from 'vitest'
import { addressesOf, type LabProduct, pidOf, until, waitForGuest } from './lab-product.ts'

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
      canBeSource: false,
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
  const pages = async (): Promise<readonly string[]> =>
    Object.values(JSON.parse(await readFile(join(cloudFolder(), 'pages.json'), 'utf8')) as object)

  test('a planned failover loses nothing and can be taken back: the original goes on', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.finish('POST', `/protections/${id}/failover`, { kind: 'planned' })
    expect(await isRunning()).toBe(false)
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
}
