import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { JobId } from '@understudy/domain/jobs/job'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { describe, expect, test } from 'vitest'
import { by, newProtectedLab, protectOneMore } from '../engine-lab.ts'

async function newPair() {
  const { lab, protectionId: web } = await newProtectedLab()
  const db = await protectOneMore(lab, { name: 'db' })
  return { lab, web, db }
}

const groupOf = async (lab: Awaited<ReturnType<typeof newPair>>['lab'], id: ProtectionId) =>
  (await lab.state(id)).groupId

describe('a consistency group', () => {
  test('is made of machines that replicate, which share instants from then on', async () => {
    const { lab, web, db } = await newPair()
    const group = await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    await lab.clock.advance(30_000)
    expect(await groupOf(lab, web)).toBe(group.id)
    const [ofWeb, ofDb] = [await lab.engine.recoveryPoints(web), await lab.engine.recoveryPoints(db)]
    expect(ofWeb.at(-1)?.group?.id).toBe(group.id)
    expect(ofWeb.at(-1)?.group).toEqual(ofDb.at(-1)?.group)
    expect(ofWeb.at(-1)?.instant).toBe(ofDb.at(-1)?.instant)
    const [event] = await lab.events('group/made')
    expect(event?.message).toContain(`by ${by}: web, db`)
  })

  test('takes a machine in while that is protected, and refuses one that does not fit before anything is made', async () => {
    const { lab, web } = await newPair()
    const group = await lab.engine.createGroup({ name: 'shop', members: [web] }, { by })
    const silver = await lab.engine.savePolicy({ ...lab.policy, name: 'silver' }, null, { by })
    const { ref } = await lab.a.addMachine({ name: 'cache', disks: [2 ** 18] })
    await lab.engine.refreshSite(lab.siteA.id)
    const machine = await lab.stores.machines.findByRef(lab.siteA.id, ref)
    if (!machine) throw new Error('the inventory has the machine')
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }]
    const wanted = { targetSiteId: lab.siteB.id, policyId: lab.policy.id, groupId: group.id }
    const order = { by, machineId: machine.id, adapters, excludedDisks: [], ...wanted }
    const refused = { code: 'group/other-policy' }
    await expect(lab.engine.protect({ ...order, policyId: silver.id })).rejects.toMatchObject(refused)
    expect(await lab.stores.protections.list()).toHaveLength(2)
    const verdicts = await lab.engine.newcomerObstacles({
      ...wanted,
      policyId: silver.id,
      machines: [machine],
    })
    expect(verdicts.get(machine.id)).toMatchObject(refused)
    const { protectionId } = await lab.engine.protect(order)
    const [joined] = await lab.events('group/joined')
    expect(joined?.message).toBe(`cache came into the group "shop" by ${by}`)
    await lab.clock.advance(90_000)
    const [ofWeb, ofNew] = [
      await lab.engine.recoveryPoints(web),
      await lab.engine.recoveryPoints(protectionId),
    ]
    expect(ofNew.at(-1)?.group?.id).toBe(group.id)
    expect(ofNew.at(-1)?.instant).toBe(ofWeb.at(-1)?.instant)
  })

  test('takes a machine in also when that cannot be told: whoever asks again finds the job that was begun', async () => {
    const { lab, web } = await newPair()
    const group = await lab.engine.createGroup({ name: 'shop', members: [web] }, { by })
    const { ref } = await lab.a.addMachine({ name: 'cache', disks: [2 ** 18] })
    await lab.engine.refreshSite(lab.siteA.id)
    const machine = present(await lab.stores.machines.findByRef(lab.siteA.id, ref), 'the machine')
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }]
    const wanted = { targetSiteId: lab.siteB.id, policyId: lab.policy.id, groupId: group.id }
    const order = {
      by,
      jobId: 'asked' as JobId,
      machineId: machine.id,
      adapters,
      excludedDisks: [],
      ...wanted,
    }
    const { append } = lab.stores.events
    let away = true
    Object.assign(lab.stores.events, {
      append: async (event: Parameters<typeof append>[0]): Promise<void> => {
        if (away && event.code === 'group/joined')
          throw new Outage({ code: 'x/y', message: 'Away.', remedy: 'Wait.' })
        await append(event)
      },
    })
    await expect(lab.engine.protect(order)).rejects.toMatchObject({ code: 'x/y' })
    away = false
    const again = await lab.engine.protect(order)
    expect((await lab.done(Promise.resolve(again))).id).toBe('asked')
    expect((await lab.state(again.protectionId)).groupId).toBe(group.id)
  })

  test('is not made at all when one of the machines cannot be in it', async () => {
    const { lab, web, db } = await newPair()
    const silver = await lab.engine.savePolicy({ ...lab.policy, name: 'silver' }, null, { by })
    await lab.engine.editProtection({ by, protectionId: db, policyId: silver.id })
    const making = lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    await expect(making).rejects.toMatchObject({ code: 'group/other-policy' })
    expect(await lab.stores.groups.list()).toEqual([])
    expect(await groupOf(lab, web)).toBeNull()
    const [, verdict] = await lab.engine.groupCandidates(null, [web])
    expect(verdict).toMatchObject({ protectionId: db, obstacle: { code: 'group/other-policy' } })
  })

  test('takes machines in and lets them go again, with all the points that they have', async () => {
    const { lab, web, db } = await newPair()
    const group = await lab.engine.createGroup({ name: 'shop', members: [web] }, { by })
    await lab.engine.addToGroup(group.id, [db, web], { by })
    await lab.engine.addToGroup(group.id, [db], { by })
    expect(await lab.events('group/joined')).toHaveLength(1)
    await lab.clock.advance(20_000)
    const before = await lab.engine.recoveryPoints(db)
    expect(before.some((point) => point.group?.id === group.id)).toBe(true)
    await lab.engine.removeFromGroup(group.id, db, { by })
    await lab.engine.removeFromGroup(group.id, db, { by })
    await lab.clock.advance(20_000)
    const after = await lab.engine.recoveryPoints(db)
    expect(after.map(({ id }) => id)).toEqual(expect.arrayContaining(before.map(({ id }) => id)))
    expect(after.at(-1)).not.toHaveProperty('group')
    const other = await lab.engine.createGroup({ name: 'other', members: [db] }, { by })
    const adding = lab.engine.addToGroup(group.id, [db], { by })
    await expect(adding).rejects.toMatchObject({ code: 'group/other-group' })
    await lab.engine.removeGroup(other.id, { by })
    expect(await groupOf(lab, db)).toBeNull()
  })

  test('has one policy: it is changed for all of them, and for none of them alone', async () => {
    const { lab, web, db } = await newPair()
    const group = await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    const silver = await lab.engine.savePolicy({ ...lab.policy, name: 'silver', intervalSeconds: 10 }, null, {
      by,
    })
    const alone = lab.engine.editProtection({ by, protectionId: db, policyId: silver.id })
    await expect(alone).rejects.toMatchObject({ code: 'protection/policy-of-group' })
    await lab.engine.editProtection({ by, protectionId: db, policyId: lab.policy.id, excludedDisks: [] })
    await lab.engine.changeGroup({ by, groupId: group.id, policyId: silver.id, name: 'Shop' })
    for (const id of [web, db]) expect((await lab.state(id)).policyId).toBe(silver.id)
    const sealed = await lab.engine.savePolicy({ ...lab.policy, name: 'sealed', encrypt: true }, null, { by })
    const encrypting = lab.engine.changeGroup({ by, groupId: group.id, policyId: sealed.id })
    await expect(encrypting).rejects.toMatchObject({ code: 'policy/encryption-fixed' })
    const [event] = await lab.events('group/changed')
    expect(event?.message).toContain('its name is now "Shop"; its policy is now "silver"')
  })

  test('does not keep one of its machines from failing over, and the others go on', async () => {
    const { lab, web, db } = await newPair()
    const third = await protectOneMore(lab, { name: 'log' })
    await lab.engine.createGroup({ name: 'shop', members: [web, db, third] }, { by })
    await lab.clock.advance(20_000)
    const warned = await lab.engine.preflightFailover({ protectionId: web, mode: 'failover' })
    const stays = warned.find(({ code }) => code === 'failover/group-stays')
    expect(stays?.message).toContain('"shop": db, log stay where they are')
    const ofTest = await lab.engine.preflightFailover({ protectionId: web, mode: 'test' })
    expect(ofTest.map(({ code }) => code)).not.toContain('failover/group-stays')
    await lab.done(lab.engine.plannedFailover({ by, protectionId: web }))
    await lab.clock.advance(30_000)
    const [ofDb, ofThird] = [await lab.engine.recoveryPoints(db), await lab.engine.recoveryPoints(third)]
    expect(lab.clock.now() - (ofDb.at(-1)?.instant ?? 0)).toBeLessThan(7000)
    expect(ofDb.at(-1)?.group?.cut).toBe(ofThird.at(-1)?.group?.cut)
  })
})
