import type { Role } from '@understudy/contract/access'
import { keysOf } from '../../lib/keys-of.ts'

const wordsOfRole: Record<Role, string> = {
  reader: 'Reader: looks',
  operator: 'Operator: tests, fails over',
  contributor: 'Contributor: sets up',
  owner: 'Owner: everything',
}

const roles = keysOf(wordsOfRole)

export const roleOptions = roles.map((value) => ({ value, label: wordsOfRole[value] }))

/** What was chosen of `roleOptions`. */
export const findRole = (value: string | null): Role | undefined => roles.find((role) => role === value)
