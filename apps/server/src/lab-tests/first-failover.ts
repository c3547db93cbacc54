// The whole way with real machines: protect, test, fail over, come home. Every step is judged by the bytes.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { Job } from '@understudy/contract/job'
import type { Run } from '@understudy/contract/protection'
import { whileStandingStill } from '@understudy/drivers/kvm/lab/point-differences'
import { diskPath } from '@understudy/drivers/kvm/machine-definition'
import { withMonitor } from '@understudy/drivers/kvm/monitor'
import { beforeAll, expect, test } from 'vitest'
import {
  addressesOf,
  foldersAt,
  isAlive,
  type LabProduct,
  pidOf,
  until,
  waitForGuest,
} from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const run = promisify(execFile)
export function firstFailoverTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  beforeAll(() => {
    ;({ product, id } = lab())
  })

  const failoverRun = async (): Promise<Run> => {
    const { failover } = await product.protection(id)
    return present(failover, 'a failover is up')
  }
  /** The highest record that a guest found on its disks when it booted. */
  const recordAtBoot = (bootCheck: string): number => Number(/^chain ok up to (\d+)$/.exec(bootCheck)?.[1])
  const noteOf = (job: Job, task: string): string => job.tasks.find(({ name }) => name === task)?.note ?? ''

  test('a recovery point equals both disks of the source at its instant, byte for byte', async () => {
    const source = await product.machineAt('a', 'lab-db')
    expect(source.definition.disks.map(({ format }) => format)).toEqual(['qcow2', 'raw'])
    await product.nextPoint(id)
    await whileStandingStill(source, async () => {
      const point = await product.nextPoint(id)
      expect(point.cycle).toBe('delta')
      expect(await product.differencesTo(source, 'b', point.id)).toEqual([])
    })
    const { storedBytes } = await product.protection(id)
    expect(storedBytes).toBeGreaterThan(MiB)
  })

  test('a test failover boots the point apart while replication goes on, and its clean-up leaves nothing', async () => {
    const [point] = await product.points(id)
    const pointId = present(point, 'there is a point').id
    const hashBefore = await product.hashOf('b', pointId)
    const sourceBoot = (await waitForGuest(addressesOf(await product.machineAt('a', 'lab-db')))).boot
    const before = (await product.protection(id)).pointCount

    await product.finish('POST', `/protections/${id}/test-failover`, {
      point: { kind: 'point', id: pointId },
    })
    const up = present((await product.protection(id)).test, 'the test is up')
    const guest = await waitForGuest(up.addresses)
    const newest = (await product.chainOf('b', pointId)).newestRecord
    expect(guest.chain.state).toBe('ok')
    expect(recordAtBoot(guest.chain.bootCheck)).toBe(newest)
    expect(newest).toBeGreaterThan(0)
    expect(guest.database?.integrity).toBe('ok')
    expect(guest.boot).not.toBe(sourceBoot)

    const during = await product.nextPoint(id)
    expect(during.cycle).toBe('delta')
    expect((await product.protection(id)).pointCount).toBeGreaterThan(before)
    const [machine] = await product.machinesAt('b')
    const pid = await pidOf(present(machine, 'the test has a machine'))
    expect(isAlive(present(pid, 'QEMU runs'))).toBe(true)
    // The copy has written to its own disks by now; the point that it reads from has not changed.
    expect(await product.hashOf('b', pointId)).toBe(hashBefore)

    await product.finish('POST', `/protections/${id}/clean-up-test`)
    expect(await foldersAt(product, 'b')).toEqual([])
    expect(isAlive(present(pid, 'QEMU ran'))).toBe(false)
    expect((await product.points(id)).filter(({ held }) => held)).toEqual([])
    expect((await product.protection(id)).test).toBeNull()
    expect(await product.hashOf('b', pointId)).toBe(hashBefore)
  })

  test('a planned failover loses nothing: its point equals the disks of the source, and the guest goes on from there', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.finish('POST', `/protections/${id}/failover`, { kind: 'planned' })
    expect(await pidOf(source)).toBeNull()
    const failover = await failoverRun()
    expect(await product.differencesTo(source, 'b', failover.pointId)).toEqual([])
    const chain = await product.chainOf('b', failover.pointId)
    expect(chain).toMatchObject({ ok: true, reason: null })

    const guest = await waitForGuest(failover.addresses)
    expect(guest.chain.state).toBe('ok')
    expect(recordAtBoot(guest.chain.bootCheck)).toBe(chain.newestRecord)
    expect(guest.database?.integrity).toBe('ok')
  })

  test('a committed machine needs neither journal nor server', async () => {
    await product.finish('POST', `/protections/${id}/commit`)
    expect((await product.protection(id)).state).toBe('committed')
    const machine = await product.machineAt('b', 'lab-db')
    await product.kill()
    try {
      for (const disk of machine.definition.disks) {
        const { stdout } = await run('qemu-img', [
          'info',
          '-U',
          '--output=json',
          diskPath(machine.folder, disk),
        ])
        expect(JSON.parse(stdout)).not.toHaveProperty('backing-filename')
      }
      const nodes = await withMonitor(machine, (qmp) =>
        qmp.execute<readonly { readonly drv: string }[]>('query-named-block-nodes', { flat: true }),
      )
      expect(nodes.filter(({ drv }) => drv === 'nbd')).toEqual([])
      const { chain } = await waitForGuest(addressesOf(machine))
      await until('the guest goes on without us', 60, async () => {
        const now = await waitForGuest(addressesOf(machine))
        return now.chain.state === 'ok' && now.chain.step > chain.step + 5 ? now : null
      })
    } finally {
      await product.start()
    }
  })

  test('reprotect moves only what changed, and the reverse replica equals the disks of the machine', async () => {
    await product.finish('POST', `/protections/${id}/reprotect`, {})
    await until('it is protected in reverse', 60, async () =>
      (await product.protection(id)).state === 'protected' ? true : null,
    )
    expect((await product.protection(id)).direction).toBe('reverse')
    const reverse = (await product.points(id)).toReversed()
    // The first is the common point, copied from replica to replica.
    expect(reverse[0]?.cycle).toBe('seed')
    expect(reverse[1]?.cycle).toBe('delta')
    expect(reverse[1]?.changedBytes).toBeLessThan(48 * MiB)

    const machine = await product.machineAt('b', 'lab-db')
    await whileStandingStill(machine, async () => {
      const point = await product.nextPoint(id)
      expect(await product.differencesTo(machine, 'a', point.id)).toEqual([])
    })
  })

  test('fail back writes only the differences into the original, which goes on where the replica ended', async () => {
    const replica = await product.machineAt('b', 'lab-db')
    const job = await product.finish('POST', `/protections/${id}/fail-back`, {})
    expect(noteOf(job, 'Restore the original machine')).toMatch(/^[\d.]+ (B|KiB|MiB) written$/)
    expect(await pidOf(replica)).toBeNull()
    const { pointId } = await failoverRun()
    expect(await product.differencesTo(replica, 'a', pointId)).toEqual([])
    const guest = await waitForGuest(addressesOf(await product.machineAt('a', 'lab-db')))
    expect(guest.chain.state).toBe('ok')
    expect(recordAtBoot(guest.chain.bootCheck)).toBe((await product.chainOf('a', pointId)).newestRecord)
    expect(guest.database?.integrity).toBe('ok')
  })

  test('after the second reprotect the replica equals the original again: the restore missed no byte', async () => {
    await product.finish('POST', `/protections/${id}/commit`)
    await product.finish('POST', `/protections/${id}/reprotect`, {})
    await until('it is protected forward', 60, async () =>
      (await product.protection(id)).state === 'protected' ? true : null,
    )
    expect((await product.protection(id)).direction).toBe('forward')
    const source = await product.machineAt('a', 'lab-db')
    // The replica is the point that was restored, and on it what the original has tracked since before its first instruction.
    // So a byte that the restore left out would differ here.
    await whileStandingStill(source, async () => {
      const point = await product.nextPoint(id)
      expect(point.cycle).toBe('delta')
      expect(await product.differencesTo(source, 'b', point.id)).toEqual([])
    })
    const cycles = (await product.points(id)).toReversed().map(({ cycle }) => cycle)
    expect(new Set(cycles.slice(1))).toEqual(new Set(['delta']))
  })
}
