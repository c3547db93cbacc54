import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { localHost } from '../local-host.ts'
import { endProcess, processOf } from '../power.ts'
import { loadRunMachine } from '../runs.ts'
import { checkKvmSettings } from '../settings.ts'
import { createLab, destroyLab, findLabObstacle } from './lab.ts'

const cacheFolder = fileURLToPath(
  new URL('../../../../../node_modules/.cache/understudy-lab', import.meta.url),
)
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-lab-'))
})
afterEach(async () => {
  await destroyLab({ folder })
  await rm(folder, { recursive: true, force: true })
})

const machineAt = async (name: string) => {
  const machinesFolder = join(folder, 'site-a/machines')
  const machine = await loadRunMachine(localHost({ name: 'a', machinesFolder }), join(machinesFolder, name))
  if (machine === null) throw new Error(`${name} is not there`)
  return machine
}

test('a lab has two sites and two machines that answer; making it again keeps it; destroying it leaves nothing', async () => {
  expect(await findLabObstacle()).toBeNull()
  const lab = await createLab({ folder, cacheFolder })
  for (const { settings } of lab.sites) expect(checkKvmSettings(structuredClone(settings))).toEqual(settings)
  expect(lab.machines.map(({ name }) => name)).toEqual(['lab-web', 'lab-db'])
  for (const { name, addresses } of lab.machines) {
    const status = await (await fetch(`${addresses[0]}/`)).text()
    expect(status, name).toMatch(/lab-|The machine has started/)
  }
  expect(await readdir(join(folder, 'site-b/machines'))).toEqual([])

  // As after a restart of the computer: one runs, one does not.
  const database = await machineAt('lab-db')
  const before = await processOf(await machineAt('lab-web'))
  await endProcess(database)
  expect(await createLab({ folder, cacheFolder })).toEqual(lab)
  expect(await processOf(await machineAt('lab-web'))).toBe(before)
  const after = await processOf(database)
  expect(after).not.toBeNull()

  await destroyLab({ folder })
  const host = localHost({ name: 'a', machinesFolder: folder })
  for (const pid of [before, after]) expect(await host.commandLineOf(pid ?? 0)).toBeNull()
  expect((await readdir(tmpdir())).filter((name) => join(tmpdir(), name) === folder)).toEqual([])
})
