import { expect, test } from 'vitest'
import { runCommand } from './run-command.ts'

test('a command has its code and what it says', async () => {
  expect(await runCommand('sh', ['-c', 'echo so; echo far >&2; exit 3'])).toEqual({
    code: 3,
    output: 'so\nfar\n',
  })
  await expect(runCommand('/no/such/program', [])).rejects.toMatchObject({ code: 'linux/command-failed' })
})

test('at its deadline it is ended with all that it has started, and again may begin', async () => {
  for (const _ of [1, 2])
    expect(await runCommand('sh', ['-c', 'echo begun; sleep 1000'], { seconds: 1 })).toEqual({
      code: null,
      output: 'begun\n',
    })
})

test('whoever has left its group and keeps its outputs is not waited for', async () => {
  const startedAt = performance.now()
  const { code } = await runCommand('sh', ['-c', 'setsid sleep 60 & exit 0'], { seconds: 1 })
  expect(code).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(45_000)
})

test('who does not want it any more has an end of it', async () => {
  const stop = new AbortController()
  const running = runCommand('sleep', ['1000'], { signal: stop.signal })
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
})
