// Home to a site that makes no machines: the original, or another computer in its place, runs a rescue system while its disks are written.
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test } from 'vitest'
import { latest, minute, newLab, type Wanted } from '../engine-lab.ts'

/** A server whose site makes no machines has failed over, for good, and is replicated back. */
async function reversedServer(wanted: Wanted = {}) {
  const lab = await newLab(wanted)
  lab.a.makesNoMachines()
  const { protectionId } = await lab.protect()
  await lab.clock.advance(2 * minute)
  expect((await lab.state(protectionId)).state).toBe('protected')
  const ask = { by: 'olga', protectionId }
  lab.machine.powerOff()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
  await lab.clock.advance(minute)
  await lab.done(lab.engine.commit(ask))
  return { lab, protectionId, ask }
}

const turn = { powerOffOriginal: false }
const back = { overwriteModified: false }

describe('a server that no site can make', () => {
  test('is replicated back although nobody can say that it is off, and comes home through a rescue system', async () => {
    const { lab, protectionId, ask } = await reversedServer()
    await lab.done(lab.engine.reprotect({ ...ask, ...turn }))
    await lab.clock.advance(minute)
    expect(await lab.state(protectionId)).toMatchObject({
      state: 'protected',
      direction: 'reverse',
      originalRef: lab.machine.ref,
    })
    const early = await lab.settle(lab.engine.failBack({ ...ask, ...back }))
    expect(early).toMatchObject({ state: 'failed', failure: { code: 'fail-back/no-rescue-system' } })

    lab.a.rescue(lab.machine.ref, true)
    const job = await lab.done(lab.engine.failBack({ ...ask, ...back }))
    expect(lab.machine.power).toBe('running')
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
    expect(lab.b.machines().filter(({ power }) => power === 'running')).toEqual([])
    const names = job.tasks.map(({ name }) => name)
    expect(names.indexOf('Bring the original up to date')).toBeLessThan(
      names.indexOf('Shut down the source machine'),
    )
    expect((await lab.state(protectionId)).state).toBe('failedOver')

    await lab.done(lab.engine.commit(ask))
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    await lab.clock.advance(2 * minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'forward' })
    expect(lab.world.violations).toEqual([])
  })

  test('that runs again is refused a turn: what it writes would be lost without a word', async () => {
    const { lab, ask } = await reversedServer()
    await lab.machine.start()
    await lab.clock.advance(minute)
    const refused = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    expect(refused).toMatchObject({ state: 'failed', failure: { code: 'reprotect/original-runs' } })
  })

  test('gets by far the most while its machine serves elsewhere, and the rest once that is off', async () => {
    const { lab, ask } = await reversedServer({ machine: { disks: [4 * 2 ** 20] } })
    await lab.done(lab.engine.reprotect({ ...ask, ...turn }))
    await lab.clock.advance(minute)
    lab.a.rescue(lab.machine.ref, true)
    // The computer is another one: nothing of it is right.
    for (const [key, disk] of lab.machine.disks) await lab.machine.write(key, 0, Buffer.alloc(disk.bytes, 7))
    const job = await lab.done(lab.engine.failBack({ ...ask, ...back }))
    const noteOf = (name: string) => job.tasks.find((task) => task.name === name)?.note ?? ''
    expect(noteOf('Bring the original up to date')).toMatch(/^4\.0 MiB written/)
    expect(noteOf('Restore the original machine')).toMatch(/KiB written/)
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('whose rescue system was started anew in between is compared whole', async () => {
    const { lab, ask } = await reversedServer()
    await lab.done(lab.engine.reprotect({ ...ask, ...turn }))
    await lab.clock.advance(minute)
    lab.a.rescue(lab.machine.ref, true)
    // What was written ahead is spoilt while the machine shuts down.
    const [key] = lab.machine.disks.keys()
    if (!key) throw new Error('it has a disk')
    // Nobody writes so far out.
    const spoilt = 900 * 1024
    const goOn = lab.b.faults.hang('source.shutDown')
    const started = lab.engine.failBack({ ...ask, ...back })
    const asked = lab.b.faults.calls.get('source.shutDown') ?? 0
    while ((lab.b.faults.calls.get('source.shutDown') ?? 0) === asked) await lab.clock.advance(1000)
    await lab.machine.write(key, spoilt, Buffer.alloc(4096, 9))
    goOn()
    await lab.done(started)
    const [served] = lab.b.machines()
    expect(await lab.machine.disks.get(key)?.read(spoilt, 4096)).toEqual(
      await served?.disks.get(key)?.read(spoilt, 4096),
    )
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('whose disks could not be written ahead leaves the machine that serves untouched', async () => {
    const { lab, protectionId, ask } = await reversedServer()
    await lab.done(lab.engine.reprotect({ ...ask, ...turn }))
    await lab.clock.advance(minute)
    lab.a.rescue(lab.machine.ref, true)
    lab.a.faults.failNext('target.restoreInto', 3)
    const failed = await lab.settle(lab.engine.failBack({ ...ask, ...back }))
    expect(failed.state).toBe('failed')
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    expect(lab.b.machines().filter(({ power }) => power === 'running')).toHaveLength(1)
    await lab.done(lab.engine.failBack({ ...ask, ...back }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('is no place for the replicas of others', async () => {
    const lab = await newLab()
    lab.b.makesNoMachines()
    await expect(lab.protect()).rejects.toMatchObject({ code: 'site/only-its-own' })
  })
})
