import { spawn } from 'node:child_process'
import path from 'node:path'
import { expect, test } from 'vitest'

/** A process that stops with a word, and does `act` once it runs. */
async function endOf(act: string): Promise<{ readonly code: number | null; readonly said: string[] }> {
  const module = (name: string): string => JSON.stringify(path.join(import.meta.dirname, name))
  const script = `
    import { createLog } from ${module('log.ts')}
    import { processEnd } from ${module('process-end.ts')}
    const end = processEnd(createLog({ logLevel: 'info', logFormat: 'json' }))
    end.stopWith(async () => console.log('{"msg":"stopped"}'))
    setInterval(() => {}, 1000)
    ${act}`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data) => {
    output += String(data)
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  const lines = output.trim().split('\n')
  return { code, said: lines.map((line) => JSON.parse(line) as { msg: string }).map(({ msg }) => msg) }
}

test.each([
  ['a rejection', `Promise.reject(new Error('nobody waits for me'))`, 'unhandledRejection'],
  ['an exception', `setImmediate(() => { throw new Error('nobody catches me') })`, 'uncaughtException'],
])(
  'an %s that nobody handles is told, stops the server in order and ends it with 1',
  async (_, act, name) => {
    const { code, said } = await endOf(act)
    expect(code).toBe(1)
    expect(said.toSorted()).toEqual(['stopped', expect.stringContaining(name)])
  },
)

test('a signal stops the server in order and ends it with 0', async () => {
  expect(await endOf(`process.kill(process.pid, 'SIGTERM')`)).toEqual({ code: 0, said: ['stopped'] })
})
