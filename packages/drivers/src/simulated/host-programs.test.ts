import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SiteId } from '@understudy/domain/sites/site'
import { hostProgram } from '@understudy/simulator/contracts/host-programs-contract'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSimulatedPlatform } from './platform.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-simulated-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const day = 24 * 60 * 60 * 1000

test('what a program left is removed eight days after its end, when another one is begun', async () => {
  const clock = virtualClock()
  const site = { id: 'site-a' as SiteId, settings: { machines: 0 } }
  const { hostPrograms } = openSimulatedPlatform(site, {}, { folder, clock, sleep: clock.sleep })
  const programs = join(folder, 'site-a', 'programs')
  await hostPrograms.begin('kept', hostProgram('echo', ['once']))
  await hostPrograms.begin('ended', hostProgram('sleep', ['30']))
  await hostPrograms.end('ended')
  await hostPrograms.begin('forgotten', hostProgram('echo', ['once']))
  await clock.advance(1000)
  await hostPrograms.forget('forgotten')
  await writeFile(join(programs, 'half.json'), 'forgo')
  expect(await hostPrograms.state('half')).toEqual({ kind: 'lost', pid: null })
  await clock.advance(7 * day)
  await hostPrograms.begin('later', hostProgram('echo', ['once']))
  expect(await hostPrograms.state('kept')).toMatchObject({ kind: 'ended', exitCode: 0 })
  expect(await hostPrograms.state('forgotten')).toEqual({ kind: 'lost', pid: null })
  await clock.advance(1.1 * day)
  await hostPrograms.begin('last', hostProgram('echo', ['once']))
  expect((await readdir(programs)).toSorted()).toEqual(['last.json', 'later.json'])
})
