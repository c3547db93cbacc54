import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const launcher = `
  import { runChild } from ${JSON.stringify(fileURLToPath(new URL('./run-child.mjs', import.meta.url)))}
  import { whenAbandoned } from ${JSON.stringify(fileURLToPath(new URL('./abandoned.mjs', import.meta.url)))}
  const child = "process.on('SIGTERM', () => { console.log('closed'); process.exit(0) }); setTimeout(() => process.exit(1), 10000); console.log('ready')"
  await runChild(process.execPath, ['-e', child], { ownGroup: true, abort: whenAbandoned(0.05) })`

test('the server is closed when npm is killed above its launcher', async () => {
  // A shell between us and the launcher, as npm has one; "wait" keeps it from turning into the launcher.
  const shell = spawn('sh', ['-c', '"$0" --input-type=module -e "$1" & wait', process.execPath, launcher], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, npm_lifecycle_event: 'start' },
  })
  let output = ''
  // The pipe ends when the last process that holds it has ended: shell, launcher and server.
  for await (const chunk of shell.stdout) {
    output += String(chunk)
    if (output === 'ready\n') shell.kill('SIGTERM')
  }
  expect(output).toBe('ready\nclosed\n')
})
