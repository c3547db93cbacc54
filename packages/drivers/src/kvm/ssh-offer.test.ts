import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'ssh2'
import { expect, test } from 'vitest'
import { offerSocket } from './ssh-offer.ts'

/** A connection that grants every forward. */
function fakeClient(): Client {
  const client = Object.assign(new EventEmitter(), {
    openssh_forwardInStreamLocal: (_path: string, done: () => void) => done(),
    openssh_unforwardInStreamLocal: (_path: string, done: () => void) => done(),
  })
  return client as unknown as Client
}

test('an offer comes back with the connection, and says that it is lost when that stays away', async () => {
  const clients = [fakeClient(), fakeClient()]
  let next = 0
  const offer = await offerSocket(
    {
      client: async () => {
        const client = clients[next++]
        if (client === undefined) throw new Error('the host is away')
        return client
      },
      removeFile: async () => undefined,
      attempts: 3,
      againMilliseconds: 1,
    },
    '/here.sock',
    '/there.sock',
  )
  clients[0]?.emit('close')
  await sleep(20)
  expect(next).toBe(2)
  expect(offer.isLost()).toBe(false)
  clients[1]?.emit('close')
  await expect.poll(() => offer.isLost()).toBe(true)
  await offer.close()
})
