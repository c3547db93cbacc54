import type { ProtectionId } from './protection.ts'

/** The name under which a protection's change tracking is known on a machine: `[a-z0-9-]`, at most 40 characters. Pure. */
export const trackingIdOf = (id: ProtectionId): string =>
  `us-${id.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-')}`.slice(0, 40)
