import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { expect, test } from 'vitest'
import { openJournalStore } from './journal-store.ts'

test('smoke', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-journal-'))
  const store = openJournalStore({ folder, clock: { now: () => Date.now() }, limits: {} })
  const id = 'r1' as ReplicaId,
    a = 'a' as DiskKey
  await store.createReplica({ id, machineName: 'm', compress: true, encrypt: false })
  const r = await store.openReplica(id, 1)
  const w = await r.beginPoint(null, [{ key: a, bytes: 1 << 20 }])
  await w.write(a, 4096, Buffer.alloc(8192, 7))
  const p = await w.seal({
    instant: 1,
    consistency: 'crash',
    consistencyNote: null,
    checkpoint: 'x',
    cycle: 'seed',
  })
  const o = await r.openPoint(p.id)
  const got = await o.disks[0]?.reader.read(0, 1 << 20)
  const want = Buffer.alloc(1 << 20)
  want.fill(7, 4096, 4096 + 8192)
  expect(got?.equals(want)).toBe(true)
  await o.close()
  await r.close()
  const again = await store.openReplica(id, 2)
  expect(again.points()).toEqual([p])
  await again.close()
  await rm(folder, { recursive: true })
})
