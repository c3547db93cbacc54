import type { BlockReader } from '@understudy/block/device'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { expect, test } from 'vitest'
import type { SourceDisk } from '../ports/source-platform.ts'
import { openFarRequests } from './far-requests.ts'
import { copyDisks } from './run-cycle.ts'

test('what is near gets none, what is far as many as its way is long, and all together no more than there are', () => {
  const far = openFarRequests(100)
  expect(far.take(0).requests).toBe(0)
  expect(far.take(2).requests).toBe(0)
  const first = far.take(20)
  expect(first.requests).toBe(20)
  const taken = [first, ...Array.from({ length: 20 }, () => far.take(500))]
  expect(taken[1]?.requests).toBe(40)
  const sum = () => taken.reduce((all, { requests }) => all + requests, 0)
  expect(sum()).toBe(100)
  expect(taken.at(-1)?.requests).toBe(0)
  for (const each of taken) {
    each.giveBack()
    // Repeated by whoever fails: it is not given back twice.
    each.giveBack()
  }
  expect(far.take(500).requests).toBe(48)
})

test.each([
  { latencyMilliseconds: 0, most: 2 },
  { latencyMilliseconds: 50, most: 50 },
])(
  'a disk $latencyMilliseconds ms away is read with $most requests under way',
  async ({ latencyMilliseconds, most }) => {
    const clock = virtualClock()
    const { replicas } = fakeWorld(clock).addSite('a')
    const replicaId = 'r' as ReplicaId
    await replicas.createReplica({ id: replicaId, machineName: 'web', compress: false, encrypt: false })
    const replica = await replicas.openReplica(replicaId, 1)
    let underWay = 0
    let seen = 0
    const reader: BlockReader = {
      bytes: 2 ** 20,
      async read(_offset, bytes) {
        underWay += 1
        seen = Math.max(seen, underWay)
        await new Promise((resolve) => setImmediate(resolve))
        underWay -= 1
        return Buffer.alloc(bytes, 1)
      },
      close: async () => {},
    }
    const key = 'disk0' as SourceDisk['key']
    const disk = {
      key,
      bytes: reader.bytes,
      reader,
      latencyMilliseconds,
      async *changed() {
        yield { offset: 0, bytes: reader.bytes, kind: 'data' as const }
      },
    }
    const farRequests = openFarRequests(1000)
    const writer = await replica.beginPoint(null, [{ key, bytes: reader.bytes }])
    await copyDisks({
      replica,
      writer,
      disks: [disk],
      plan: { kind: 'seed', since: null, reason: { code: 'x', message: 'x' } },
      limits: [],
      config: { requestBytes: 4096, requestsInFlight: 2, firstCopyKeepBytes: 2 ** 30 },
      farRequests,
      signal: new AbortController().signal,
      onProgress: () => {},
    })
    await writer.abort()
    expect(seen).toBe(most)
    // And all of them are there again.
    expect(farRequests.take(1000).requests).toBe(48)
  },
)
