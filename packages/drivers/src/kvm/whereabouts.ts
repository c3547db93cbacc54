// What the hosts' answers prove about a run's machine, given where it was begun. There must never be two machines of one run, and
// none may be taken for removed that only cannot be seen.
import { Outage } from '@understudy/base/errors'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import type { Host } from './host.ts'

export type SilentHost = { readonly host: Host; readonly error: Outage }

export type RunAnswers = {
  /** The host that has it; null: none that answered. */
  readonly found: Host | null
  readonly silent: readonly SilentHost[]
}

/**
 * Throws an Outage when the machine may be at a host that did not answer. A host that the run never had to do with may stay silent:
 * one dead host does not take down its site. Pure.
 */
export function refuseUnseen(
  hosts: readonly Host[],
  whereabouts: Whereabouts,
  { found, silent }: RunAnswers,
): void {
  const [first] = silent
  switch (whereabouts.kind) {
    case 'at': {
      const begunAt = hosts.find(({ place }) => place === whereabouts.place)
      if (begunAt === undefined) throw notAmongHosts(whereabouts.place)
      const away = silent.find(({ host }) => host === begunAt)
      if (found !== begunAt && away !== undefined) throw unseen(away)
      return
    }
    case 'anywhere':
      if (found === null && first !== undefined) throw unseen(first)
      return
    case 'nowhere':
      if (found === null && first !== undefined && silent.length === hosts.length) throw first.error
  }
}

const unseen = ({ host, error }: SilentHost): Outage =>
  new Outage({
    code: 'run/host-away',
    message: `The machine of this run may be on host ${host.name}, which cannot be asked: ${error.message}`,
    remedy: 'Bring that host back. If it is gone for good, end the protection and leave the machine behind.',
    cause: error,
  })

const notAmongHosts = (place: string): Outage =>
  new Outage({
    code: 'run/host-missing',
    message: `The machine of this run was begun at ${place}, which is no host of the site's settings`,
    remedy: 'Give the site that host back, with the same folder and the same key.',
  })
