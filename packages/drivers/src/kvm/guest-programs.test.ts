import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Duplex, PassThrough } from 'node:stream'
import { Outage, Refusal } from '@understudy/base/errors'
import { describe, expect, test } from 'vitest'
import { guestPrograms } from './guest-programs.ts'
import type { MachineLocation } from './monitor.ts'
import { testHost } from './test-host.ts'

type Asked = { readonly execute: string; readonly arguments: Readonly<Record<string, unknown>> }
/** What an agent answers: a value, an error, or nothing at all. */
type Answer = { readonly return: unknown } | { readonly error: { readonly desc: string } } | null

/** A machine whose agent answers as `answer` says, and what it was asked. */
function machineWith(answer: (asked: Asked) => Answer, agentPath: string | null = '/agent') {
  const asked: Asked[] = []
  const machine: MachineLocation = {
    ref: 'm1' as MachineLocation['ref'],
    name: 'alpha',
    host: {
      ...testHost('here', '/nowhere'),
      connect: async () =>
        agentStream((question) => {
          asked.push(question)
          return answer(question)
        }),
    },
    folder: '/nowhere/alpha',
    monitorPath: '/nowhere/alpha/monitor',
    agentPath,
    definition: null,
  }
  return { programs: guestPrograms(async () => machine), asked }
}

function agentStream(answer: (asked: Asked) => Answer): Duplex {
  const toUs = new PassThrough()
  const fromUs = new PassThrough()
  let rest = ''
  fromUs.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const asked = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as Asked
      if (asked.execute === 'guest-sync-delimited') {
        toUs.write(Buffer.from(`\xff{"return": ${asked.arguments.id}}\n`, 'latin1'))
        continue
      }
      const reply = answer(asked)
      if (reply === null) toUs.end()
      else writeInPieces(toUs, Buffer.from(`${JSON.stringify(reply)}\n`))
    }
  })
  return Duplex.from({ readable: toUs, writable: fromUs })
}

/** As a socket would bring it. */
function writeInPieces(stream: PassThrough, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 65_536) stream.write(bytes.subarray(at, at + 65_536))
}

const linux: Answer = { return: { id: 'debian' } }
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const program = { command: '/usr/bin/mount', arguments: ['-o', 'ro; rm'], environment: { STAGE: 'ü' } }

describe('a program in a guest', () => {
  test('is a program and its arguments, with an environment that lets it find others', async () => {
    const { programs, asked } = machineWith(({ execute }) =>
      execute === 'guest-exec' ? { return: { pid: 77 } } : linux,
    )
    expect(await programs.start(program)).toBe(77)
    const exec = asked.find(({ execute }) => execute === 'guest-exec')
    expect(exec?.arguments).toMatchObject({
      path: '/usr/bin/mount',
      arg: ['-o', 'ro; rm'],
      'capture-output': true,
    })
    expect(exec?.arguments.env).toEqual(
      expect.arrayContaining(['STAGE=ü', expect.stringMatching(/^PATH=.*\/sbin/)]),
    )
  })

  test('of Windows gets what Windows cannot do without', async () => {
    const { programs, asked } = machineWith(({ execute }) =>
      execute === 'guest-exec' ? { return: { pid: 1 } } : { return: { id: 'mswindows' } },
    )
    await programs.start(program)
    const exec = asked.find(({ execute }) => execute === 'guest-exec')
    expect(exec?.arguments.env).toContain('SystemRoot=C:\\Windows')
  })

  test('tells its end with both streams, whatever bytes they are', async () => {
    const ends: [Answer, object][] = [
      [{ return: { exited: false } }, { kind: 'running' }],
      [{ return: { exited: true, exitcode: 3 } }, { kind: 'ended', exitCode: 3, output: '' }],
      [
        { return: { exited: true, exitcode: 0, 'out-data': base64('out'), 'err-data': base64('err\n') } },
        { kind: 'ended', exitCode: 0, output: 'out\nerr\n' },
      ],
      [{ return: { exited: true, signal: 9 } }, { kind: 'ended', exitCode: null, output: '' }],
      [
        { return: { exited: true, exitcode: 0, 'out-data': '//79Cmh1bnQ=', 'out-truncated': true } },
        { kind: 'ended', exitCode: 0, output: '���\n[... the guest agent kept no more ...]\n' },
      ],
      [
        { return: { exited: true, exitcode: 0, 'out-data': 'aHVudA==', 'out-truncated': true } },
        { kind: 'ended', exitCode: 0, output: '[... the guest agent kept no more ...]\n' },
      ],
      [{ error: { desc: "Invalid parameter 'pid'" } }, { kind: 'unknown' }],
      [{ error: { desc: 'PID 77 does not exist' } }, { kind: 'unknown' }],
    ]
    for (const [answer, state] of ends) {
      const { programs } = machineWith(() => answer)
      expect(await programs.state(77)).toEqual(state)
    }
  })

  test('that prints megabytes is read in a moment', async () => {
    const much = base64('x'.repeat(7 * 1024 * 1024))
    const { programs } = machineWith(() => ({
      return: { exited: true, exitcode: 0, 'out-data': much, 'err-data': much },
    }))
    const state = await programs.state(77)
    expect(state.kind === 'ended' && state.output.length).toBe(2 * 7 * 1024 * 1024 + 1)
  })

  test('that certainly was not begun is told apart from one that may have been', async () => {
    const refused: [string, string][] = [
      ['The command guest-exec has been disabled for this instance', 'guest-program/not-allowed'],
      ['Command guest-exec has been disabled: the command is not allowed', 'guest-program/not-allowed'],
      ['Failed to execute child process “/x” (No such file or directory)', 'guest-program/not-started'],
    ]
    for (const [desc, code] of refused) {
      const { programs } = machineWith(({ execute }) =>
        execute === 'guest-exec' ? { error: { desc } } : linux,
      )
      const error = await programs.start(program).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(Refusal)
      expect(error).toMatchObject({ code })
    }
    const none = machineWith(() => linux, null)
    await expect(none.programs.start(program)).rejects.toMatchObject({ code: 'guest-program/no-agent' })

    const frozen = 'Command guest-exec has been disabled: the agent is in frozen state'
    const outages: [Answer, Answer, string][] = [
      [null, null, 'guest-program/not-reached'],
      [linux, { error: { desc: frozen } }, 'guest-program/not-reached'],
      [linux, null, 'guest-program/answer-lost'],
    ]
    for (const [info, exec, code] of outages) {
      const { programs } = machineWith(({ execute }) => (execute === 'guest-exec' ? exec : info))
      const error = await programs.start(program).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(Outage)
      expect(error).toMatchObject({ code })
    }
  })

  test('is ended by a program of its guest, and only while it runs', async () => {
    const running = machineWith(({ execute }) =>
      execute === 'guest-exec-status' ? { return: { exited: false } } : linux,
    )
    expect(await running.programs.end(77)).toBe(true)
    expect(running.asked.at(-1)).toMatchObject({
      execute: 'guest-exec',
      arguments: { path: '/bin/sh', arg: ['-c', expect.any(String), 'sh', '77'] },
    })
    const over = machineWith(() => ({ return: { exited: true, exitcode: 0 } }))
    expect(await over.programs.end(77)).toBe(true)
    expect(over.asked.map(({ execute }) => execute)).toEqual(['guest-exec-status'])
    expect(await machineWith(() => null).programs.end(77)).toBe(false)
  })

  test('takes all that it has begun with it, also what made a group of its own', async () => {
    // Beside us, as it would in a guest: the very words that the agent is told.
    const line = 'sleep 600 | timeout 600 sleep 600; sleep 600'
    const child = spawn('/bin/sh', ['-c', line], { stdio: 'ignore', detached: true })
    const pid = child.pid ?? 0
    const left = () => descendantsOf(pid)
    try {
      await expect.poll(async () => (await left()).length, { timeout: 20_000 }).toBe(3)
      const begun = await left()
      const { programs, asked } = machineWith(({ execute }) =>
        execute === 'guest-exec-status' ? { return: { exited: false } } : linux,
      )
      await programs.end(pid)
      const told = asked.at(-1)
      spawn(String(told?.arguments.path), told?.arguments.arg as string[], { stdio: 'ignore' })
      const running = () => [pid, ...begun].filter((one) => existsSync(`/proc/${one}`))
      await expect.poll(running, { timeout: 20_000 }).toEqual([])
    } finally {
      for (const one of [pid, ...(await left())]) if (existsSync(`/proc/${one}`)) process.kill(one, 'SIGKILL')
    }
  })
})

/** As the kernel counts them: whatever they have done with their groups. */
async function descendantsOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const children = text.split(' ').filter(Boolean).map(Number)
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()]
}
