// kill -9 of server and PostgreSQL, at moments that the seed decides. Judged by the bytes afterwards.

import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import { whileStandingStill } from '@understudy/drivers/kvm/lab/point-differences'
import type { RunMachine } from '@understudy/drivers/kvm/runs'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { beforeAll, expect, test } from 'vitest'
import { isAlive, type LabProduct, postgresPid, until } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
console.log(`seed ${seed} (SEED=${seed} kills at the same moments)`)
const random = seededRandom(seed)
const moment = (milliseconds: number): Promise<void> => sleep(random.below(milliseconds))

export function crashTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  beforeAll(() => {
    ;({ product, id } = lab())
  })

  const pointIds = async (): Promise<string[]> => (await product.points(id)).map((point) => point.id)

  /** The newest point equals the disks, and the chain over both is whole. */
  async function expectEquality(source: RunMachine): Promise<void> {
    await whileStandingStill(source, async () => {
      const point = await product.nextPoint(id)
      expect(await product.differencesTo(source, 'b', point.id)).toEqual([])
      expect(await product.chainOf('b', point.id)).toMatchObject({ ok: true, reason: null })
    })
  }

  test('kill -9 of the server in mid-cycle loses no point, and replication goes on with a delta', async () => {
    const source = await product.machineAt('a', 'lab-db')
    for (let round = 0; round < 4; round += 1) {
      await product.nextPoint(id)
      const before = await pointIds()
      await moment(1500)
      await product.kill()
      expect(await product.chainOf('b', 'newest')).toMatchObject({ ok: true, reason: null })
      await product.start()
      expect(await pointIds()).toEqual(expect.arrayContaining(before))
    }
    await product.nextPoint(id)
    const cycles = (await product.points(id)).toReversed().map(({ cycle }) => cycle)
    expect(cycles[0]).toBe('seed')
    expect(new Set(cycles.slice(1))).toEqual(new Set(['delta']))
    await expectEquality(source)
  })

  test('kill -9 of PostgreSQL in mid-cycle: it comes back, and so does replication', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const before = await pointIds()
    const pid = present(await postgresPid(product.home), 'PostgreSQL runs')
    await moment(1000)
    process.kill(pid, 'SIGKILL')
    await until('PostgreSQL is another process', 60, async () => {
      const now = await postgresPid(product.home)
      return now !== null && now !== pid && isAlive(now) ? now : null
    })
    await until('the server answers again', 60, () => product.protection(id))
    // By itself: nobody asks for a cycle here.
    await product.nextPoint(id)
    expect(await pointIds()).toEqual(expect.arrayContaining(before))
    await expectEquality(source)
  })
}
