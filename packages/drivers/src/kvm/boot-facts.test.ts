import { Duplex, PassThrough } from 'node:stream'
import { toFailureReport } from '@understudy/base/errors'
import { expect, test } from 'vitest'
import { readBootFacts } from './boot-facts.ts'
import type { MachineLocation } from './monitor.ts'
import { testHost } from './test-host.ts'

type Asked = { readonly execute: string; readonly arguments: Readonly<Record<string, unknown>> }

/** A guest whose agent runs whatever it is asked to, which prints `output` after some looks. */
function guestThatPrints(
  output: string,
  { system = 'debian', agentPath = '/agent' as string | null, looks = 2, lost = false } = {},
) {
  const asked: Asked[] = []
  const answer = ({ execute }: Asked): unknown => {
    if (execute === 'guest-get-osinfo') return { return: { id: system } }
    if (execute === 'guest-exec') return { return: { pid: 7 } }
    if (lost) return { error: { desc: "Invalid parameter 'pid'" } }
    looks -= 1
    if (looks > 0) return { return: { exited: false } }
    return { return: { exited: true, exitcode: 0, 'out-data': Buffer.from(output).toString('base64') } }
  }
  const connect = async (): Promise<Duplex> => {
    const toUs = new PassThrough()
    const fromUs = new PassThrough()
    fromUs.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString('latin1').replaceAll('\xff', '').split('\n')) {
        if (line === '') continue
        const question = JSON.parse(line) as Asked
        if (question.execute === 'guest-sync-delimited')
          toUs.write(Buffer.from(`\xff{"return": ${question.arguments.id}}\n`, 'latin1'))
        else {
          asked.push(question)
          toUs.write(`${JSON.stringify(answer(question))}\n`)
        }
      }
    })
    return Duplex.from({ readable: toUs, writable: fromUs })
  }
  const machine: MachineLocation = {
    ref: 'm1' as MachineLocation['ref'],
    name: 'alpha',
    host: { ...testHost('here', '/nowhere'), connect },
    folder: '/nowhere/alpha',
    monitorPath: '/nowhere/alpha/monitor',
    agentPath,
    definition: null,
  }
  return { find: async () => machine, asked }
}

const linux = '==understudy-boot-facts 1\n==kernel\n 6.1.0\n==firmware\n uefi\n==end\n'

test('a Linux guest is asked by a shell, and waited for until it has ended', async () => {
  const { find, asked } = guestThatPrints(linux, { looks: 3 })
  expect(await readBootFacts(find)).toMatchObject({
    system: 'linux',
    runningKernel: '6.1.0',
    firmware: 'uefi',
  })
  expect(asked.find(({ execute }) => execute === 'guest-exec')?.arguments).toMatchObject({ path: '/bin/sh' })
  expect(asked.filter(({ execute }) => execute === 'guest-exec-status')).toHaveLength(3)
})

test('a Windows guest is asked by PowerShell, in a form in which no quote is lost', async () => {
  const { find, asked } = guestThatPrints('understudy-boot-facts 1\r\nname=Windows\r\nend\r\n#< CLIXML\r\n', {
    system: 'mswindows',
  })
  expect(await readBootFacts(find)).toMatchObject({ system: 'windows', name: 'Windows' })
  const [program] = asked.filter(({ execute }) => execute === 'guest-exec')
  expect(program?.arguments.path).toBe('powershell.exe')
  const words = program?.arguments.arg
  const script = Array.isArray(words) ? String(words.at(-1)) : ''
  expect(Buffer.from(script, 'base64').toString('utf16le')).toContain('fDenyTSConnections')
})

test('half an answer is none', async () => {
  const { find } = guestThatPrints(linux.slice(0, -8))
  await expect(readBootFacts(find)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'boot-check/not-understood',
  })
})

test('what a broken answer holds is told to nobody', async () => {
  const { find } = guestThatPrints('==understudy-boot-facts 1\n==network /a\n key=swordfish\n')
  const error: unknown = await readBootFacts(find).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'boot-check/not-understood' })
  expect(JSON.stringify(toFailureReport(error))).not.toContain('swordfish')
})

test('a guest that was started anew meanwhile is asked again later', async () => {
  const { find } = guestThatPrints(linux, { lost: true })
  await expect(readBootFacts(find)).rejects.toMatchObject({ name: 'Outage', code: 'boot-check/started-anew' })
})

test('without an agent nothing is known, and what to do is said', async () => {
  const { find } = guestThatPrints(linux, { agentPath: null })
  await expect(readBootFacts(find)).rejects.toMatchObject({ name: 'Refusal', code: 'guest-program/no-agent' })
})
