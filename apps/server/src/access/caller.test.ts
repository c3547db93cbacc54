import type { User, UserId } from '@understudy/engine/ports/access-stores'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { beforeEach, expect, test } from 'vitest'
import { type CallerFinder, callerFinder } from './caller.ts'
import { hashSecret } from './secrets.ts'

const hour = 3_600_000
const headers = { cookie: 'understudy_session=secret' }
let now = 0
let callers: CallerFinder

beforeEach(async () => {
  now = 1_800_000_000_000
  const stores = memoryAccessStores()
  const user: User = {
    id: 'u1' as UserId,
    name: 'ada',
    email: null,
    role: 'owner',
    passwordHash: 'unused',
    disabled: false,
    createdAt: now,
    signedInAt: null,
  }
  await stores.users.create(user)
  await stores.sessions.create({
    idHash: hashSecret('secret'),
    userId: user.id,
    createdAt: now,
    seenAt: now,
    expiresAt: now + 12 * hour,
    ip: null,
    userAgent: null,
  })
  callers = callerFinder(stores, { now: () => now }, { secure: false, sessionHours: 12 })
})

test('a session in use goes on, and ends after thirty days all the same', async () => {
  for (let used = 0; used < 30 * 24; used += 8) {
    expect(await callers.find(headers)).not.toBeNull()
    now += 8 * hour
  }
  now += hour
  expect(await callers.find(headers)).toBeNull()
})

test('what a page does by itself does not count as use', async () => {
  for (let looked = 0; looked < 12; looked += 4) {
    expect(await callers.look(headers)).not.toBeNull()
    now += 4 * hour
  }
  expect(await callers.look(headers)).toBeNull()
})
