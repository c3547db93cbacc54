// An interval that is not kept is told with its reason, and told once; one that the source cannot keep is nobody's alarm.
import type { ReplicaStore, StoreStrain } from '@understudy/engine/ports/replica-store'
import { describe, expect, test, vi } from 'vitest'
import { failedOverAndCommitted, type Lab, minute, newLab } from '../engine-lab.ts'

/** Seals at the target take so long, and count as throttled. */
function slowedTarget(lab: Lab) {
  const state = { sealSeconds: 0, throttles: false, times: 0 }
  const strain = (): StoreStrain => ({
    times: state.times,
    timesLastHour: state.times,
    lastAt: null,
    what: 'the account is busy',
    remedy: 'Take another one.',
  })
  const { openReplica } = lab.b.replicas
  vi.spyOn(lab.b.replicas, 'openReplica').mockImplementation(async (...which) => {
    const replica = await openReplica(...which)
    return {
      ...replica,
      async beginPoint(...point) {
        const writer = await replica.beginPoint(...point)
        return {
          ...writer,
          async seal(facts) {
            if (state.throttles) state.times += 1
            await lab.clock.sleep(state.sealSeconds * 1000)
            return await writer.seal(facts)
          },
        }
      },
    }
  })
  Object.assign(lab.b.replicas, { strain } satisfies Pick<ReplicaStore, 'strain'>)
  return state
}

/** What waits for a cycle that hangs in its target. */
async function whileTimePasses(lab: Lab, work: Promise<unknown>): Promise<void> {
  let isOver = false
  const end = work.finally(() => {
    isOver = true
  })
  for (let turn = 0; turn < 1000 && !isOver; turn += 1) await lab.clock.advance(500)
  await end
}

describe('the interval that is carried', () => {
  test('a place that throttles makes the interval longer, which the protection, an event and an alert tell until it is over', async () => {
    const lab = await newLab({ policy: { lagTargetSeconds: 3600 } })
    const target = slowedTarget(lab)
    const { protectionId } = await lab.protect()
    const pace = async () => (await lab.stores.protections.summary(protectionId)).pace
    await lab.clock.advance(minute)
    expect(await pace()).toBeUndefined()

    Object.assign(target, { sealSeconds: 23, throttles: true })
    // Two late points may be a mishap.
    await lab.clock.advance(50_000)
    expect(await lab.openAlerts()).toEqual([])
    await lab.clock.advance(minute)
    expect(await pace()).toMatchObject({
      wantedSeconds: 5,
      carriedSeconds: 23,
      cause: 'throttled',
      why: 'the account is busy (B)',
      remedy: 'Take another one.',
    })
    expect(await lab.openAlerts()).toEqual(['protection/interval'])
    const [told] = await lab.events('protection/interval')
    expect(told?.message).toBe(
      'Recovery points of web are wanted every 5 s and come every 23 s: the account is busy (B)',
    )

    // One quick cycle is no recovery.
    Object.assign(target, { sealSeconds: 0, throttles: false })
    await lab.clock.advance(30_000)
    Object.assign(target, { sealSeconds: 23, throttles: true })
    await lab.clock.advance(25_000)
    Object.assign(target, { sealSeconds: 0, throttles: false })
    await lab.clock.advance(minute)
    expect(await pace()).toBeNull()
    expect(await lab.openAlerts()).toEqual([])
    expect(await lab.events('protection/interval-kept')).toHaveLength(1)
    expect(await lab.events('protection/interval')).toHaveLength(1)
  })

  test('a longer interval in the policy ends it at once, and so does a pause', async () => {
    const lab = await newLab({ policy: { lagTargetSeconds: 3600 } })
    const target = slowedTarget(lab)
    const { protectionId } = await lab.protect()
    await lab.clock.advance(minute)
    target.sealSeconds = 23
    await lab.clock.advance(3 * minute)
    expect((await lab.stores.protections.summary(protectionId)).pace).toMatchObject({ cause: 'slow' })
    const { id, name, ...settings } = lab.policy
    await lab.engine.savePolicy({ ...settings, name, intervalSeconds: 60 }, id, { by: 'olga' })
    await lab.clock.advance(5_000)
    expect(await lab.openAlerts()).toEqual([])

    await lab.engine.savePolicy({ ...settings, name, intervalSeconds: 5 }, id, { by: 'olga' })
    await lab.clock.advance(3 * minute)
    expect(await lab.openAlerts()).toEqual(['protection/interval'])
    await whileTimePasses(lab, lab.engine.pause({ by: 'olga', protectionId }))
    await lab.clock.advance(5_000)
    expect(await lab.openAlerts()).toEqual([])
    expect((await lab.stores.protections.summary(protectionId)).pace).toBeNull()
  })

  test('outages are told by themselves, and are no pace', async () => {
    const lab = await newLab({
      policy: { lagTargetSeconds: 3600 },
      config: { retryDelaysSeconds: [20] },
    })
    const { protectionId } = await lab.protect()
    await lab.clock.advance(minute)
    for (let turn = 0; turn < 6; turn += 1) {
      lab.a.faults.failNext('source.openPoint')
      await lab.clock.advance(26_000)
    }
    expect(lab.a.faults.calls.get('source.openPoint')).toBeGreaterThan(12)
    expect((await lab.stores.protections.summary(protectionId)).pace ?? null).toBeNull()
  })

  test('the next process goes on with what was told, and ends it when it is over', async () => {
    const lab = await newLab({ policy: { lagTargetSeconds: 3600 } })
    const target = slowedTarget(lab)
    const { protectionId } = await lab.protect()
    await lab.clock.advance(minute)
    target.sealSeconds = 23
    await lab.clock.advance(3 * minute)
    const before = (await lab.stores.protections.summary(protectionId)).pace
    target.sealSeconds = 0
    await whileTimePasses(lab, lab.restart())
    expect((await lab.stores.protections.summary(protectionId)).pace).toEqual(before)
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toEqual([])
    expect((await lab.stores.protections.summary(protectionId)).pace).toBeNull()
  })
})

describe('a source that gives points less often than the policy wants', () => {
  test('after a reprotect its cycles keep to what it gives, which is told once, and no lag alert cries wolf', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    lab.b.givesPointsEvery(120)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(10_000)
    const opened = lab.b.faults.calls.get('source.openPoint') ?? 0
    await lab.clock.advance(10 * minute)
    expect((lab.b.faults.calls.get('source.openPoint') ?? 0) - opened).toBe(5)
    expect((await lab.stores.protections.summary(protectionId)).pace).toMatchObject({
      wantedSeconds: 5,
      carriedSeconds: 120,
      cause: 'source',
      why: 'B, where it runs, gives them no more often',
    })
    expect(await lab.openAlerts()).toEqual([])
    expect(await lab.events('protection/lag')).toEqual([])
    expect(await lab.events('protection/interval-of-source')).toHaveLength(1)

    // It is late all the same once it does not give even that.
    lab.b.cutOff()
    await lab.clock.advance(5 * minute)
    expect(await lab.openAlerts()).toContain('protection/lag')
  })
})
