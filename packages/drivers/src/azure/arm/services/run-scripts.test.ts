// Scripts in machines of the site, through Microsoft's client, at a double that is judged by the published types.
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { beforeEach, expect, test, vi } from 'vitest'
import type { MachineRunner, Resource, ScriptResult } from '../double/double-parts.ts'
import { answers, failureOf, never, type ServiceSite, serviceSite } from './test-services.ts'

type Ran = {
  readonly text: string
  readonly variables: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

let ran: Ran[]
let end: (result: ScriptResult) => void
const agent: NonNullable<MachineRunner['runScript']> = (_machine, { text, variables }, signal) => {
  ran.push({ text, variables, signal })
  return new Promise((resolve) => {
    end = resolve
  })
}

let site: ServiceSite
let machine: MachineRef
const open = async (runScript?: NonNullable<MachineRunner['runScript']>): Promise<void> => {
  ran = []
  site = await serviceSite(runScript)
  machine = await site.addMachine('web', [MiB])
}
beforeEach(() => open(agent))

const script = {
  text: 'echo "$GREETING"',
  variables: { GREETING: 'hunter2' },
  limitSeconds: 300,
  deadline: 1_300_000,
}
const begin = (id = 'attempt-1') => site.services.scripts.begin(id, machine, script, never)
const state = (id = 'attempt-1') => site.services.scripts.state(id, machine, never)
/** Time passes in Azure as it is asked. */
const hasBegun = () =>
  vi.waitFor(async () => {
    await state()
    expect(ran).toHaveLength(1)
  })
const commands = (): readonly Resource[] =>
  site.double.ofType('Microsoft.Compute/virtualMachines/runCommands')
const isPut = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === 'PUT' && path.includes('/runCommands/')

test('a script runs once for an id, however often it is begun, and tells how it ended', async () => {
  await begin()
  await begin()
  expect(ran).toMatchObject([{ text: script.text, variables: script.variables }])
  expect(await state()).toEqual({ kind: 'running' })
  end({ exitCode: 0, output: 'hello', error: 'careful' })
  await vi.waitFor(async () =>
    expect(await state()).toEqual({ kind: 'ended', exitCode: 0, output: 'hello\ncareful' }),
  )
  await begin()
  expect(ran).toHaveLength(1)
  expect(commands()[0]?.properties).toMatchObject({ timeoutInSeconds: 300, asyncExecution: true })
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('values are given in the way in which Azure shows them to nobody', async () => {
  await begin()
  expect(JSON.stringify(commands()[0]?.properties)).not.toContain('hunter2')
})

test.each<[string, ScriptResult, object]>([
  ['an exit code', { exitCode: 3, output: '', error: 'no' }, { kind: 'ended', exitCode: 3, output: 'no' }],
  ['its time being up', { timedOut: true, output: 'still' }, { kind: 'timeout', output: 'still' }],
])('an end by %s is told', async (_what, result, expected) => {
  await begin()
  await hasBegun()
  end(result)
  await vi.waitFor(async () => expect(await state()).toEqual(expected))
})

test('one that is not there is unknown; what is ended is ended in the guest, and ending it twice is fine', async () => {
  expect(await state()).toEqual({ kind: 'unknown' })
  await begin()
  await hasBegun()
  await site.services.scripts.end('attempt-1', machine, never)
  await site.services.scripts.end('attempt-1', machine, never)
  await vi.waitFor(async () => expect(await state()).toEqual({ kind: 'unknown' }))
  expect(ran[0]?.signal.aborted).toBe(true)
})

test('neither a begin nor an end waits for an agent that says nothing', async () => {
  site.failing(({ method }) => method === 'PUT' || method === 'DELETE', { kind: 'work-endless' })
  await begin()
  expect(await state()).toEqual({ kind: 'running' })
  await site.services.scripts.end('attempt-1', machine, never)
  expect(ran).toEqual([])
})

test('two who begin it at different times say the same of it', async () => {
  const bodies: unknown[] = []
  site.double.fault = ({ method, body }) => {
    if (method === 'PUT') bodies.push(body)
    return method === 'PUT' ? { kind: 'no-line' } : null
  }
  await failureOf(begin())
  site.time.now += 20_000
  await failureOf(begin())
  expect(bodies[0]).toMatchObject({ tags: { 'understudy-until': `${1300 + 24 * 3600}` } })
  expect(bodies.every((body) => JSON.stringify(body) === JSON.stringify(bodies[0]))).toBe(true)
})

test('a lost answer begins nothing twice', async () => {
  site.failing(({ method }) => method === 'GET', { kind: 'no-line' }, 20)
  expect(await failureOf(begin())).toMatchObject({ name: 'Outage', code: 'azure/unreachable' })
  site.double.fault = () => null
  await begin()
  // Azure has it, and our life ends before we hear of it.
  await begin()
  expect(ran).toHaveLength(1)
})

test('what Azure could not bring to the guest has failed, with its reason, and is not begun again', async () => {
  site.failing(
    isPut,
    { kind: 'work-fails', code: 'VMExtensionProvisioningError', message: 'the agent is gone' },
    1,
  )
  await begin()
  await vi.waitFor(async () => expect(await state()).toMatchObject({ kind: 'failed' }))
  await begin()
  expect(await state()).toMatchObject({ kind: 'failed' })
  expect(ran).toEqual([])
})

test('a machine that is off is told as that', async () => {
  present(site.machines()[0], 'a machine is there').power = 'stopped'
  expect(await failureOf(begin())).toMatchObject({ name: 'Refusal', code: 'azure/machine-off' })
})

test('an emulated Azure without guests says that it runs nothing', async () => {
  await open()
  const failure = await failureOf(begin())
  expect(failure).toMatchObject({ name: 'Refusal', code: 'azure/not-emulated' })
  expect([commands(), await state()]).toEqual([[], { kind: 'unknown' }])
})

test('an agent that does not report yet is asked again; a right that is missing is named', async () => {
  site.failing(
    isPut,
    answers(409, 'VMAgentStatusCommunicationError', 'has not reported status for VM agent'),
    1,
  )
  expect(await failureOf(begin())).toMatchObject({ name: 'Outage', code: 'azure/agent-silent' })
  site.failing(
    isPut,
    answers(
      403,
      'AuthorizationFailed',
      "does not have authorization to perform action 'Microsoft.Compute/virtualMachines/runCommands/write' over scope '/s'",
    ),
  )
  expect((await failureOf(begin())).remedy).toContain('Microsoft.Compute/virtualMachines/runCommands/write')
})

test('what nobody asks for any more is removed by the next script; what is not ours stays', async () => {
  await begin('old')
  await begin('newer')
  present(commands().at(-1), 'two are there').tags = { owner: 'ada' }
  site.time.now += (300 + 24 * 3600 + 1) * 1000
  await begin('new')
  expect(commands().map(({ name }) => name)).toEqual(['understudy-newer', 'understudy-new'])
})

test('the scripts of a machine go with it', async () => {
  await begin()
  await site.parts.arm.machines.remove('web')
  expect(commands()).toEqual([])
})
