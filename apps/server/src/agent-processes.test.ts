// A real server and real agents as processes of their own, over loopback and through a proxy of ours.
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { AuditEntry } from '@understudy/contract/access'
import type { Agent, AgentInvitation } from '@understudy/contract/agent'
import type { Alert, Event } from '@understudy/contract/event'
import type { Site } from '@understudy/contract/site'
import { openFarLine } from '@understudy/simulator/far-line'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { z } from 'zod'
import { openAgent, type TestAgent } from './lab-tests/agent-process.ts'
import { type LabProduct, openLabProduct, until } from './lab-tests/lab-product.ts'

let product: LabProduct
let site: Site
const agents: TestAgent[] = []
const closers: (() => Promise<void>)[] = []
/** Most of it is processes that start, one after the other. */
const slowly = 500_000

beforeAll(async () => {
  process.env.UNDERSTUDY_AGENT_PORT = String(await freePort())
  product = await openLabProduct({ lab: false })
  await product.signUp()
  const settings = { machines: 0, diskBytes: 16 * 2 ** 20, seed: 1, bootSeconds: 1 }
  site = await product.ask('POST', '/sites', {
    name: 'Harbour',
    platform: 'simulated',
    settings,
    secrets: {},
  })
}, 300_000)
afterAll(async () => {
  for (const each of agents) await each.close()
  for (const close of closers) await close()
  await product?.close()
}, 120_000)

const agent = async (...given: Parameters<typeof openAgent>): Promise<TestAgent> => {
  const opened = await openAgent(...given)
  agents.push(opened)
  return opened
}
const invite = (): Promise<AgentInvitation> =>
  product.ask('POST', `/sites/${site.id}/agent-invitations`, { roles: ['protected-server'] })
const known = async (name: string): Promise<Agent> =>
  present(
    (await product.items<Agent>(`/agents?siteId=${site.id}`)).find((each) => each.name === name),
    `the agent ${name} is known`,
  )
const untilState = (name: string, state: Agent['state']): Promise<Agent> =>
  until(`${name} is ${state}`, 60, async () => {
    const seen = await known(name)
    return seen.state === state && (state !== 'connected' || seen.health) ? seen : null
  })
const audited = async (action: string): Promise<readonly z.infer<typeof AuditEntry>[]> =>
  (await product.items<z.infer<typeof AuditEntry>>('/audit?limit=200')).filter(
    (each) => each.action === action,
  )

test(
  'an agent is enrolled by its command, connects, says how it is, and does what it is asked',
  async () => {
    const one = await agent('db-1')
    const { command } = await invite()
    expect(await one.command(['status'])).toMatchObject({ code: 78 })
    expect(await one.enrol(command)).toMatchObject({ code: 0 })
    expect((await known('db-1')).state).toBe('expected')
    one.run()
    const seen = await untilState('db-1', 'connected')
    expect(seen.roles).toEqual(['protected-server'])
    expect(seen.health?.freeBytes).toBeGreaterThan(0)
    expect(Math.abs(seen.clockSkewSeconds ?? Number.NaN)).toBeLessThan(60)
    await until('it says so itself', 30, async () =>
      (await one.command(['status'])).printed.includes('Connected.') ? true : null,
    )
    await product.ask('POST', `/agents/${seen.id}/look-around`)
    await until('it has answered', 30, async () => ((await known('db-1')).waitsForAnswer ? null : true))
    // The kernel keeps a second one away from the same folder.
    expect(await one.command(['run'])).toMatchObject({
      code: 1,
      printed: expect.stringContaining('runs already'),
    })
    expect(await one.stop()).toBe(0)
  },
  slowly,
)

test(
  'a wrong token, a used one and a wrong fingerprint enrol nobody, and say why',
  async () => {
    const { command } = await invite()
    const token = present(/--token (\S+)/.exec(command)?.[1], 'the command has a token')
    const fingerprint = present(/--fingerprint (\S+)/.exec(command)?.[1], 'the command has a fingerprint')
    const two = await agent('db-2')
    expect(await two.enrol(command.replace(token, 'x'.repeat(token.length)))).toMatchObject({
      code: 1,
      printed: expect.stringContaining('agent/token-not-valid'),
    })
    const wrong = `sha256:${'0'.repeat(64)}`
    expect(await two.enrol(command.replace(fingerprint, wrong))).toMatchObject({
      code: 1,
      printed: expect.stringContaining('agent/wrong-fingerprint'),
    })
    expect(await two.enrol(command)).toMatchObject({ code: 0 })
    const three = await agent('db-3')
    expect(await three.enrol(command)).toMatchObject({
      code: 1,
      printed: expect.stringContaining('agent/token-not-valid'),
    })
    // Another agent on the server of db-2.
    const twin = await agent('db-2')
    expect(await twin.enrol((await invite()).command)).toMatchObject({
      code: 1,
      printed: expect.stringContaining('agent/server-taken'),
    })
    const outcomes = (await audited('agents.enrol')).map(({ outcome, facts }) => facts.problem ?? outcome)
    expect(outcomes.slice(0, 4)).toEqual([
      'agent/server-taken',
      'agent/token-not-valid',
      'accepted',
      'agent/token-not-valid',
    ])
  },
  slowly,
)

test(
  'a copy of an agent is turned away while the agent is there, and people are told',
  async () => {
    const four = await agent('db-4')
    await four.enrol((await invite()).command)
    four.run()
    const { id } = await untilState('db-4', 'connected')
    const copy = await agent('db-4')
    await cp(four.home, copy.home, { recursive: true })
    copy.run()
    await until('the alert is there', 60, async () =>
      (await product.alerts(id)).some(({ code }: Alert) => code === 'agent/claimed-twice') ? true : null,
    )
    expect((await audited('agents.connect'))[0]?.facts).toEqual({ problem: 'agent/claimed-twice' })
    expect((await known('db-4')).state).toBe('connected')
    await copy.kill()

    await product.ask('POST', `/agents/${id}/revoke`)
    // So that nothing starts it again.
    expect(await four.ended()).toBe(78)
    expect(four.printed()).toContain('agent/revoked')
    four.run()
    expect(await four.ended()).toBe(78)
    expect((await known('db-4')).state).toBe('revoked')
  },
  slowly,
)

/** What the kernel shows of the firmware of the agent's server. */
async function setFirmware(one: TestAgent, id: string, mark: string | null): Promise<void> {
  const sysfs = join(one.home, 'sys')
  await mkdir(join(sysfs, 'class/dmi/id'), { recursive: true })
  await mkdir(join(sysfs, 'firmware/dmi/tables'), { recursive: true })
  await writeFile(join(sysfs, 'class/dmi/id/product_uuid'), `${id}\n`)
  const oem = mark === null ? '' : `\x0b\x05\0\0\x01${mark}\0\0`
  await writeFile(join(sysfs, 'firmware/dmi/tables/DMI'), `${oem}\x7f\x04\0\0\0\0`, 'latin1')
}

test(
  'an agent on a copy of its server is not taken for it, rests where we have started the copy, and goes on at home',
  async () => {
    const at = { simulated: { machines: 1, diskBytes: 2 ** 20 } }
    const [home, elsewhere] = ['4c4c4544-0042-3510-8054-b4c04f4b3332', '9fb5d4a5-1c3a-4dd4-9f0e-7d8b1b1f5a21']
    const six = await agent('db-6', at)
    await setFirmware(six, home, null)
    expect(await six.enrol((await invite()).command)).toMatchObject({ code: 0 })
    six.run()
    const { id } = await untilState('db-6', 'connected')
    const copy = await agent('db-6', at)
    await cp(six.home, copy.home, { recursive: true })

    await setFirmware(copy, elsewhere, null)
    copy.run()
    const told = await until(
      'it is told where it comes from',
      60,
      async () => (await known('db-6')).otherHardware,
    )
    expect(told.why).toContain('firmware is another one')
    expect((await product.alerts(id)).map(({ code }: Alert) => code)).toEqual(['agent/other-server'])
    // It does not end, for a supervisor would start it again and again.
    await until('it waits', 30, async () =>
      copy.printed().includes('comes from other hardware') ? true : null,
    )
    expect(await copy.stop()).toBe(0)

    await setFirmware(copy, elsewhere, 'understudy-replica:run-7')
    await rm(join(copy.home, 'simulated'), { recursive: true, force: true })
    const refusals = (await audited('agents.connect')).length
    copy.run()
    const status = await until('it says so', 30, async () => {
      const { printed } = await copy.command(['status'])
      return printed.includes('run-7') ? printed : null
    })
    expect(status).toContain('The agent rests here')
    const enrolment = await copy.enrol((await invite()).command)
    expect(enrolment).toMatchObject({ code: 1, printed: expect.stringContaining('agent/in-a-replica') })
    expect(await audited('agents.connect')).toHaveLength(refusals)
    expect(await copy.stop()).toBe(0)
    expect((await known('db-6')).state).toBe('connected')
    await six.stop()
  },
  slowly,
)

test(
  'through a proxy that cuts, with both sides killed again and again, nothing is lost and nothing counts twice',
  async () => {
    const line = await openFarLine({}, { roundTrip: 20, width: null })
    closers.push(() => line.close())
    const five = await agent('db-5')
    expect(
      await five.enrol((await invite()).command, ['--proxy', `http://${line.host}:${line.port}`]),
    ).toMatchObject({ code: 0 })
    five.run()
    const { id } = await untilState('db-5', 'connected')
    let starts = 1
    const ask = (): Promise<unknown> => product.ask('POST', `/agents/${id}/look-around`)
    const answered = (): Promise<true> =>
      until('everything is answered', 90, async () => ((await known('db-5')).waitsForAnswer ? null : true))
    for (let round = 0; round < 2; round += 1) {
      await ask()
      line.cut()
      await ask()
      await answered()
      await five.kill()
      await ask()
      five.run()
      starts += 1
      await answered()
      await ask()
      await product.kill()
      await five.kill()
      five.run()
      starts += 1
      await product.start()
      await answered()
    }
    await until('every start is told', 60, async () => {
      const events = (await product.events(id)).filter(({ code }: Event) => code === 'agent/started')
      return events.length === starts ? true : null
    })
    expect(line.connections()).toBeGreaterThan(4)
    expect(await five.stop()).toBe(0)
  },
  slowly,
)
