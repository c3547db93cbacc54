// Who may work on the first copy of a machine, and what is left of it when a job comes to nothing.

import { KiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import { describe, expect, test, vi } from 'vitest'
import { by, minute, until } from '../engine-lab.ts'
import { defaultEngineConfig } from '../engine-parts.ts'
import { folder, newSeedLab, passphrase } from './seed-lab.ts'

const other = { folder: '/media/other', passphrase: 'another passphrase' }

describe('two who ask at the same moment', () => {
  test('for an export: the one who lost changes nothing of it', async () => {
    const { lab, protectionId, request } = await newSeedLab()
    const first = lab.engine.exportSeed(request)
    const second = lab.engine.exportSeed({ ...request, ...other })
    await expect(second).rejects.toMatchObject({ code: 'job/another-works' })
    await lab.done(first)
    expect(await lab.stores.seeds.find(protectionId)).toMatchObject({ folder })
    expect([...lab.seeds.seeds.values()]).toMatchObject([{ passphrase }])
  })

  test('for an import: the one who lost changes nothing of it', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    const first = lab.engine.importSeed(request)
    const second = lab.engine.importSeed({ ...request, ...other })
    await expect(second).rejects.toMatchObject({ code: 'job/another-works' })
    await lab.done(first)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('for an export, the second after the first has ended: what is exported stays as it is', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    const { create } = lab.stores.jobs
    vi.spyOn(lab.stores.jobs, 'create').mockImplementationOnce(async (job) => {
      await exported()
      return await create(job)
    })
    const late = lab.engine.exportSeed({ ...request, ...other })
    await expect(late).rejects.toMatchObject({ code: 'protection/state-changed' })
    expect(await lab.stores.seeds.find(protectionId)).toMatchObject({ folder, export: { tracked: true } })
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
  })
})

describe('a job whose seed is not there any more', () => {
  test('is refused and over, and stands in nobody’s way', async () => {
    const { lab, ask, request, exported } = await newSeedLab()
    await exported()
    const { create } = lab.stores.jobs
    vi.spyOn(lab.stores.jobs, 'create').mockImplementationOnce(async (job) => {
      await lab.engine.giveUpSeed(ask)
      return await create(job)
    })
    const jobId = 'late' as JobId
    const late = lab.engine.importSeed({ ...request, jobId })
    await expect(late).rejects.toMatchObject({ code: 'seed/given-up', remedy: expect.any(String) })
    expect(await lab.job(jobId)).toMatchObject({ state: 'failed', failure: { code: 'seed/given-up' } })
  })

  test('does not hold the copy over the line back', async () => {
    const { lab, protectionId, request } = await newSeedLab()
    const { start } = lab.durable
    vi.spyOn(lab.durable, 'start').mockImplementationOnce(async (...job) => {
      await lab.stores.seeds.remove(protectionId)
      await start(...job)
    })
    const failed = await lab.settle(lab.engine.exportSeed(request))
    expect(failed).toMatchObject({ state: 'failed', failure: { code: 'seed/given-up' } })
    expect((await lab.state(protectionId)).state).toBe('paused')
  })
})

test('an export whose answer was lost begins when it is asked for again, with its own seed', async () => {
  const { lab, protectionId, request } = await newSeedLab()
  const away = new Outage({ code: 'store/unreachable', message: 'Away', remedy: 'Wait.' })
  const jobId = 'repeated' as JobId
  vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
  await expect(lab.engine.exportSeed({ ...request, jobId })).rejects.toBe(away)
  const { id } = (await lab.stores.seeds.find(protectionId)) ?? {}
  const again = lab.engine.exportSeed({ ...request, jobId })
  await again
  await lab.engine.exportSeed({ ...request, ...other, jobId })
  await lab.done(again)
  expect(await lab.stores.seeds.find(protectionId)).toMatchObject({ id, folder, export: { tracked: true } })
  expect(lab.seeds.seeds.size).toBe(1)
})

describe('a passphrase', () => {
  test('goes with an export that fails, which is not run again without it', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    lab.seeds.onWrite = () => Promise.reject(new Error('the disk is gone'))
    const failed = await lab.settle(lab.engine.exportSeed(request))
    expect(failed.state).toBe('failed')
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
    await expect(lab.engine.retryJob(failed.id, { by })).rejects.toMatchObject({
      code: 'job/not-retryable',
      remedy: expect.stringContaining('passphrase'),
    })
    lab.seeds.onWrite = async () => {}
    await exported()
    expect(lab.seeds.seeds.size).toBe(1)
  })

  test('goes with an import that is refused', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    const failed = await lab.settle(lab.engine.importSeed({ ...request, passphrase: 'wrong wrong wrong' }))
    expect(failed.state).toBe('failed')
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
  })

  test('goes with an export that is cancelled', async () => {
    const { lab, protectionId, request } = await newSeedLab()
    let writes = 0
    lab.seeds.onWrite = async () => {
      writes += 1
      await lab.clock.sleep(minute)
    }
    const started = lab.engine.exportSeed(request)
    const { jobId } = await started
    await until(lab, () => writes > 0)
    expect(await lab.stores.seeds.passphrase(protectionId)).toBe(passphrase)
    await lab.engine.cancelJob(jobId, { by })
    expect((await lab.settle(started)).state).toBe('cancelled')
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
  })

  test('goes with a job that was lost before it could begin', async () => {
    const { lab, protectionId, request } = await newSeedLab()
    const jobId = 'lost' as JobId
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(new Error('killed'))
    await expect(lab.engine.exportSeed({ ...request, jobId })).rejects.toThrow('killed')
    expect(await lab.stores.seeds.passphrase(protectionId)).toBe(passphrase)
    await lab.clock.advance(3 * minute)
    expect(await lab.job(jobId)).toMatchObject({ state: 'failed', failure: { code: 'job/lost' } })
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
  })
})

test('an export ends only once its point at the source is let go', async () => {
  const { lab, protectionId, exported } = await newSeedLab()
  const { openPoint } = lab.a.source
  const away = new Outage({ code: 'source/unreachable', message: 'Away', remedy: 'Wait.' })
  let [isOpen, opened] = [false, 0]
  vi.spyOn(lab.a.source, 'openPoint').mockImplementation(async (...request) => {
    const result = await openPoint(...request)
    if (result.kind !== 'opened') return result
    // A point takes the place of one that was left.
    isOpen = true
    opened += 1
    const mayEnd = opened > 1
    const letGo = (release: (kept: boolean) => Promise<void>) => async (kept: boolean) => {
      if (!mayEnd) throw away
      await release(kept)
      isOpen = false
    }
    const { point } = result
    const machines = point.machines.map((each) => ({ ...each, release: letGo(each.release) }))
    return { ...result, point: { ...point, machines, release: letGo(point.release) } }
  })
  await exported()
  expect({ isOpen, opened }).toEqual({ isOpen: false, opened: 2 })
  const { mark, manifest } = [...lab.seeds.seeds.values()][0] ?? {}
  expect(manifest?.point.checkpoint).toBe(mark?.checkpoint)
  expect([...lab.machine.checkpoints.keys()]).toEqual([mark?.checkpoint])
  expect((await lab.state(protectionId)).state).toBe('awaitingSeed')
})

test('an export gives a mover elsewhere the time to notice that it has to stop', async () => {
  const { lab, protectionId, request } = await newSeedLab()
  vi.spyOn(lab.stores.leases, 'claim').mockResolvedValue([])
  vi.spyOn(lab.stores.leases, 'held').mockResolvedValue([])
  await lab.clock.advance(minute)
  const { movers } = lab.stores.leases
  const elsewhere = { id: 'elsewhere', beatAt: 0, expiresAt: 0, protections: 1 }
  vi.spyOn(lab.stores.leases, 'movers').mockImplementation(async () => [...(await movers()), elsewhere])
  let heldBackAt = 0
  const { nextEpoch } = lab.stores.protections
  vi.spyOn(lab.stores.protections, 'nextEpoch').mockImplementation(async (id) => {
    heldBackAt ||= lab.clock.now()
    return await nextEpoch(id)
  })
  const askedAt = lab.clock.now()
  await lab.done(lab.engine.exportSeed(request))
  expect((await lab.state(protectionId)).state).toBe('awaitingSeed')
  expect(heldBackAt - askedAt).toBeGreaterThan(defaultEngineConfig.lookSeconds * 1000)
})

test('an import that fails waits for what is still being written before it gives its point up', async () => {
  const { lab, request } = await newSeedLab({ config: { requestBytes: 16 * KiB, requestsInFlight: 8 } })
  let left = 3
  lab.seeds.onWrite = async () => {
    left -= 1
    if (left < 0) throw new Error('the disk is gone')
  }
  await lab.settle(lab.engine.exportSeed(request))
  lab.seeds.onWrite = async () => {}
  // The content of the first export lies before a mark now.
  await lab.done(lab.engine.exportSeed(request))
  const { replicas } = lab.b.platform
  const { openReplica } = replicas
  let [underWay, writes, underWayAtAbort] = [0, 0, -1]
  const slow = async (): Promise<void> => {
    writes += 1
    if (writes === 1) throw new Error('the store is full')
    underWay += 1
    await lab.clock.sleep(3000)
    underWay -= 1
  }
  vi.spyOn(replicas, 'openReplica').mockImplementation(async (...where) => {
    const replica = await openReplica(...where)
    const beginPoint: typeof replica.beginPoint = async (...begin) => {
      const writer = await replica.beginPoint(...begin)
      return {
        ...writer,
        write: slow,
        zero: slow,
        async abort() {
          underWayAtAbort = underWay
          await writer.abort()
        },
      }
    }
    return { ...replica, beginPoint }
  })
  expect((await lab.settle(lab.engine.importSeed(request))).state).toBe('failed')
  expect(writes).toBeGreaterThan(1)
  expect(underWayAtAbort).toBe(0)
})
