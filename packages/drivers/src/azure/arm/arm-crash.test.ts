// The process dies after every single request of a boot and of a clean-up, and answers are lost at every request. Whatever the moment:
// who repeats it finds one whole machine, or nothing; and nobody else's things are touched.
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { expectEqual, testBoot, testRun } from '@understudy/simulator/contracts/platform-harness'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test, vi } from 'vitest'
import { azureTarget } from './azure-target.ts'
import type { Fault } from './double/double-parts.ts'
import { emulatedSettings } from './double/emulated-azure.ts'
import { Died, mortalProcess } from './mortal-process.ts'
import { isOfRun } from './run-names.ts'
import { OWN_NETWORK } from './site-networks.ts'
import { type TestSite, testSite } from './test-site.ts'

/** Hundreds of boots in all: a busy computer is no failure. */
vi.setConfig({ testTimeout: 240_000 })

const runId = testRun('crash')
const random = seededRandom(7)

/** Two disks with a little on them. */
const contents = [MiB, 2 * MiB].map((bytes) => {
  const content = Buffer.alloc(bytes)
  random.bytes(12 * 1024).copy(content, 8192)
  random.bytes(4096).copy(content, bytes - 4096)
  return content
})

/** An adapter in a network of the site, with a fixed and a public address, and one in a network that is made for it. */
const settings = {
  ...emulatedSettings,
  adapters: [
    {
      macAddress: '52:54:00:00:00:01',
      mode: 'failover' as const,
      address: '10.1.1.10',
      publicAddress: true,
    },
  ],
}

function specFor(site: TestSite): BootSpec {
  const { spec } = testBoot(contents, { runId, network: site.openSubnet, mode: 'failover', name: 'web' })
  const adapter = (index: number) => ({
    key: `net${index}`,
    macAddress: `52:54:00:00:00:0${index + 1}`,
    networkId: null,
    model: 'virtio',
  })
  return {
    ...spec,
    trackingId: 'owner-1',
    hardware: { ...spec.hardware, adapters: [adapter(0), adapter(1)] },
    networks: new Map([
      ['net0', site.openSubnet],
      ['net1', OWN_NETWORK],
    ]),
  }
}

/** A site where somebody else has a machine of the wished name. */
async function busySite(workRequests = 1): Promise<{ site: TestSite; before: readonly string[] }> {
  const site = await testSite({ settings }, workRequests)
  await site.addMachine('web', [MiB])
  return { site, before: site.things() }
}

async function expectWhole(site: TestSite, when: string): Promise<void> {
  const [machine, ...others] = site.machines().filter((one) => isOfRun(one, runId))
  expect(others, `one machine, ${when}`).toEqual([])
  const { id, name, power, properties } = present(machine, `a machine, ${when}`)
  expect({ name, power, state: properties.provisioningState }, when).toEqual({
    name: 'web-2',
    power: 'running',
    state: 'Succeeded',
  })
  for (const [index, content] of contents.entries()) {
    const disk = site.diskOf(id as never, `disk${index}` as DiskKey)
    expectEqual(await disk.read(0, disk.bytes), content, `disk ${index}, ${when}`)
  }
  const parts = [...site.double.site.resources.values()].filter((one) => isOfRun(one, runId))
  expect(parts.map(({ type }) => type.split('/')[1]).toSorted(), `each once, ${when}`).toEqual([
    'disks',
    'disks',
    'networkInterfaces',
    'networkInterfaces',
    'networkSecurityGroups',
    'publicIPAddresses',
    'snapshots',
    'snapshots',
    'virtualMachines',
    'virtualNetworks',
  ])
  expect([...site.account.blobs.keys()], `no copy is left, ${when}`).toEqual([])
  expect(site.machines(), `the other machine is there, ${when}`).toHaveLength(2)
}

const lives = async (
  site: TestSite,
  after: number,
  life: (target: ReturnType<typeof azureTarget>) => Promise<unknown>,
) => {
  const mortal = mortalProcess(site.double, site.parts.storage, after)
  await life(azureTarget({ ...site.parts, ...mortal.parts })).catch(() => {})
  return mortal.requests
}

test('a boot that dies after any of its requests is repeated to one whole machine', async () => {
  const { site, before } = await busySite()
  const spec = specFor(site)
  const requests = await lives(site, Infinity, (target) => target.boot(spec))
  await expectWhole(site, 'undisturbed')
  await site.target.destroy(runId, spec.placing.before)
  expect(requests).toBeGreaterThan(50)
  for (let after = 0; after < requests; after += 1) {
    const again = specFor(site)
    await lives(site, after, (target) => target.boot(again))
    await site.target.boot(again)
    await expectWhole(site, `after request ${after}`)
    await site.target.destroy(runId, again.placing.before)
    expect(site.things(), `nothing is left after request ${after}`).toEqual(before)
  }
  expect(site.double.violations).toEqual([])
})

test('a boot that dies after any of its requests is cleaned up to nothing as it was left', async () => {
  const { site, before } = await busySite()
  const spec = specFor(site)
  const requests = await lives(site, Infinity, (target) => target.boot(spec))
  await site.target.destroy(runId, spec.placing.before)
  for (let after = 0; after < requests; after += 1) {
    const again = specFor(site)
    await lives(site, after, (target) => target.boot(again))
    await site.target.destroy(runId, again.placing.before)
    expect(site.things(), `nothing is left after request ${after}`).toEqual(before)
  }
})

test('a clean-up that dies after any of its requests is repeated to nothing', async () => {
  const { site, before } = await busySite()
  const first = specFor(site)
  await site.target.boot(first)
  const requests = await lives(site, Infinity, (target) => target.destroy(runId, first.placing.before))
  for (let after = 0; after < requests; after += 1) {
    const spec = specFor(site)
    await site.target.boot(spec)
    await lives(site, after, (target) => target.destroy(runId, spec.placing.before))
    await site.target.destroy(runId, spec.placing.before)
    expect(site.things(), `nothing is left after request ${after}`).toEqual(before)
  }
  expect(site.double.violations).toEqual([])
})

test('an answer that is lost at any request costs nothing: the machine is made once, and whole', async () => {
  const { site, before } = await busySite()
  const start = site.double.calls.length
  const first = specFor(site)
  await site.target.boot(first)
  const requests = site.double.calls.length - start
  await site.target.destroy(runId, first.placing.before)
  for (let lost = 0; lost < requests; lost += 1) {
    const spec = specFor(site)
    let count = -1
    site.double.fault = () => {
      count += 1
      return count === lost ? { kind: 'lost-answer' } : null
    }
    await site.target.boot(spec)
    await expectWhole(site, `without the answer to request ${lost}`)
    await site.target.destroy(runId, spec.placing.before)
    expect(site.things(), `nothing is left, request ${lost}`).toEqual(before)
  }
})

test('a machine is never put together of disks that a guest wrote to and disks of the point', async () => {
  const { site, before } = await busySite()
  const first = specFor(site)
  await site.target.boot(first)
  const requests = await lives(site, Infinity, (target) => target.destroy(runId, first.placing.before))
  let torn = 0
  for (let after = 0; after < requests; after += 1) {
    const spec = specFor(site)
    const { ref } = await site.target.boot(spec)
    for (const [index] of contents.entries())
      await site.diskOf(ref, `disk${index}` as DiskKey).write(0, Buffer.alloc(512, 9))
    await lives(site, after, (target) => target.destroy(runId, spec.placing.before))
    const again = await site.target.boot(spec).catch((error: unknown) => error)
    if (again instanceof Refusal) {
      expect(again.code, `after request ${after}`).toBe('run/torn')
      torn += 1
    } else {
      const [machine] = site.machines().filter((one) => isOfRun(one, runId))
      const disks = contents.map((_, index) =>
        site.diskOf(present(machine, 'it runs').id as never, `disk${index}` as DiskKey),
      )
      const written = await Promise.all(disks.map(async (disk) => (await disk.read(0, 1))[0]))
      expect(new Set(written).size, `all of one kind, after request ${after}`).toBe(1)
    }
    await site.target.destroy(runId, spec.placing.before)
    expect(site.things(), `nothing is left after request ${after}`).toEqual(before)
  }
  expect(torn, 'it comes to that').toBeGreaterThan(0)
})

const seeds =
  process.env.UNDERSTUDY_SEED === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(process.env.UNDERSTUDY_SEED)]

/** What a bad day brings, at one request in twenty. */
const troubles: readonly Fault[] = [
  { kind: 'lost-answer' },
  { kind: 'no-line' },
  { kind: 'answer', status: 429, code: 'TooManyRequests', message: 'Too many', retryAfterSeconds: 0 },
  {
    kind: 'answer',
    status: 409,
    code: 'AnotherOperationInProgress',
    message: 'Another operation is in progress',
  },
  { kind: 'answer', status: 500, code: 'InternalServerError', message: 'Trouble' },
  { kind: 'work-fails', code: 'AllocationFailed', message: 'No room' },
  { kind: 'work-fails', code: 'InternalExecutionError', message: 'It failed' },
]

test.each(seeds)(
  'bad days in a row, with deaths and slow works, end in one whole machine and then in nothing (seed %i)',
  async (seed) => {
    const chance = seededRandom(seed)
    const { site, before } = await busySite(1 + chance.below(6))
    // As the engine does: a clean-up that has begun is repeated until it is done, and nothing else comes before.
    let isLeaving = false
    for (let life = 0; life < 8; life += 1) {
      const spec = specFor(site)
      site.double.fault = () =>
        chance.below(20) === 0 ? (troubles[chance.below(troubles.length)] ?? null) : null
      const mortal = mortalProcess(site.double, site.parts.storage, 5 + chance.below(150))
      const target = azureTarget({ ...site.parts, ...mortal.parts })
      const acts = [
        () => target.boot(spec),
        () => target.boot(spec),
        () => target.hydrate(runId, () => {}),
        () => target.stop(runId),
        async () => {
          isLeaving = true
          await target.destroy(runId, spec.placing.before)
          isLeaving = false
        },
      ]
      for (let count = 0; count < 3; count += 1)
        await present(isLeaving ? acts.at(-1) : acts[chance.below(acts.length)], 'one of them')().catch(
          (error: unknown) => {
            // Whatever happens, it is told as what it is.
            if (!(error instanceof Outage || error instanceof Refusal || error instanceof Died)) throw error
          },
        )
    }
    site.double.fault = () => null
    const spec = specFor(site)
    if (isLeaving) await site.target.destroy(runId, spec.placing.before)
    await site.target.boot(spec)
    await expectWhole(site, `seed ${seed}`)
    await site.target.destroy(runId, spec.placing.before)
    expect(site.things(), `nothing is left, seed ${seed}`).toEqual(before)
    expect(site.double.violations).toEqual([])
  },
)
