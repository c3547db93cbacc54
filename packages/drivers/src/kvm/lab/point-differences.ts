// For tests only: the oracle for data. A point of a replica against the disks of its machine, byte for byte.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compareDisks } from '@understudy/block/compare'
import type { BlockReader, Extent } from '@understudy/block/device'
import { openFileReader } from '@understudy/block/file-device'
import type { OpenedPoint } from '@understudy/engine/ports/replica-store'
import { diskPath } from '../machine-definition.ts'
import { withMonitor } from '../monitor.ts'
import type { RunMachine } from '../runs.ts'

const run = promisify(execFile)

/**
 * Where a point differs from the machine's disks as they are now, as `<disk> at <offset>, <bytes> bytes`. The machine is off or
 * stands still: QEMU has written everything out then, and its own converter reads the files.
 */
export async function pointDifferences(
  machine: RunMachine,
  { disks }: Pick<OpenedPoint, 'disks'>,
): Promise<readonly string[]> {
  const wanted = machine.definition.disks.map(({ key }) => key)
  const found = disks.map(({ key }) => key)
  if (wanted.join() !== found.join()) return [`disks ${found.join()} instead of ${wanted.join()}`]
  const work = await mkdtemp(join(tmpdir(), 'us-cmp-'))
  try {
    const differing: string[] = []
    for (const [index, disk] of machine.definition.disks.entries()) {
      const raw = join(work, disk.key)
      const source = diskPath(machine.folder, disk)
      await run('qemu-img', ['convert', '-U', '-f', disk.format, '-O', 'raw', source, raw])
      const copy = disks[index]?.reader
      if (!copy) throw new Error(`the point has no disk ${disk.key}`)
      for (const { offset, bytes } of await differences(copy, raw))
        differing.push(`${disk.key} at ${offset}, ${bytes} bytes`)
      await rm(raw)
    }
    return differing
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function differences(copy: BlockReader, rawFile: string): Promise<Extent[]> {
  const original = await openFileReader(rawFile)
  try {
    const found: Extent[] = []
    for await (const extent of compareDisks(copy, original)) found.push(extent)
    return found
  } finally {
    await original.close()
  }
}

/** Holds the guest still, with everything it has written on its disks, while `work` runs. */
export async function whileStandingStill<Result>(
  machine: RunMachine,
  work: () => Promise<Result>,
): Promise<Result> {
  await withMonitor(machine, (qmp) => qmp.execute('stop'))
  try {
    return await work()
  } finally {
    await withMonitor(machine, (qmp) => qmp.execute('cont'))
  }
}
