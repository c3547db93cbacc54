import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import { machineDirectory } from './machine-directory.ts'

test('a machines folder that is not there is an outage, not a site without machines', async () => {
  const home = await mkdtemp(join(tmpdir(), 'us-dir-'))
  try {
    const machinesFolder = join(home, 'machines')
    await mkdir(machinesFolder)
    const directory = machineDirectory([localHost({ name: 'here', machinesFolder })], () => undefined)
    expect(await directory.all()).toEqual([])
    await expect(directory.find('nobody' as MachineRef)).rejects.toMatchObject({
      name: 'Refusal',
      code: 'source/no-such-machine',
    })
    await rename(machinesFolder, join(home, 'away'))
    const missing = { name: 'Outage', code: 'kvm/machines-folder-missing' }
    await expect(directory.all()).rejects.toMatchObject(missing)
    await expect(directory.find('nobody' as MachineRef)).rejects.toMatchObject(missing)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})
