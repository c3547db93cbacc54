// kill -9 of server and PostgreSQL in the middle of planned failovers: each one ends, loses nothing, and there is one live copy.
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import type { Job } from '@understudy/contract/job'
import type { RunMachine } from '@understudy/drivers/kvm/runs'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { beforeAll, expect, test } from 'vitest'
import { addressesOf, type LabProduct, pidOf, postgresPid, until, waitForGuest } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
console.log(`seed ${seed} (SEED=${seed} kills at the same moments)`)
const random = seededRandom(seed)

export function failoverCrashTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  beforeAll(async () => {
    ;({ product, id } = lab())
    await waitForGuest(addressesOf(await product.machineAt('a', 'lab-db')))
  })

  const beginFailover = async (): Promise<string> => {
    const path = `/protections/${id}/failover`
    const { jobId } = await product.ask<{ jobId: string }>('POST', path, { kind: 'planned' })
    return jobId
  }

  /** At a moment that the seed decides, after the task has begun. */
  async function untilAt(jobId: string, task: string): Promise<void> {
    await until(`the job is at "${task}"`, 120, async () => {
      const job = await product.ask<Job>('GET', `/jobs/${jobId}`)
      return job.tasks.some(({ name, state }) => name === task && state !== 'pending') ? job : null
    })
    await sleep(random.below(800))
  }

  /** One live copy, and every byte of it. Resolves with the newest record that it found. */
  async function expectFailedOver(source: RunMachine): Promise<number> {
    expect(await pidOf(source)).toBeNull()
    expect(await product.machinesAt('b')).toHaveLength(1)
    const run = present((await product.protection(id)).failover, 'the failover is up')
    expect(await product.differencesTo(source, 'b', run.pointId)).toEqual([])
    const chain = await product.chainOf('b', run.pointId)
    expect(chain).toMatchObject({ ok: true, reason: null })
    const guest = await waitForGuest(run.addresses)
    expect(guest.chain.bootCheck).toBe(`chain ok up to ${chain.newestRecord}`)
    expect(guest.database?.integrity).toBe('ok')
    return chain.newestRecord
  }

  async function expectRolledBack(source: RunMachine, newestRecord: number): Promise<void> {
    await product.finish('POST', `/protections/${id}/roll-back`)
    expect(await product.machinesAt('b')).toEqual([])
    expect((await product.protection(id)).state).toBe('protected')
    await product.nextPoint(id)
    const back = await waitForGuest(addressesOf(source))
    expect(back.chain).toMatchObject({ state: 'ok', bootCheck: `chain ok up to ${newestRecord}` })
  }

  test.each([['Shut down the source machine'], ['Copy the last changes'], ['Boot the replica']])(
    'a planned failover survives kill -9 of the server at "%s" and a second one soon after',
    async (task) => {
      const source = await product.machineAt('a', 'lab-db')
      const jobId = await beginFailover()
      await untilAt(jobId, task)
      await product.kill()
      // As whoever wrote `--lab` into a service file: the lab's machines are looked after again at every start.
      await product.start(['--lab'])
      await sleep(random.below(2000))
      await product.kill()
      await product.start()
      const job = await product.waitForJob(jobId)
      expect(job.failure).toBeNull()
      expect(job.state).toBe('succeeded')
      await expectRolledBack(source, await expectFailedOver(source))
    },
  )

  test('a planned failover survives kill -9 of PostgreSQL', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const jobId = await beginFailover()
    await untilAt(jobId, 'Copy the last changes')
    process.kill(present(await postgresPid(product.home), 'PostgreSQL runs'), 'SIGKILL')
    const job = await product.waitForJob(jobId)
    expect(job.failure).toBeNull()
    expect(job.state).toBe('succeeded')
    await expectRolledBack(source, await expectFailedOver(source))
  })

  test('a replica whose QEMU is killed before its guest answers is told as off, and a roll back leads home', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const jobId = await beginFailover()
    await untilAt(jobId, 'Wait for the guest to answer')
    const [replica] = await product.machinesAt('b')
    process.kill(present(await pidOf(present(replica, 'there is a replica')), 'the replica runs'), 'SIGKILL')
    // Not for as long as a guest may take: who has to decide can, soon.
    const job = await product.waitForJob(jobId)
    expect(job.state).toBe('succeeded')
    expect((await product.protection(id)).state).toBe('failedOver')
    await until('an alert says that it is off', 60, async () =>
      (await product.alerts(id)).find(({ code }) => code === 'failover/replica-off'),
    )
    await product.finish('POST', `/protections/${id}/roll-back`)
    expect(await product.machinesAt('b')).toEqual([])
    await product.nextPoint(id)
    expect((await waitForGuest(addressesOf(source))).chain.state).toBe('ok')
  })

  test('a planned failover whose source is killed before it was shut down loses nothing: it goes on from the disks, or not at all', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const jobId = await beginFailover()
    await until('the source is to be shut down', 120, async () => {
      const { tasks } = await product.ask<Job>('GET', `/jobs/${jobId}`)
      return tasks.find(({ name, state }) => name === 'Shut down the source machine' && state !== 'pending')
    })
    const pid = await pidOf(source)
    if (pid !== null) process.kill(pid, 'SIGKILL')
    const job = await product.waitForJob(jobId)
    if (job.state === 'succeeded') return await expectRolledBack(source, await expectFailedOver(source))
    expect(job.failure?.remedy).not.toBe('')
    expect(await product.machinesAt('b')).toEqual([])
    await product.ask('POST', '/lab')
    await product.nextPoint(id)
    expect((await waitForGuest(addressesOf(source))).chain.state).toBe('ok')
  })
}
