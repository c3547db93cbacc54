import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { runsTypeScript } from './environment.mjs'
import { runChild } from './run-child.mjs'

const module_ = fileURLToPath(new URL('./run-child.mjs', import.meta.url))

describe('a child process', () => {
  test('its exit code is ours', async () => {
    expect(await runChild(process.execPath, ['-e', 'process.exit(7)'])).toBe(7)
  })

  test('a signal that ended it shows in the exit code, as in a shell', async () => {
    expect(await runChild(process.execPath, ['-e', 'process.kill(process.pid, "SIGKILL")'])).toBe(137)
  })

  test('telemetry is off in its environment', async () => {
    const check =
      'process.exit(process.env.DO_NOT_TRACK === "1" && process.env.TURBO_TELEMETRY_DISABLED === "1" ? 0 : 1)'
    expect(await runChild(process.execPath, ['-e', check])).toBe(0)
  })

  test('is ended at its time limit, and that is told apart from its own exit', async () => {
    expect(await runChild(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { limitSeconds: 1 })).toBe(
      124,
    )
  })

  test('is ended by an abort', async () => {
    const abort = AbortSignal.timeout(300)
    expect(await runChild(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { abort })).toBe(143)
  })

  test('a program that is not there is an error', async () => {
    await expect(runChild('no-such-program', [])).rejects.toThrow('ENOENT')
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('hears %s of its launcher and is waited for', async (signal) => {
    const child = `
      process.on('${signal}', () => setTimeout(() => { console.log('closed'); process.exit(3) }, 200))
      setInterval(() => {}, 1000)
      console.log('ready')`
    const launcher = `
      import { runChild } from ${JSON.stringify(module_)}
      process.exitCode = await runChild(process.execPath, ['-e', ${JSON.stringify(child)}], { ownGroup: true })`
    const running = spawn(process.execPath, ['--input-type=module', '-e', launcher], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    for await (const chunk of running.stdout) {
      output += String(chunk)
      if (output === 'ready\n') running.kill(signal)
    }
    if (running.exitCode === null) await once(running, 'exit')
    expect(output).toBe('ready\nclosed\n')
    expect(running.exitCode).toBe(3)
  })
})

test.each([
  ['20.20.2', false],
  ['22.17.9', false],
  ['22.18.0', true],
  ['23.5.0', false],
  ['23.6.0', true],
  ['24.21.0', true],
])('Node %s runs TypeScript as it is: %s', (version, expected) => {
  expect(runsTypeScript(version)).toBe(expected)
})
