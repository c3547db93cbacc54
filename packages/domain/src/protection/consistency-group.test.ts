import { expect, test } from 'vitest'
import type { SiteId } from '../sites/site.ts'
import { MOST_MEMBERS, whyNotMember } from './consistency-group.ts'
import type { PolicyId } from './policy.ts'
import type { GroupId, ProtectionId, ProtectionState } from './protection.ts'

const member = {
  id: 'p1' as ProtectionId,
  name: 'web',
  state: 'protected' as ProtectionState,
  groupId: null as GroupId | null,
  sourceSiteId: 'a' as SiteId,
  targetSiteId: 'b' as SiteId,
  policyId: 'gold' as PolicyId,
}
const group = { id: 'g1' as GroupId, name: 'shop' }
const why = (candidate: Partial<typeof member>, members = [member]) =>
  whyNotMember({
    group,
    candidate: { ...member, name: 'db', ...candidate },
    members,
    groupNameOf: () => 'other',
  })

test.each([
  { what: 'of the same site and policy', change: {}, code: null },
  { what: 'that is a member already', change: { groupId: group.id }, code: null },
  { what: 'with another target', change: { targetSiteId: 'c' as SiteId }, code: null },
  { what: 'that runs at another site', change: { sourceSiteId: 'b' as SiteId }, code: 'group/other-site' },
  { what: 'of another policy', change: { policyId: 'tin' as PolicyId }, code: 'group/other-policy' },
  { what: 'of another group', change: { groupId: 'g2' as GroupId }, code: 'group/other-group' },
  { what: 'that is being ended', change: { state: 'ending' as const }, code: 'group/ending' },
])('a machine $what: $code', ({ change, code }) => {
  expect(why(change)?.code ?? null).toBe(code)
})

test('an empty group takes any machine, and a full one says so', () => {
  expect(why({ sourceSiteId: 'z' as SiteId }, [])).toBeNull()
  expect(why({}, Array(MOST_MEMBERS - 1).fill(member))).toBeNull()
  expect(why({}, Array(MOST_MEMBERS).fill(member))?.code).toBe('group/full')
})
