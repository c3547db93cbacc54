import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { Client } from 'ssh2'
import { expect, test } from 'vitest'
import type { SocketOffer } from './host.ts'
import { type OfferDeps, offerSocket } from './ssh-offer.ts'

/** A far host: what its connections forward, and whether the path is there. */
function farHost() {
  const far = { isThere: false, forwards: 0, refuses: false, asked: 0 }
  /** A connection that grants every forward. */
  const connection = (): Client => {
    const client = Object.assign(new EventEmitter(), {
      openssh_forwardInStreamLocal: (_path: string, done: (failure?: Error) => void) => {
        far.asked += 1
        if (far.refuses) return done(new Error('refused'))
        far.isThere = true
        far.forwards += 1
        done()
      },
      openssh_unforwardInStreamLocal: (_path: string, done: () => void) => {
        far.forwards -= 1
        done()
      },
    })
    return client as unknown as Client
  }
  return { far, connection }
}

const offerOf = (
  { far }: ReturnType<typeof farHost>,
  clients: readonly Client[],
  more: Partial<OfferDeps> = {},
): Promise<SocketOffer> => {
  let next = 0
  return offerSocket(
    {
      client: async () => {
        const client = clients[next++]
        if (client === undefined) throw new Error('the host is away')
        return client
      },
      removeFile: async () => undefined,
      isThere: async () => far.isThere,
      attempts: 3,
      againMilliseconds: 1,
      ...more,
    },
    '/here.sock',
    '/there.sock',
  )
}

test('an offer comes back with the connection, and says that it is lost when that stays away', async () => {
  const host = farHost()
  const clients = [host.connection(), host.connection()]
  const offer = await offerOf(host, clients)
  clients[0]?.emit('close')
  await sleep(20)
  expect(host.far.forwards).toBe(2)
  expect(await offer.isLost()).toBe(false)
  clients[1]?.emit('close')
  await expect.poll(() => offer.isLost()).toBe(true)
  await offer.close()
})

test('an offer whose socket was removed on the host is lost, and one that cannot be looked at is not called so', async () => {
  const host = farHost()
  const { far } = host
  let isAway = false
  const away = new Outage({ code: 'kvm/host-unreachable', message: 'away', remedy: 'Test.' })
  const offer = await offerOf(host, [host.connection()], {
    isThere: async () => {
      if (isAway) throw away
      return far.isThere
    },
  })
  expect(await offer.isLost()).toBe(false)
  isAway = true
  await expect(offer.isLost()).rejects.toBe(away)
  isAway = false
  far.isThere = false
  expect(await offer.isLost()).toBe(true)
  await offer.close()
})

test('a close waits for what is being made again, which leaves the path alone from then on', async () => {
  const host = farHost()
  const clients = [host.connection(), host.connection()]
  const gate = Promise.withResolvers<void>()
  let removals = 0
  const offer = await offerOf(host, clients, {
    removeFile: async () => {
      removals += 1
      if (removals > 1) await gate.promise
    },
  })
  clients[0]?.emit('close')
  await expect.poll(() => removals).toBe(2)
  let isClosed = false
  const closing = offer.close().then(() => {
    isClosed = true
  })
  await sleep(20)
  expect(isClosed).toBe(false)
  gate.resolve()
  await closing
  await sleep(20)
  expect(host.far.asked).toBe(1)
  expect(removals).toBe(2)
  expect(clients[1]?.listenerCount('unix connection')).toBe(0)
})

test('a forward that was granted while the offer was closed is taken back', async () => {
  const host = farHost()
  const clients = [host.connection(), host.connection()]
  const gate = Promise.withResolvers<void>()
  let heard = 0
  const offer = await offerOf(host, clients, {
    onListening: async () => {
      heard += 1
      if (heard > 1) await gate.promise
    },
  })
  clients[0]?.emit('close')
  await expect.poll(() => heard).toBe(2)
  const closing = offer.close()
  gate.resolve()
  await closing
  expect(host.far.forwards).toBe(1)
  expect(clients[1]?.listenerCount('unix connection')).toBe(0)
})

test('a socket that could not be handed over is taken back before the next attempt', async () => {
  const host = farHost()
  const clients = [host.connection(), host.connection(), host.connection()]
  let heard = 0
  const offer = await offerOf(host, clients, {
    onListening: async () => {
      heard += 1
      if (heard === 2) throw new Error('chown failed')
    },
  })
  clients[0]?.emit('close')
  await expect.poll(() => heard).toBe(3)
  expect(host.far.asked).toBe(3)
  expect(host.far.forwards).toBe(2)
  await offer.close()
})

test('attempts leave no listener behind on the connection that they share', async () => {
  const host = farHost()
  const shared = host.connection()
  const first = host.connection()
  const clients = [first, ...Array(20).fill(shared)]
  const offer = await offerOf(host, clients, { attempts: 20 })
  host.far.refuses = true
  first.emit('close')
  await expect.poll(() => host.far.asked).toBe(21)
  await expect.poll(() => offer.isLost()).toBe(true)
  expect(shared.listenerCount('close')).toBe(0)
  await offer.close()
})
