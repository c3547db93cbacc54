// What the kernel says of its arrays, as files. Kernels without md cannot show it; how they write is in DESIGN.md.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { findRebuilding, untilArraysAreClean } from './arrays.ts'

const disks = new Set(['8:0'])
const atEnd: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of atEnd.splice(0)) await end()
})

async function newArrays(arrays: Readonly<Record<string, Readonly<Record<string, string>>>>) {
  const sys = await mkdtemp(join(tmpdir(), 'understudy-sys-'))
  atEnd.push(() => rm(sys, { recursive: true, force: true }))
  // Whoever reads meanwhile sees the one or the other, as of the kernel.
  const write = async (name: string, file: string, text: string): Promise<void> => {
    const path = join(sys, 'block', name, file)
    await writeFile(`${path}.new`, `${text}\n`)
    await rename(`${path}.new`, path)
  }
  for (const [name, files] of Object.entries(arrays)) {
    await mkdir(join(sys, 'block', name, 'md'), { recursive: true })
    for (const [file, text] of Object.entries(files)) await write(name, file, text)
  }
  return { place: { sys, liesOn: async (device: string) => device === '9:0' }, write }
}

test('an array is waited for until its superblock says that it is clean', async () => {
  const { place, write } = await newArrays({
    md0: { dev: '9:0', 'md/safe_mode_delay': '0.204', 'md/array_state': 'active' },
    md1: { dev: '9:1', 'md/safe_mode_delay': '0.204', 'md/array_state': 'active' },
  })
  let clean = false
  const waiting = untilArraysAreClean(disks, place).then(() => clean)
  await write('md0', 'md/array_state', 'active-idle')
  await write('md0', 'md/array_state', 'write-pending')
  clean = true
  await write('md0', 'md/array_state', 'clean')
  expect(await waiting).toBe(true)
})

test('one that never says so is not waited for longer than for a while, and one that has no delay not at all', async () => {
  const { place, write } = await newArrays({
    md0: { dev: '9:0', 'md/safe_mode_delay': '0.010', 'md/array_state': 'active' },
  })
  const startedAt = performance.now()
  await untilArraysAreClean(disks, place)
  expect(performance.now() - startedAt).toBeGreaterThan(1000)
  await write('md0', 'md/safe_mode_delay', '0.000')
  let looked = false
  const waiting = untilArraysAreClean(disks, place).then(() => looked)
  setTimeout(() => {
    looked = true
  }, 900)
  expect(await waiting).toBe(false)
})

test('one that is rebuilt is named, one that is only read through is not, and others do not matter', async () => {
  const { place, write } = await newArrays({
    md0: { dev: '9:0', 'md/sync_action': 'check' },
    md1: { dev: '9:1', 'md/sync_action': 'recover' },
  })
  expect(await findRebuilding(disks, place)).toBeNull()
  await write('md0', 'md/sync_action', 'recover')
  expect(await findRebuilding(disks, place)).toBe('md0 (recover)')
})
