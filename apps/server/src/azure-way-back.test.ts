// From home into Azure and home again, over the engine: a planned failover into the emulated Azure, writes there, the direction turned, and
// a planned fail-back into the original machine. What comes home is what the guest has written since, and every byte is right.
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB, roundDown } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { JobId } from '@understudy/domain/jobs/job'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import { type TestSite, testSite } from '@understudy/drivers/azure/arm/test-site'
import { by, type Lab, newLab } from '@understudy/engine/engine-lab'
import { expectEqual } from '@understudy/simulator/contracts/platform-harness'
import { expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 120_000 })

/** What Azure's clients do takes real time, what the engine waits for passes with the clock of the test. */
async function done(lab: Lab, started: Promise<{ readonly jobId: JobId }>) {
  const { jobId } = await started
  for (let turn = 0; turn < 3000; turn += 1) {
    const job = await lab.job(jobId)
    if (job.state === 'succeeded') return job
    if (job.state !== 'queued' && job.state !== 'running')
      throw new Error(`${job.kind}: ${JSON.stringify(job, null, 1)}`)
    await lab.clock.advance(100)
    await sleep(2)
  }
  throw new Error(`it is not over: ${JSON.stringify(await lab.job(jobId), null, 1)}`)
}

async function pass(lab: Lab, seconds: number): Promise<void> {
  for (let turn = 0; turn < seconds * 2; turn += 1) {
    await lab.clock.advance(500)
    await sleep(2)
  }
}

async function failedOverIntoAzure() {
  const azure = await testSite({
    askService: async () => ({ addresses: [], answered: true, note: 'it answers in the test' }),
  })
  const lab = await newLab({
    config: { answerTimeoutSeconds: 36_000 },
    machine: { disks: [4 * MiB, MiB / 2], writeEveryMilliseconds: 86_400_000 },
  })
  // Content of which most never changes: what is compared is whole disks.
  for (const [key, { bytes }] of lab.machine.disks)
    for (let offset = 65536; offset + 8192 <= bytes; offset += 200 * 1024)
      await lab.machine.write(key, roundDown(offset, 4096), Buffer.alloc(8192, 1 + (offset % 250)))

  Object.assign(lab.b.platform, { source: azure.source, target: azure.target })
  const { protectionId } = await lab.engine.protect({
    by,
    machineId: lab.row.id,
    targetSiteId: lab.siteB.id,
    policyId: lab.policy.id,
    adapters: [
      { adapterKey: 'net0', failoverNetworkId: azure.openSubnet, testNetworkId: azure.closedSubnet },
    ],
    excludedDisks: [],
  })
  await pass(lab, 60)
  const ask = { by, protectionId }
  await done(lab, lab.engine.plannedFailover(ask))
  await pass(lab, 10)
  await done(lab, lab.engine.commit(ask))
  return { azure, lab, ask, protectionId }
}

const contentIn = async (azure: TestSite, ref: MachineRef, key: DiskKey, bytes: number): Promise<Buffer> =>
  await azure.diskOf(ref, key).read(0, bytes)

test('what was written in Azure comes home as a difference, and every byte is right', async () => {
  const { azure, lab, ask, protectionId } = await failedOverIntoAzure()
  const [there] = azure.machines()
  const ref = present(there, 'it runs in Azure').id.toLowerCase() as MachineRef
  const keys = [...lab.machine.disks.keys()]
  const first = present(keys[0], 'a disk')
  const written = [
    [first, MiB, Buffer.alloc(8192, 0xa1)],
    [first, 3 * MiB, Buffer.alloc(4096, 0xa2)],
    [present(keys[1], 'two disks'), 65536, Buffer.alloc(4096, 0xa3)],
  ] as const
  for (const [key, offset, data] of written) await azure.writeToDisk(ref, key, offset, data)

  await done(lab, lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
  expect(await lab.state(protectionId)).toMatchObject({
    state: 'protected',
    direction: 'reverse',
    sourceRef: ref,
  })
  const cycles = (await lab.engine.recoveryPoints(protectionId)).map(({ cycle }) => cycle)
  expect(cycles.slice(0, 2), 'the common point, then what changed since').toEqual(['seed', 'delta'])

  await azure.writeToDisk(ref, first, 2 * MiB, Buffer.alloc(4096, 0xa4))
  const back = await done(lab, lab.engine.failBack({ ...ask, overwriteModified: false }))
  expect(present(azure.machines()[0], 'it is kept').power).toBe('deallocated')
  // Azure's disks are whole MiB: what is behind the end of the original is nothing.
  for (const [key, { bytes }] of lab.machine.disks) {
    const home = await lab.machine.readDisk(key).read(0, bytes)
    expectEqual(home, await contentIn(azure, ref, key, bytes), `disk ${key} at home and in Azure`)
  }
  const note = back.tasks.find(({ name }) => name.startsWith('Restore'))?.note
  expect(note, 'what was written, not the disks').toMatch(/^\d{1,3}(\.\d+)? KiB written$/)
  await lab.engine.stop()
  expect(azure.double.violations).toEqual([])
})
