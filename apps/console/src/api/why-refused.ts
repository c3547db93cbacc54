// Pure.
import type { Role } from '@understudy/contract/access'
import { type Access, mayCall } from '@understudy/contract/roles'

/** Null when this role may do what asks for `wanted`. */
export function whyRefused(wanted: Access, role: Role | null): string | null {
  if (mayCall(wanted, role)) return null
  return role === null || role === 'reader'
    ? 'Your role may only look'
    : `This needs the role ${wanted}; you are ${role}`
}
