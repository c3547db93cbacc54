// A site that keeps replicas and cannot run them: replication is whole there, and whoever needs a machine is told beforehand.
import { present } from '@understudy/base/invariant'
import { defaultPolicySettings } from '@understudy/domain/protection/policy'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test } from 'vitest'
import { by, latest, minute, newLab } from '../engine-lab.ts'
import { group, machine, plan } from '../recovery-plans/plan-lab.ts'

const keepsOnly = {
  code: 'site/no-target',
  message: 'B keeps replicas but cannot run machines yet',
  remedy: 'The points can be used by hand.',
}

async function newKeepingLab() {
  const lab = await newLab()
  Object.assign(lab.b.platform, { target: undefined, withoutTarget: keepsOnly.remedy })
  const wanted = { by, machineId: lab.row.id, targetSiteId: lab.siteB.id, adapters: [], excludedDisks: [] }
  return { lab, wanted: { ...wanted, policyId: lab.policy.id } }
}

async function newKeptLab() {
  const { lab, wanted } = await newKeepingLab()
  const started = await lab.engine.protect(wanted)
  const job = await lab.done(Promise.resolve(started))
  return { lab, job, protectionId: started.protectionId, ask: { by, protectionId: started.protectionId } }
}

describe('a site without a target platform', () => {
  test('takes a protection, whose job says that machines cannot run there', async () => {
    const { lab, job, protectionId } = await newKeptLab()
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(job.tasks[0]).toMatchObject({ state: 'succeeded', note: keepsOnly.message })
  })

  test('keeps every cycle of a running guest, resynchronises, pauses, and loses the replica when the protection ends', async () => {
    const { lab, protectionId, ask } = await newKeptLab()
    await lab.clock.advance(2 * minute)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.length).toBeGreaterThan(5)
    const protection: Protection = await lab.state(protectionId)
    const replica = await lab.b.replicas.openReplica(protection.replicaId, null)
    const opened = await replica.openPoint(present(points.at(-1), 'a newest point').id)
    expect((await checkGuest(opened.disks.map(({ reader }) => reader)))?.records).toBeGreaterThan(0)
    await opened.close()
    await replica.close()
    await lab.done(lab.engine.resync(ask))
    await lab.engine.pause(ask)
    await lab.engine.resume(ask)
    expect((await lab.engine.replicaUsage(protectionId)).pointCount).toBeGreaterThan(5)
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(await lab.b.replicas.list()).toEqual([])
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
  })

  test('refuses every failover with the reason that the button shows, and goes on replicating', async () => {
    const { lab, protectionId, ask } = await newKeptLab()
    const choice = latest
    for (const attempt of [
      lab.engine.testFailover({ ...ask, choice }),
      lab.engine.plannedFailover(ask),
      lab.engine.unplannedFailover({ ...ask, choice, acceptUnfenced: true }),
    ])
      await expect(attempt).rejects.toMatchObject({
        name: 'Refusal',
        message: expect.stringContaining(keepsOnly.message),
        remedy: keepsOnly.remedy,
      })
    expect((await lab.engine.recoveryPoints(protectionId)).length).toBeGreaterThan(0)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('has no networks, and is told of by both looks ahead: before protecting as a warning, before a failover as what stops it', async () => {
    const { lab, protectionId } = await newKeptLab()
    expect(await lab.engine.networks(lab.siteB.id)).toEqual([])
    const before = { machineId: lab.row.id, targetSiteId: lab.siteB.id, adapters: [] }
    expect(await lab.engine.preflight(before)).toEqual([{ level: 'warning', ...keepsOnly }])
    expect(await lab.engine.preflightFailover({ protectionId, mode: 'test' })).toEqual([
      { level: 'blocker', ...keepsOnly },
    ])
    expect(await lab.engine.noTargets([lab.siteA.id, lab.siteB.id])).toEqual(
      new Map([[lab.siteB.id, keepsOnly]]),
    )
    const [protection] = await lab.stores.protections.list()
    if (!protection) throw new Error('there is a protection')
    await lab.clock.advance(11 * minute)
    const summaries = await lab.stores.protections.summaries()
    const judged = await lab.engine.readiness([protection], summaries)
    expect(judged.get(protectionId)?.level).toBe('not-ready')
  })

  test('blocks a plan that would run one of its machines, at that machine', async () => {
    const { lab, protectionId } = await newKeptLab()
    const wanted = plan([group('a', { machines: [machine('m', protectionId)] })])
    const findings = await lab.engine.plans.findings({ ...wanted, id: 'p' as PlanId }, 'unplanned')
    expect(findings.filter(({ level }) => level === 'blocker')).toMatchObject([
      { at: { kind: 'item' }, code: 'recovery-plan/no-target', message: keepsOnly.message },
    ])
  })

  test('whose platform does not open says nothing of it: what is wrong is told by the site itself', async () => {
    const { lab } = await newKeptLab()
    const noTargets = await lab.engine.noTargets(['nobody' as typeof lab.siteB.id])
    expect(noTargets.size).toBe(0)
  })
})

describe('a store that cannot encrypt', () => {
  test('refuses a policy that does, when it is looked at and when it is asked for', async () => {
    const { lab, wanted } = await newKeepingLab()
    Object.assign(lab.b.replicas, { encrypts: false })
    const policy = await lab.engine.savePolicy(
      { ...defaultPolicySettings, encrypt: true, name: 'vault' },
      null,
      {
        by,
      },
    )
    await expect(lab.engine.protect({ ...wanted, policyId: policy.id })).rejects.toMatchObject({
      name: 'Refusal',
      code: 'policy/cannot-encrypt',
    })
    expect(await lab.stores.protections.list()).toEqual([])
    const seen = { machineId: lab.row.id, targetSiteId: lab.siteB.id, adapters: [], policyId: policy.id }
    expect(await lab.engine.preflight(seen)).toContainEqual(
      expect.objectContaining({ level: 'blocker', code: 'policy/cannot-encrypt' }),
    )
  })
})
