import type { GroupId, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { CutId } from '@understudy/domain/recovery-points/recovery-point'
import { expect, test } from 'vitest'
import { showGroup } from './show-group.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const member = (id: string, state: Protection['state']): Protection =>
  ({
    id: id as ProtectionId,
    name: id,
    state,
    sourceSiteId: 'here',
    groupId: 'shop',
  }) as unknown as Protection
const cut = {
  cut: 'cut-1' as CutId,
  instant: now - 5000,
  consistency: 'crash' as const,
  members: ['web', 'db'] as ProtectionId[],
}
const shown = (...members: Protection[]) =>
  showGroup(
    { id: 'shop' as GroupId, name: 'shop', createdAt: now },
    {
      members,
      policy: undefined,
      summary: { newestCut: cut, newestWholeCut: null, apart: null } as never,
      paces: [],
      now,
    },
  ).newestWholeCut

test('a newcomer in its first copy hides no point of its group; one that is protected counts', () => {
  const [web, db] = [member('web', 'protected'), member('db', 'protected')]
  for (const state of ['enabling', 'seeding'] as const)
    expect(shown(web, db, member('cache', state))?.cut).toBe('cut-1')
  expect(shown(web, db, member('cache', 'protected'))).toBeNull()
  expect(shown(member('cache', 'seeding'))).toBeNull()
})
