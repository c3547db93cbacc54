// The world misbehaves, through Microsoft's own client: throttling, broken lines, sign-ins that do not fit, a container that goes, an
// emulator that is killed and forgets.
import { createHmac } from 'node:crypto'
import {
  type BlobLeaseClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { MiB } from '@understudy/base/bytes'
import { toFailureReport } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts, PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica } from '@understudy/engine/ports/replica-store'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { AzureContainer, AzureSignIn } from './azure-calls.ts'
import { openAzureStore } from './azure-store.ts'
import { checkContainer } from './check-container.ts'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from './emulator/start-azurite.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'

let emulator: Emulator
let containers = 0
beforeAll(async () => {
  emulator = await startEmulator()
})
afterEach(() => {
  emulator.proxy.fault = null
})
afterAll(async () => {
  await emulator.stop()
})

const id = 'replica' as ReplicaId
const a = 'a' as DiskKey
const disks: readonly PointDisk[] = [{ key: a, bytes: MiB }]
const facts: PointFacts = {
  instant: Date.parse('2026-01-01T12:00:00Z'),
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'delta',
}
const clock = { now: () => facts.instant }
const spec = { id, machineName: 'web-1', compress: false, encrypt: false }

const newContainer = (): Promise<AzureContainer> => {
  containers += 1
  return emulator.makeContainer(`trouble-${containers}`)
}

type Opened = { readonly container: AzureContainer; readonly replica: Replica; readonly pauses: number[] }

async function openReplica(container?: AzureContainer, epoch = 1): Promise<Opened> {
  const where = container ?? (await newContainer())
  const pauses: number[] = []
  const pause = async (milliseconds: number): Promise<void> => void pauses.push(milliseconds)
  const store = openAzureStore({ container: where, clock, patience: { pause } })
  await store.createReplica(spec)
  return { container: where, replica: await store.openReplica(id, epoch), pauses }
}

async function writePoint(replica: Replica, writes: readonly [number, Buffer][]): Promise<PointId> {
  const writer = await replica.beginPoint(replica.points().at(-1)?.id ?? null, disks)
  try {
    for (const [offset, data] of writes) await writer.write(a, offset, data)
    return (await writer.seal(facts)).id
  } catch (error) {
    await writer.abort()
    throw error
  }
}

async function contentOf(replica: Replica, point: PointId): Promise<Buffer> {
  const opened = await replica.openPoint(point)
  try {
    return await present(opened.disks[0], 'disk a').reader.read(0, MiB)
  } finally {
    await opened.close()
  }
}

test('broken lines, lost answers and throttling change nothing in what is sealed, and Azure is left alone as long as it asks', async () => {
  const random = seededRandom(1)
  const { replica, pauses } = await openReplica()
  const content = Buffer.alloc(MiB)
  emulator.proxy.fault = ({ count }) => {
    if (count % 11 === 3) return { kind: 'lost-answer' }
    if (count % 13 === 5) return { kind: 'answer', status: 503, name: 'ServerBusy', retryAfterSeconds: 2 }
    return count % 17 === 7 ? { kind: 'reset' } : null
  }
  for (let round = 0; round < 4; round += 1) {
    const writes = Array.from({ length: 6 }, (): [number, Buffer] => [
      random.below(250) * 4096,
      random.bytes(4096),
    ])
    for (const [offset, data] of writes) data.copy(content, offset)
    const point = await writePoint(replica, writes)
    expect((await contentOf(replica, point)).equals(content)).toBe(true)
  }
  expect(Math.max(...pauses)).toBeGreaterThan(1500)
})

test('an account that stays busy is an outage in its own words, and the points are as they were', async () => {
  const { replica } = await openReplica()
  const first = await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  emulator.proxy.fault = ({ method }) =>
    method === 'PUT' ? { kind: 'answer', status: 503, name: 'ServerBusy' } : null
  await expect(writePoint(replica, [[0, Buffer.alloc(4096, 2)]])).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/throttled',
  })
  emulator.proxy.fault = null
  const second = await writePoint(replica, [[0, Buffer.alloc(4096, 3)]])
  expect((await contentOf(replica, first))[0]).toBe(1)
  expect((await contentOf(replica, second))[0]).toBe(3)
})

test('a write that is called off ends at once, and the next point is whole', async () => {
  const { replica } = await openReplica()
  const first = await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  const writer = await replica.beginPoint(first, disks)
  const stop = new AbortController()
  emulator.proxy.fault = () => ({ kind: 'reset' })
  const write = writer.write(a, 0, Buffer.alloc(4096, 2), stop.signal)
  stop.abort()
  await expect(write).rejects.toMatchObject({ name: 'AbortError' })
  await writer.abort()
  emulator.proxy.fault = null
  expect((await contentOf(replica, await writePoint(replica, [])))[0]).toBe(1)
})

const signature = (container: string, permissions: string, hours: number): AzureSignIn => {
  const expiresOn = new Date(Date.now() + hours * 3_600_000)
  const startsOn = new Date(Date.now() - 48 * 3_600_000)
  const token = generateBlobSASQueryParameters(
    {
      containerName: container,
      permissions: ContainerSASPermissions.parse(permissions),
      startsOn,
      expiresOn,
    },
    new StorageSharedKeyCredential(EMULATOR_ACCOUNT, EMULATOR_KEY),
  )
  return { kind: 'signature', token: token.toString() }
}

test('a shared access signature for the container is enough to write points', async () => {
  const container = await newContainer()
  const signIn = signature(container.container, 'racwdl', 1)
  const { replica } = await openReplica({ ...container, signIn })
  await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  const point = await writePoint(replica, [[0, Buffer.alloc(4096, 2)]])
  // Azurite does not know the signature of a container again when a snapshot is asked for, so that is read with the key.
  const { replica: reader } = await openReplica(container, 2)
  expect((await contentOf(reader, point))[0]).toBe(2)
  await expect(replica.expire([], facts.instant)).rejects.toMatchObject({ code: 'replica/newer-writer' })
})

test('a wrong key, an expired signature, a missing permission and a missing container are told apart, each with its remedy', async () => {
  const { container, replica } = await openReplica()
  const first = await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  const key = createHmac('sha256', 'another').update('key').digest('base64')
  const cases: ['outage' | 'refusal', string, AzureContainer][] = [
    [
      'outage',
      'azure/sign-in-refused',
      { ...container, signIn: { kind: 'key', account: EMULATOR_ACCOUNT, key } },
    ],
    [
      'outage',
      'azure/signature-expired',
      { ...container, signIn: signature(container.container, 'racwdl', -1) },
    ],
    [
      'refusal',
      'azure/permission-missing',
      { ...container, signIn: signature(container.container, 'rl', 1) },
    ],
    ['refusal', 'azure/container-missing', { ...container, container: 'nobody-made-this' }],
  ]
  for (const [kind, code, where] of cases) {
    const error: unknown = await openReplica(where, 2).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(toFailureReport(error), code).toMatchObject({ kind, code })
    expect(toFailureReport(error).remedy.length).toBeGreaterThan(30)
  }
  expect((await contentOf(replica, first))[0]).toBe(1)
})

test('a check of the container names what the sign-in may not do, and leaves nothing behind', async () => {
  const container = await newContainer()
  const check = (permissions: string) =>
    checkContainer({ ...container, signIn: signature(container.container, permissions, 1) })
  expect(await checkContainer(container)).toEqual({ missing: [], refusal: null, pageDiff: true })
  expect(await check('racwdl')).toEqual({ missing: [], refusal: null, pageDiff: true })
  expect((await check('rl')).missing).toEqual(['write', 'delete'])
  expect((await check('racwd')).missing).toEqual(['list'])
  expect((await check('acwdl')).missing).toContain('read')
  await expect(checkContainer({ ...container, container: 'nobody-made-this' })).rejects.toMatchObject({
    code: 'azure/container-missing',
  })
  for await (const { name } of emulator.client(container).listBlobsFlat()) throw new Error(`${name} is left`)
})

test('a container that is deleted under a writer is a refusal that says so', async () => {
  const { container, replica } = await openReplica()
  await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  await emulator.client(container).delete()
  await expect(writePoint(replica, [[0, Buffer.alloc(4096, 2)]])).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/container-missing',
  })
})

test('a replica whose container was deleted is removed; one that nobody answers for is not', async () => {
  const { container, replica } = await openReplica()
  await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  const store = openAzureStore({ container, clock, patience: { pause: async () => {}, attempts: 2 } })
  const unproven = [
    {
      answer: { kind: 'answer', status: 409, name: 'ContainerBeingDeleted' },
      code: 'azure/container-missing',
    },
    { answer: { kind: 'answer', status: 404, name: 'ResourceNotFound' }, code: 'azure/container-missing' },
    { answer: { kind: 'answer', status: 403, name: 'AccountIsDisabled' }, code: 'azure/account-disabled' },
    { answer: { kind: 'reset' }, code: 'azure/unreachable' },
  ] as const
  for (const { answer, code } of unproven) {
    emulator.proxy.fault = () => answer
    await expect(store.deleteReplica(id), code).rejects.toMatchObject({ code })
  }
  emulator.proxy.fault = null
  expect(await store.exists(id)).toBe(true)
  await emulator.client(container).delete()
  await store.deleteReplica(id)
})

test.each([
  ['AuthenticationFailed', 'azure/sign-in-refused'],
  ['AuthorizationFailure', 'azure/not-authorized'],
  ['ContainerDisabled', 'azure/container-disabled'],
  ['AccountIsDisabled', 'azure/account-disabled'],
])(
  'a container in use that answers %s is an outage, asked once at a time, and goes on when it is mended',
  async (name, code) => {
    const { replica, pauses } = await openReplica()
    const first = await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
    emulator.proxy.fault = () => ({ kind: 'answer', status: 403, name })
    await expect(writePoint(replica, [[0, Buffer.alloc(4096, 2)]])).rejects.toMatchObject({
      name: 'Outage',
      code,
    })
    expect(pauses).toEqual([])
    emulator.proxy.fault = null
    const second = await writePoint(replica, [[0, Buffer.alloc(4096, 3)]])
    expect((await contentOf(replica, first))[0]).toBe(1)
    expect((await contentOf(replica, second))[0]).toBe(3)
  },
)

test('a clock that is wrong is told in words', async () => {
  const { container, replica } = await openReplica()
  await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  emulator.proxy.fault = () => ({ kind: 'answer', status: 403, name: 'RequestTimeTooSkewed' })
  await expect(openReplica(container, 2)).rejects.toMatchObject({ name: 'Outage', code: 'azure/clock-skew' })
})

test('a lease of somebody else is an outage that says so, and when it has ended replication goes on', async () => {
  const { container, replica, pauses } = await openReplica()
  const first = await writePoint(replica, [[0, Buffer.alloc(4096, 1)]])
  const client = emulator.client(container)
  const leases: BlobLeaseClient[] = []
  for await (const { name } of client.listBlobsFlat())
    if (name.endsWith('.vhd')) leases.push(client.getBlobClient(name).getBlobLeaseClient())
  expect(leases.length).toBe(1)
  for (const lease of leases) await lease.acquireLease(60)
  await expect(writePoint(replica, [[0, Buffer.alloc(4096, 2)]])).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/leased',
    remedy: expect.stringContaining('break the lease'),
  })
  expect(pauses).toEqual([])
  for (const lease of leases) await lease.releaseLease()
  const second = await writePoint(replica, [[0, Buffer.alloc(4096, 3)]])
  expect((await contentOf(replica, first))[0]).toBe(1)
  expect((await contentOf(replica, second))[0]).toBe(3)
})

test('encryption under our own key is refused, because Azure has to boot from what lies there', async () => {
  const store = openAzureStore({ container: await newContainer(), clock })
  await expect(store.createReplica({ ...spec, encrypt: true })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/cannot-encrypt',
  })
})

test('a storage that is killed and forgets the last seconds never gives a wrong point, and replication goes on', async () => {
  const random = seededRandom(2)
  const { container, replica } = await openReplica()
  const content = Buffer.alloc(MiB)
  const known = new Map<PointId, Buffer>()
  const writeSome = async (to: Replica): Promise<void> => {
    const writes = Array.from({ length: 4 }, (): [number, Buffer] => [
      random.below(250) * 4096,
      random.bytes(4096),
    ])
    const next = Buffer.from(content)
    for (const [offset, data] of writes) data.copy(next, offset)
    known.set(await writePoint(to, writes), next)
    next.copy(content)
  }
  for (let round = 0; round < 5; round += 1) await writeSome(replica)
  await emulator.restart('in peace')
  for (let round = 0; round < 3; round += 1) await writeSome(replica)
  // Since the start in peace nothing has been kept, or a part of it.
  await emulator.restart('killed')
  const late = await writeSome(replica).then(
    () => null,
    (error: unknown) => toFailureReport(error),
  )
  if (late !== null) expect(late).toMatchObject({ kind: 'outage', code: 'replica/went-back' })
  const again = (await openReplica(container, 2)).replica
  const there = again.points().map((point) => point.id)
  expect(there.length).toBeGreaterThanOrEqual(5)
  for (const point of there)
    expect((await contentOf(again, point)).equals(present(known.get(point), 'it was sealed')), point).toBe(
      true,
    )
  present(known.get(present(there.at(-1), 'a newest point')), 'it was sealed').copy(content)
  await writeSome(again)
  const [newest, expected] = present([...known].at(-1), 'just sealed')
  expect((await contentOf(again, newest)).equals(expected)).toBe(true)
  expect((await again.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
})
