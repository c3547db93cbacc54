import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GiB, KiB, MiB, TiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import { emptyQcow2, scratchLimitBytes } from './scratch.ts'

test.each([512, 64 * KiB, 3 * GiB + 512, 9 * TiB])(
  'qemu-img finds an empty image of %d bytes without a fault',
  async (bytes) => {
    const folder = await mkdtemp(join(tmpdir(), 'us-'))
    const path = join(folder, 'scratch.qcow2')
    await localHost({ name: 'here', machinesFolder: folder }).createSparseFile(
      path,
      4 * MiB,
      emptyQcow2(bytes),
    )
    const info = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' }))
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': bytes })
    expect(execFileSync('qemu-img', ['check', path], { encoding: 'utf8' })).toContain('No errors')
    await rm(folder, { recursive: true })
  },
)

test('scratch files together take at most half of what is free, and none is begun on a full file system', () => {
  expect(scratchLimitBytes(100 * GiB, 2, 40 * GiB)).toBe(10 * GiB)
  expect(scratchLimitBytes(10 * MiB, 2, 40 * GiB)).toBeLessThan(13 * MiB)
  expect(scratchLimitBytes(10 * MiB, 2, 40 * GiB)).toBeGreaterThan(10 * MiB)
  expect(scratchLimitBytes(10 * MiB, 2, 4 * MiB)).toBe(null)
})
