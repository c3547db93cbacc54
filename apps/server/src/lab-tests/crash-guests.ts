// kill -9 of what guests depend on: the server that their replica reads from, and the source's own QEMU.

import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import type { Lab } from '@understudy/contract/overview'
import { whileStandingStill } from '@understudy/drivers/kvm/lab/point-differences'
import type { RunMachine } from '@understudy/drivers/kvm/runs'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { beforeAll, expect, test } from 'vitest'
import { addressesOf, type LabProduct, pidOf, until, waitForGuest } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
console.log(`seed ${seed} (SEED=${seed} kills at the same moments)`)
const random = seededRandom(seed)
const moment = (milliseconds: number): Promise<void> => sleep(random.below(milliseconds))

export function guestCrashTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  beforeAll(() => {
    ;({ product, id } = lab())
  })

  /** The newest point equals the disks, and the chain over both is whole. */
  async function expectEquality(source: RunMachine): Promise<void> {
    await whileStandingStill(source, async () => {
      const point = await product.nextPoint(id)
      expect(await product.differencesTo(source, 'b', point.id)).toEqual([])
      expect(await product.chainOf('b', point.id)).toMatchObject({ ok: true, reason: null })
    })
  }

  test('a guest that runs from the journal waits while the server is dead, and goes on when it is back', async () => {
    await product.finish('POST', `/protections/${id}/test-failover`, {})
    const { addresses } = present((await product.protection(id)).test, 'the test is up')
    const before = await waitForGuest(addresses)
    const [machine] = await product.machinesAt('b')
    const pid = await pidOf(present(machine, 'the test has a machine'))
    await moment(1000)
    await product.kill()
    // Long enough for reads to fail and be retried at QEMU's side.
    await sleep(5000)
    await product.start()
    const after = await until('the guest writes again', 90, async () => {
      const now = await waitForGuest(addresses)
      return now.chain.step > before.chain.step + 10 &&
        (now.database?.rows ?? 0) > (before.database?.rows ?? 0) + 2
        ? now
        : null
    })
    expect(after.boot).toBe(before.boot)
    expect(after.chain.state).toBe('ok')
    expect(after.database?.integrity).toBe('ok')
    expect(await pidOf(present(machine, 'the test has a machine'))).toBe(pid)
    await product.finish('POST', `/protections/${id}/clean-up-test`)
    expect(await product.machinesAt('b')).toEqual([])
  })

  test('kill -9 of the source’s QEMU: tracking is lost, the reason is shown, and a comparison finds every byte', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.nextPoint(id)
    await moment(1000)
    process.kill(present(await pidOf(source), 'the source runs'), 'SIGKILL')
    // Replication says what is wrong while the machine is off.
    const [outage] = await until('the outage is an alert', 60, async () => {
      const open = await product.alerts(id)
      return open.length > 0 ? open : null
    })
    expect(outage?.remedy).not.toBe('')
    await product.ask('POST', '/lab')
    await until('the machine runs again', 120, async () => {
      const { state } = await product.ask<Lab>('GET', '/lab')
      return state === 'ready' && (await pidOf(source)) !== null ? true : null
    })
    const guest = await waitForGuest(addressesOf(source))
    expect(guest.chain.state).toBe('ok')
    // It would be tried again within a minute by itself; an operator does not wait.
    await product.ask('POST', `/protections/${id}/replicate-now`)
    await product.nextPoint(id)
    const resync = (await product.points(id)).find(({ cycle }) => cycle === 'resync')
    expect(resync).toBeDefined()
    const told = (await product.events(id)).find(({ message }) => message.startsWith('Resynchronising'))
    expect(told?.message).toMatch(/QEMU ended/)
    await expectEquality(source)
    await until('the alert is resolved', 30, async () =>
      (await product.alerts(id)).length === 0 ? true : null,
    )
  })
}
