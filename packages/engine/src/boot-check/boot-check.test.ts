import { Outage, Refusal } from '@understudy/base/errors'
import type { BootFacts } from '@understudy/domain/boot-check/boot-facts'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import { expect, test } from 'vitest'
import { type Lab, minute, newProtectedLab } from '../engine-lab.ts'

/** Prepared for Hyper-V in all but its drivers. */
const facts: BootFacts = {
  system: 'linux',
  distribution: { id: 'debian', like: [], name: 'Debian 12' },
  firmware: 'bios',
  runningKernel: '6.1',
  kernels: [
    { version: '6.1', builtIn: [], available: ['hv_netvsc'], initramfs: { kind: 'read', drivers: [] } },
  ],
  commandLine: 'root=UUID=1 console=ttyS0',
  fstab: [],
  crypttab: [],
  namingRules: [],
  interfaces: [
    { writtenFor: 'ifupdown', path: '/i', name: 'eth0', macAddress: null, driver: null, method: 'dhcp' },
  ],
  networkFiles: ['/i'],
  fallbackLoader: null,
  sshServer: true,
  azureAgent: true,
  cloudInit: false,
}
const prepared: BootFacts = {
  ...facts,
  kernels: [
    {
      version: '6.1',
      builtIn: ['hv_vmbus', 'hv_storvsc', 'sd_mod'],
      available: ['hv_netvsc'],
      initramfs: { kind: 'read', drivers: [] },
    },
  ],
}

/** Gives site A a way to ask its machines, and site B hardware; returns how often was asked. */
function withWays(
  lab: Lab,
  ask: (signal?: AbortSignal) => Promise<BootFacts>,
  hardware: PresentedHardware = { kind: 'hyper-v', serialLineOnly: true },
): { asked: number } {
  const count = { asked: 0 }
  Object.assign(lab.a.source, {
    bootFacts: (_: unknown, signal?: AbortSignal) => {
      count.asked += 1
      return ask(signal)
    },
  })
  Object.assign(lab.b.target, { presents: hardware })
  return count
}

const bootCodes = async (lab: Lab, { protectionId }: { protectionId: Parameters<Lab['state']>[0] }) =>
  (await lab.engine.preflightFailover({ protectionId, mode: 'failover' })).filter(({ code }) =>
    code.startsWith('boot/'),
  )

test('a machine is asked by itself, and what it lacks is in the preflight and its readiness long before', async () => {
  const { lab, ask } = await newProtectedLab({
    config: { bootCheckRetrySeconds: 60, bootCheckEverySeconds: 600 },
  })
  const count = withWays(lab, async () => facts)
  await lab.clock.advance(2 * minute)
  expect(count.asked).toBe(1)
  expect(await bootCodes(lab, ask)).toMatchObject([{ level: 'warning', code: 'boot/disk-drivers' }])
  const check = await lab.engine.bootCheck(ask.protectionId)
  expect(check).toMatchObject({
    judged: { system: 'Debian 12', hardware: { kind: 'hyper-v' } },
    trouble: null,
  })
  expect(await lab.events('boot-check/blocker')).toHaveLength(1)
  await lab.clock.advance(11 * minute)
  expect(count.asked).toBe(2)
  // It is told when it becomes so, not at every look.
  expect(await lab.events('boot-check/blocker')).toHaveLength(1)
})

test('once it is prepared, checking again clears the warning', async () => {
  const { lab, ask } = await newProtectedLab()
  let now = facts
  withWays(lab, async () => now)
  await lab.engine.checkBoot(ask)
  expect(await bootCodes(lab, ask)).toHaveLength(1)
  now = prepared
  await lab.engine.checkBoot(ask)
  expect(await bootCodes(lab, ask)).toEqual([])
})

test('what was seen stays when the machine does not answer, with the trouble beside it, and it is asked again soon', async () => {
  const { lab, ask } = await newProtectedLab({ config: { bootCheckRetrySeconds: 60 } })
  let isSilent = false
  const silent = new Outage({ code: 'kvm/agent-silent', message: 'It is silent', remedy: 'Look.' })
  const count = withWays(lab, async () => {
    if (isSilent) throw silent
    return facts
  })
  await lab.engine.checkBoot(ask)
  isSilent = true
  const check = await lab.engine.checkBoot(ask)
  expect(check).toMatchObject({ judged: { system: 'Debian 12' }, trouble: { code: 'kvm/agent-silent' } })
  expect(await bootCodes(lab, ask)).toHaveLength(1)
  isSilent = false
  const before = count.asked
  await lab.clock.advance(2.5 * minute)
  expect(count.asked).toBe(before + 1)
  expect(await lab.engine.bootCheck(ask.protectionId)).toMatchObject({ trouble: null })
})

test('a machine that may not say anything is never called prepared', async () => {
  const { lab, ask } = await newProtectedLab()
  const refused = new Refusal({ code: 'guest-program/no-agent', message: 'No agent', remedy: 'Install one.' })
  withWays(lab, async () => {
    throw refused
  })
  expect(await lab.engine.checkBoot(ask)).toMatchObject({
    judged: null,
    trouble: { code: 'guest-program/no-agent', remedy: 'Install one.' },
  })
})

test('where nobody can be asked the reason is told, and nothing is written down', async () => {
  const { lab, ask } = await newProtectedLab()
  await lab.clock.advance(2 * minute)
  expect(await lab.engine.bootCheck(ask.protectionId)).toMatchObject({
    judged: null,
    trouble: { code: 'boot-check/unknown-hardware' },
  })
  expect(await lab.stores.protections.bootCheck(ask.protectionId)).toBeNull()
})

test('an emulated place is judged as the real one, and holds no failover back', async () => {
  const { lab, ask } = await newProtectedLab()
  withWays(lab, async () => facts, { kind: 'hyper-v', serialLineOnly: true, emulatedOn: 'virtio' })
  const { judged } = await lab.engine.checkBoot(ask)
  expect(judged?.findings.find(({ code }) => code === 'boot/disk-drivers')?.outcome).toBe('blocker')
  expect(await bootCodes(lab, ask)).toEqual([])
})

test('who asks while the machine is asked gets the same answer, and afterwards it is asked anew', async () => {
  const { lab, ask } = await newProtectedLab()
  let answer = (_: BootFacts): void => {}
  const count = withWays(lab, () => new Promise<BootFacts>((resolve) => (answer = resolve)))
  const all = [1, 2, 3].map(() => lab.engine.checkBoot(ask))
  await expect.poll(() => count.asked).toBe(1)
  answer(prepared)
  expect((await Promise.all(all)).map(({ judged }) => judged?.system)).toEqual(Array(3).fill('Debian 12'))
  expect(count.asked).toBe(1)
  const again = lab.engine.checkBoot(ask)
  await expect.poll(() => count.asked).toBe(2)
  answer(prepared)
  await again
})

test('a question of a person ends with the engine', async () => {
  const { lab, ask } = await newProtectedLab()
  let given: AbortSignal | undefined
  const count = withWays(lab, (signal) => {
    given = signal
    return new Promise<BootFacts>(() => {})
  })
  const asked = lab.engine.checkBoot(ask).catch((error: unknown) => error)
  await expect.poll(() => count.asked).toBe(1)
  await lab.engine.stop()
  expect(given?.aborted).toBe(true)
  expect(await asked).toMatchObject({ name: 'AbortError' })
})

test('what was judged for another target says nothing about this one', async () => {
  const { lab, ask } = await newProtectedLab()
  withWays(lab, async () => facts)
  await lab.engine.checkBoot(ask)
  const { sourceSiteId } = await lab.state(ask.protectionId)
  await lab.stores.protections.update(ask.protectionId, { targetSiteId: sourceSiteId })
  expect(await bootCodes(lab, ask)).toEqual([])
})

test('a machine is prepared by an explicit choice for the hardware of its target, is asked again, and what was changed is told', async () => {
  const { lab, ask } = await newProtectedLab()
  let now = facts
  withWays(lab, async () => now, { kind: 'hyper-v', serialLineOnly: true, emulatedOn: 'virtio' })
  expect((await lab.engine.checkBoot(ask)).judged).not.toHaveProperty('prepared')
  await expect(lab.engine.prepareBoot(ask)).rejects.toMatchObject({ code: 'boot-check/by-hand' })
  const done = { at: 1, tool: 'initramfs-tools', drivers: ['hv_storvsc'], changes: ['/boot/initrd.img-6.1'] }
  let left: typeof done | null = null
  const wanted: unknown[] = []
  let finish = (): void => {}
  Object.assign(lab.a.source, {
    findPreparation: async () => left,
    prepareBoot: async (_: unknown, hardware: unknown) => {
      wanted.push(hardware)
      await new Promise<void>((resolve) => (finish = resolve))
      now = prepared
      left = done
      return done
    },
  })
  expect((await lab.engine.checkBoot(ask)).judged).toMatchObject({ prepared: null })
  await lab.engine.prepareBoot(ask)
  await lab.engine.prepareBoot(ask)
  await expect.poll(() => wanted).toEqual([['hyper-v', 'virtio']])
  expect(lab.engine.isPreparingBoot(ask.protectionId)).toBe(true)
  finish()
  await expect.poll(() => lab.engine.isPreparingBoot(ask.protectionId)).toBe(false)
  const { judged } = (await lab.engine.bootCheck(ask.protectionId)) ?? {}
  expect(judged).toMatchObject({ prepared: done })
  expect(judged?.findings.find(({ code }) => code === 'boot/disk-drivers')?.outcome).toBe('passed')
  expect(await lab.events('boot-check/prepared')).toHaveLength(1)
})

test('a preparation that fails is told with its remedy, and what was judged before stays', async () => {
  const { lab, ask } = await newProtectedLab()
  withWays(lab, async () => facts)
  Object.assign(lab.a.source, {
    findPreparation: async () => null,
    prepareBoot: async () => {
      throw new Refusal({ code: 'prepare/no-room', message: 'No room', remedy: 'Make room' })
    },
  })
  await lab.engine.checkBoot(ask)
  await lab.engine.prepareBoot(ask)
  await expect.poll(() => lab.engine.isPreparingBoot(ask.protectionId)).toBe(false)
  expect(await lab.engine.bootCheck(ask.protectionId)).toMatchObject({
    judged: { system: 'Debian 12' },
    trouble: { code: 'prepare/no-room' },
  })
  expect(await lab.events('boot-check/not-prepared')).toHaveLength(1)
})
