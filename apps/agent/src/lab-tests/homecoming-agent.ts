// For tests only, in the place of the agent of the rescue system: the first disk is written with what the server that it was told of gives, and finished.
// Tells that server what was changed, waits for its word, and restarts the computer from its disk.
import { open } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { finishDisks } from '@understudy/drivers/linux/homecoming/finish-disks'
import { restartServer } from '@understudy/drivers/linux/homecoming/restart-server'

const text = { type: 'string' } as const
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { server: text, token: text, fingerprint: text, home: text },
})
const { server = '' } = values
const DISK = '/dev/vda'

const tell = async (path: string, what: unknown): Promise<void> => {
  await (await fetch(`${server}/${path}`, { method: 'POST', body: JSON.stringify(what) })).text()
}

const asTold = (error: unknown): unknown =>
  error instanceof Error ? { ...error, message: error.message, stack: error.stack } : String(error)

async function comeHome(): Promise<void> {
  // Whoever gives the disk gives it when nobody has to look at the computer as it was any more.
  const { body } = await fetch(`${server}/disk`, {
    headers: { asked: positionals.join(' '), token: values.token ?? '' },
  })
  if (body === null) throw new Error('Nothing was given')
  const disk = await open(DISK, 'r+')
  let at = 0
  for await (const piece of body) {
    await disk.write(piece, 0, piece.length, at)
    at += piece.length
  }
  await disk.sync()
  await disk.close()
  const { changes } = await finishDisks({ disks: [{ path: DISK, bytes: at }] })
  await tell('finished', changes)
  await restartServer()
}

await comeHome().catch((error: unknown) => tell('failed', asTold(error)))
