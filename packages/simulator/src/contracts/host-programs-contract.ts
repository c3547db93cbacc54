// What every host that runs programs for the steps of plans must do.
import { randomUUID } from 'node:crypto'
import type { HostProgram, HostProgramState, HostPrograms } from '@understudy/engine/ports/host-programs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

export type HostProgramsHarness = {
  readonly programs: HostPrograms
  /** Our own process dies and comes back. */
  reopen(): Promise<HostPrograms>
  /** Lets time pass: virtual, or real. */
  pass(milliseconds: number): Promise<void>
  close(): Promise<void>
}

export const hostProgram = (
  command: string,
  args: readonly string[] = [],
  more: Partial<HostProgram> = {},
): HostProgram => ({
  command,
  arguments: args,
  environment: {},
  contextFile: null,
  limitMilliseconds: 60_000,
  keepBytes: { head: 1000, tail: 1000 },
  ...more,
})

export async function endOf(
  { pass }: Pick<HostProgramsHarness, 'pass'>,
  programs: HostPrograms,
  id: string,
): Promise<Exclude<HostProgramState, { kind: 'running' }>> {
  for (let looks = 0; looks < 300; looks += 1) {
    const state = await programs.state(id)
    if (state.kind !== 'running') return state
    await pass(100)
  }
  throw new Error('it did not end')
}

export function hostProgramsContract(name: string, make: () => Promise<HostProgramsHarness>): void {
  describe(`host programs: ${name}`, () => {
    let harness: HostProgramsHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })

    test('a program that was not begun is unknown, and is not ended', async () => {
      const id = randomUUID()
      expect(await harness.programs.state(id)).toEqual({ kind: 'unknown' })
      await harness.programs.end(id)
      await harness.programs.forget(id)
    })

    test('how it ended and what it printed is found, also by who comes later', async () => {
      const { programs } = harness
      const [well, badly] = [randomUUID(), randomUUID()]
      await programs.begin(well, hostProgram('echo', ['two words', '$HOME']))
      await programs.begin(badly, hostProgram('false'))
      const end = await endOf(harness, programs, well)
      expect(end).toMatchObject({ kind: 'ended', exitCode: 0, signal: null, endedBy: 'itself' })
      expect(end.kind === 'ended' && end.head.toString()).toContain('two words $HOME\n')
      expect(await endOf(harness, programs, badly)).toMatchObject({ kind: 'ended', exitCode: 1 })
      expect(await (await harness.reopen()).state(well)).toEqual(end)
    })

    test('one that is begun again, by several at a time, is begun once', async () => {
      const { programs } = harness
      const id = randomUUID()
      const first = hostProgram('sleep', ['1'])
      await Promise.all([1, 2, 3].map(() => programs.begin(id, first)))
      const again = await harness.reopen()
      await again.begin(id, hostProgram('false'))
      expect(await endOf(harness, again, id)).toMatchObject({ kind: 'ended', exitCode: 0 })
    })

    test('one that outlives its time is ended there', async () => {
      const id = randomUUID()
      await harness.programs.begin(id, hostProgram('sleep', ['30'], { limitMilliseconds: 500 }))
      expect(await harness.programs.state(id)).toEqual({ kind: 'running' })
      expect(await endOf(harness, harness.programs, id)).toMatchObject({
        kind: 'ended',
        endedBy: 'timeout',
        exitCode: null,
      })
    })

    test('one that is ended has ended', async () => {
      const id = randomUUID()
      await harness.programs.begin(id, hostProgram('sleep', ['30']))
      await harness.programs.end(id)
      expect(await harness.programs.state(id)).toMatchObject({ kind: 'ended', endedBy: 'abort' })
    })

    test('one that is forgotten is not begun anew', async () => {
      const id = randomUUID()
      await harness.programs.begin(id, hostProgram('echo', ['once']))
      await endOf(harness, harness.programs, id)
      await harness.programs.forget(id)
      await harness.programs.begin(id, hostProgram('echo', ['twice']))
      await harness.programs.end(id)
      expect(await harness.programs.state(id)).toEqual({ kind: 'lost', pid: null })
    })

    test('one that cannot be found there has never begun', async () => {
      const id = randomUUID()
      await harness.programs.begin(id, hostProgram('no-such-program-anywhere'))
      expect(await endOf(harness, harness.programs, id)).toMatchObject({
        kind: 'ended',
        exitCode: null,
        notStarted: 'ENOENT',
      })
    })
  })
}
