import type { SFTPWrapper } from 'ssh2'
import { expect, test } from 'vitest'
import { sshFiles } from './ssh-files.ts'

const failed = (code: number): Error => Object.assign(new Error('Failure'), { code })
const FAILURE = failed(4)
const MISSING = failed(2)

/** A session that answers reads with `answers` one after the other. */
const reading = (...answers: readonly (Error | Buffer)[]) => {
  const left = [...answers]
  const readFile = (_path: string, done: (failure: Error | null, data?: Buffer) => void): void => {
    const answer = left.shift() ?? new Error('was not to be asked again')
    if (answer instanceof Error) done(answer)
    else done(null, answer)
  }
  return sshFiles(async () => ({ readFile }) as unknown as SFTPWrapper)
}

test('the file of a process that ends while it is read is missing', async () => {
  expect(await reading(FAILURE, MISSING).readFile('/proc/77/stat')).toBeNull()
  await expect(reading(FAILURE, FAILURE).readFile('/proc/77/stat')).rejects.toBe(FAILURE)
})

test('any other file that cannot be read is a failure at once', async () => {
  expect(await reading(MISSING).readFile('/srv/index')).toBeNull()
  await expect(reading(FAILURE, Buffer.from('late')).readFile('/srv/index')).rejects.toBe(FAILURE)
})
