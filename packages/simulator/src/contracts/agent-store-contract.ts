// What every store of agents must do. Apply it to memory and to the database alike.
import { randomUUID } from 'node:crypto'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type {
  Agent,
  AgentFacts,
  AgentId,
  AgentInvitation,
  AgentInvitationId,
  AgentOrderId,
} from '@understudy/domain/agents/agent'
import type { ReceiverAssignment, ReceiverAssignmentId } from '@understudy/domain/failover/receiver'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { AgentAnswer, AgentOrder, AgentStore, EnrolVerdict } from '@understudy/engine/ports/agent-store'
import type { ReceiverStore } from '@understudy/engine/ports/receiver-store'
import type { Stores } from '@understudy/engine/ports/stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sampleSite } from '../sample-rows.ts'

/** Empty stores for one test. */
export type AgentStoreHarness = {
  readonly stores: Pick<Stores, 'sites'> & { readonly agents: AgentStore; readonly receivers: ReceiverStore }
  close(): Promise<void>
}

const noon: Instant = Date.parse('2026-01-01T12:00:00Z')
const hour = 3_600_000
const facts: AgentFacts = {
  hostName: 'db-1',
  system: 'Debian GNU/Linux 12',
  kernel: '6.1',
  architecture: 'x64',
  processors: 2,
  memoryBytes: 1024,
}

export function agentStoreContract(name: string, make: () => Promise<AgentStoreHarness>): void {
  describe(`agent store: ${name}`, () => {
    let harness: AgentStoreHarness
    let agents: AgentStore
    let siteId: Agent['siteId']
    beforeEach(async () => {
      harness = await make()
      agents = harness.stores.agents
      const site = sampleSite()
      await harness.stores.sites.create(site, {})
      siteId = site.id
    })
    afterEach(async () => {
      await harness.close()
    })

    const invite = async (id: string, change: Partial<AgentInvitation> = {}): Promise<AgentInvitation> => {
      const invitation: AgentInvitation = {
        id: id as AgentInvitationId,
        siteId,
        tokenHash: `hash of ${id}`,
        roles: ['protected-server'],
        createdBy: 'ada',
        createdAt: noon,
        expiresAt: noon + hour,
        usedAt: null,
        ...change,
      }
      await agents.invite(invitation)
      return invitation
    }
    const wanted = (id: string, change: Partial<Agent> = {}) => ({
      id: id as AgentId,
      name: id,
      publicKey: `key of ${id}`,
      serverIdentity: `server of ${id}`,
      hardware: null,
      version: '1',
      facts,
      ...change,
    })
    const enrolled = (verdict: EnrolVerdict): Agent => {
      if (verdict.kind === 'enrolled') return verdict.agent
      throw new Error(`The verdict is ${verdict.kind}`)
    }
    const enrol = async (id: string): Promise<Agent> => {
      await invite(id)
      return enrolled(await agents.enrol(`hash of ${id}`, noon, wanted(id)))
    }
    const ask = (agentId: AgentId, id: string, change: Partial<AgentOrder> = {}): Promise<AgentOrder> =>
      agents.order({
        id: id as AgentOrderId,
        agentId,
        kind: 'report-facts',
        askedBy: 'ada',
        askedAt: noon,
        ...change,
      })
    const answerTo = (orderId: AgentOrderId, answer: AgentAnswer = { kind: 'facts', facts }) => ({
      orderId,
      answer,
      at: noon + 1,
    })

    test('a token makes one agent, at the site and with the roles of its invitation', async () => {
      await invite('i', { roles: ['protected-server'] })
      const agent = enrolled(await agents.enrol('hash of i', noon + 5, wanted('a')))
      expect(agent).toEqual({
        ...wanted('a'),
        siteId,
        invitationId: 'i',
        roles: ['protected-server'],
        enrolledAt: noon + 5,
        otherHardware: null,
        health: null,
        seenAt: null,
        clockSkewMilliseconds: null,
        revokedAt: null,
        revokedBy: null,
      })
      expect(await agents.find(agent.id)).toEqual(agent)
      expect(await agents.enrol('hash of i', noon + 6, wanted('b'))).toEqual({ kind: 'token-not-valid' })
      expect(await agents.list()).toHaveLength(1)
    })
    test('a token that is unknown or has expired makes no agent', async () => {
      await invite('i')
      const refused = { kind: 'token-not-valid' }
      expect(await agents.enrol('hash of another', noon, wanted('a'))).toEqual(refused)
      expect(await agents.enrol('hash of i', noon + hour, wanted('a'))).toEqual(refused)
      expect(await agents.enrol('hash of i', noon + hour - 1, wanted('a'))).toMatchObject({
        kind: 'enrolled',
      })
    })
    test('a token for a receiver makes no agent of a server, nor the other way round, and stays', async () => {
      await invite('r', { roles: ['receiver'] })
      await invite('s')
      const other = { kind: 'other-role' }
      expect(await agents.enrol('hash of r', noon, wanted('a'))).toEqual(other)
      expect(await agents.enrol('hash of s', noon, wanted('a'), true)).toEqual(other)
      expect(await agents.enrol('hash of r', noon, wanted('a'), true)).toMatchObject({ kind: 'enrolled' })
      expect(await agents.enrol('hash of s', noon, wanted('b'))).toMatchObject({ kind: 'enrolled' })
    })
    test('hardware that is set takes the place of what was known, and of what was refused', async () => {
      const { id } = await enrol('a')
      const hardware = { model: 'R750', firmwareId: 'f2', serials: ['s2'], disks: ['d2'] }
      await agents.setOtherHardware(id, { hardware, hostName: 'h', why: 'w', at: noon })
      await agents.setHardware(id, hardware)
      expect(await agents.find(id)).toMatchObject({ hardware, otherHardware: null })
    })

    const disks = [{ key: 'a' as DiskKey, path: '/dev/sda', bytes: 2 ** 41, model: 'M', serial: null }]
    const assignment = (agentId: AgentId, server: string, change: Partial<ReceiverAssignment> = {}) => ({
      id: randomUUID() as ReceiverAssignmentId,
      agentId,
      siteId,
      serverRef: server as MachineRef,
      disks,
      assignedBy: 'ada',
      assignedAt: noon,
      ...change,
    })
    test('a receiver stands in for one server, and a server has one receiver, also of those who ask at once', async () => {
      const { receivers } = harness.stores
      const [one, other] = [await enrol('a'), await enrol('b')]
      const asked = await Promise.all(
        Array.from({ length: 4 }, (_, index) =>
          receivers.assign(assignment(index % 2 === 0 ? one.id : other.id, 'db')),
        ),
      )
      const made = asked.filter((each) => each !== null)
      expect(made).toHaveLength(1)
      const first = present(made[0], 'one of them')
      expect(first).toMatchObject({ state: 'assigned', disks, serverRef: 'db' })
      expect(await receivers.assign(assignment(first.agentId, 'web'))).toBeNull()
      expect(await receivers.findByServer(siteId, 'db' as MachineRef)).toEqual(first)
      expect(await receivers.list()).toEqual([first])
    })
    test('an assignment has an epoch above all of before, changes its state while it is there, and ends once', async () => {
      const { receivers } = harness.stores
      const { id: agentId } = await enrol('a')
      const first = present(await receivers.assign(assignment(agentId, 'db')), 'it is free')
      expect(await receivers.note(first.id, 'writing')).toBe(true)
      expect((await receivers.list())[0]?.state).toBe('writing')
      expect(await receivers.end(first.id)).toBe(true)
      expect(await receivers.end(first.id)).toBe(false)
      expect(await receivers.note(first.id, 'written')).toBe(false)
      expect(await receivers.findByServer(siteId, 'db' as MachineRef)).toBeNull()
      const next = present(await receivers.assign(assignment(agentId, 'db')), 'it is free again')
      expect(next.epoch).toBeGreaterThan(first.epoch)
    })
    test('of many who come with one token at the same moment one gets in', async () => {
      await invite('i')
      const verdicts = await Promise.all(
        Array.from({ length: 6 }, (_, index) => agents.enrol('hash of i', noon, wanted(`a${index}`))),
      )
      expect(verdicts.filter(({ kind }) => kind === 'enrolled')).toHaveLength(1)
      expect(await agents.list()).toHaveLength(1)
    })
    test('an agent whose answer was lost asks again and gets the same one, unless it was revoked', async () => {
      const first = await enrol('a')
      const again = await agents.enrol('hash of a', noon + 2 * hour, wanted('a', { id: 'b' as AgentId }))
      expect(again).toEqual({ kind: 'repeated', agent: first })
      await agents.revoke(first.id, noon, 'ada')
      expect(await agents.enrol('hash of a', noon, wanted('a'))).toEqual({ kind: 'token-not-valid' })
    })
    test('a second agent on one server is refused and its token stays, until the first is revoked', async () => {
      const first = await enrol('a')
      await invite('i')
      const second = wanted('b', { serverIdentity: first.serverIdentity })
      expect(await agents.enrol('hash of i', noon, second)).toEqual({ kind: 'server-taken', by: first })
      await agents.revoke(first.id, noon, 'ada')
      expect(await agents.enrol('hash of i', noon, second)).toMatchObject({ kind: 'enrolled' })
    })
    test('of several who claim one server at the same moment, each with a token of its own, one gets in', async () => {
      const ids = ['a', 'b', 'c', 'd']
      for (const id of ids) await invite(id)
      const verdicts = await Promise.all(
        ids.map((id) => agents.enrol(`hash of ${id}`, noon, wanted(id, { serverIdentity: 'rack 4' }))),
      )
      const kinds = verdicts.map(({ kind }) => kind).sort()
      expect(kinds).toEqual(['enrolled', 'server-taken', 'server-taken', 'server-taken'])
      expect(await agents.list()).toHaveLength(1)
    })
    test('the hardware of a server changes with a contact that names it, and by the word of a person', async () => {
      const known = { model: 'R740', firmwareId: 'f1', serials: ['s1'], disks: ['d1'] }
      await invite('a')
      const { id } = enrolled(await agents.enrol('hash of a', noon, wanted('a', { hardware: known })))
      const contact = { seenAt: noon, clockSkewMilliseconds: 0 }
      await agents.seen(id, contact)
      expect((await agents.find(id))?.hardware).toEqual(known)
      const grown = { ...known, disks: ['d1', 'd2'] }
      await agents.seen(id, { ...contact, hardware: grown })
      const other = {
        hardware: { ...known, firmwareId: 'f2' },
        hostName: 'db-1',
        why: 'another',
        at: noon + 5,
      }
      await agents.setOtherHardware(id, other)
      expect(await agents.find(id)).toMatchObject({ hardware: grown, otherHardware: other })
      // What a person has seen, and not what has come since.
      expect(await agents.acceptHardware(id, noon + 4)).toBe(false)
      expect(await agents.acceptHardware(id, noon + 5)).toBe(true)
      expect(await agents.find(id)).toMatchObject({ hardware: other.hardware, otherHardware: null })
      expect(await agents.acceptHardware(id, noon + 5)).toBe(false)
      await agents.setOtherHardware(id, other)
      await agents.setOtherHardware(id, null)
      expect((await agents.find(id))?.otherHardware).toBeNull()
    })
    test('an agent is revoked once, and then not allowed any more', async () => {
      const [a, b] = [await enrol('a'), await enrol('b')]
      expect(await agents.revoke(a.id, noon + 1, 'ada')).toBe(true)
      expect(await agents.revoke(a.id, noon + 2, 'bob')).toBe(false)
      expect(await agents.find(a.id)).toEqual({ ...a, revokedAt: noon + 1, revokedBy: 'ada' })
      expect(await agents.allowed([a.id, b.id, 'nobody' as AgentId])).toEqual(new Set([b.id]))
      expect(await agents.allowed([])).toEqual(new Set())
    })
    test('a contact changes what it names only', async () => {
      const agent = await enrol('a')
      const health = {
        bytesPerSecond: 1.5,
        backlog: 0,
        freeBytes: 2 ** 45,
        diskBytes: 2 ** 46,
        memoryBytes: 1,
        upSeconds: 2,
      }
      await agents.seen(agent.id, { seenAt: noon + 1, clockSkewMilliseconds: -3.5e11, health })
      const now = { ...agent, seenAt: noon + 1, clockSkewMilliseconds: -3.5e11, health }
      expect(await agents.find(agent.id)).toEqual(now)
      await agents.seen(agent.id, { seenAt: noon + 2, clockSkewMilliseconds: 0, version: '2' })
      expect(await agents.find(agent.id)).toEqual({
        ...now,
        seenAt: noon + 2,
        clockSkewMilliseconds: 0,
        version: '2',
      })
      await agents.seen('nobody' as AgentId, { seenAt: noon, clockSkewMilliseconds: 0 })
    })
    test('a message is taken once and in its turn, on whichever connection it comes', async () => {
      const { id } = await enrol('a')
      expect(await agents.received(id)).toBe(0)
      expect(await agents.take(id, 2, null)).toBe(false)
      const taken = await Promise.all([1, 1, 1, 1].map((sequence) => agents.take(id, sequence, null)))
      expect(taken.filter(Boolean)).toHaveLength(1)
      expect(await agents.take(id, 2, null)).toBe(true)
      expect(await agents.received(id)).toBe(2)
    })
    test('orders are numbered without gaps, also when many are given at once, and each is answered once', async () => {
      const { id } = await enrol('a')
      await Promise.all(Array.from({ length: 5 }, (_, index) => ask(id, `o${index}`)))
      const open = await agents.open(id, 0)
      expect(open.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
      expect((await agents.open(id, 3)).map(({ sequence }) => sequence)).toEqual([4, 5])
      const order = present(open[1], 'five were given')
      const newer = { ...facts, hostName: 'db-2' }
      expect(await agents.take(id, 1, answerTo(order.id, { kind: 'facts', facts: newer }))).toBe(true)
      expect(await agents.take(id, 2, answerTo(order.id))).toBe(true)
      expect(await agents.findOrder(order.id)).toEqual({
        ...order,
        answeredAt: noon + 1,
        answer: { kind: 'facts', facts: newer },
      })
      expect((await agents.open(id, 0)).map(({ sequence }) => sequence)).toEqual([1, 3, 4, 5])
      expect(await agents.waitedFor()).toEqual(new Set([id]))
      await expect(ask('nobody' as AgentId, 'x')).rejects.toMatchObject({ code: 'agent/not-found' })
    })
    test('an order gets a number that the agent has not seen, whatever was forgotten here', async () => {
      const { id } = await enrol('a')
      await agents.catchUp(id, 7)
      await agents.catchUp(id, 3)
      expect((await ask(id, 'o')).sequence).toBe(8)
    })
    test('an agent cannot answer what another one was asked', async () => {
      const [a, b] = [await enrol('a'), await enrol('b')]
      const order = await ask(a.id, 'o')
      await agents.take(b.id, 1, answerTo(order.id))
      expect(await agents.findOrder(order.id)).toEqual(order)
    })
    test('trimming keeps the newest answer of each kind, and what is younger', async () => {
      const { id } = await enrol('a')
      for (const name of ['o1', 'o2', 'o3']) await ask(id, name)
      await ask(id, 'late', { askedAt: noon + hour })
      await agents.take(id, 1, answerTo('o1' as AgentOrderId))
      await agents.take(id, 2, answerTo('o3' as AgentOrderId))
      expect((await agents.newestAnswers()).map((order) => order.id)).toEqual(['o3'])
      expect(await agents.trim(noon + 1)).toBe(2)
      expect(await agents.findOrder('o3' as AgentOrderId)).not.toBeNull()
      expect((await agents.open(id, 0)).map((order) => order.id)).toEqual(['late'])
      expect(await agents.trim(noon + hour + 1)).toBe(1)
    })
  })
}
