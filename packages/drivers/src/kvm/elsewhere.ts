// Whether a machine that one host takes for off runs on another host of its site: a definition stays behind where it was
// migrated away from, and shared storage shows one folder on many hosts.
import { Outage } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'
import { runningUuids } from './processes.ts'

export type HostLook =
  | { readonly host: string; readonly kind: 'nothing' }
  | { readonly host: string; readonly kind: 'runs' }
  | { readonly host: string; readonly kind: 'not-asked'; readonly why: Outage }

export type Elsewhere =
  | { readonly kind: 'nowhere'; readonly evidence: string }
  | { readonly kind: 'runs'; readonly host: string }
  | { readonly kind: 'unknown'; readonly why: Outage }

/**
 * What the other hosts' answers come to. A host that cannot be asked may run the machine, unless `endedHere`: we ended it ourselves
 * on the very host that now says it is off; see own-ends.ts. Pure.
 */
export function judgeElsewhere(looks: readonly HostLook[], endedHere: boolean): Elsewhere {
  const runs = looks.find(({ kind }) => kind === 'runs')
  if (runs !== undefined) return { kind: 'runs', host: runs.host }
  const silent = looks.flatMap((look) => (look.kind === 'not-asked' ? [look] : []))
  const [first] = silent
  if (first !== undefined && !endedHere) return { kind: 'unknown', why: mayRunAt(first.host, first.why) }
  const asked = looks.filter(({ kind }) => kind === 'nothing').map(({ host }) => host)
  const notes = [
    ...(asked.length === 0 ? [] : [`not on ${asked.join(', ')} either`]),
    ...silent.map(({ host }) => `${host} could not be asked, but its end here was our doing`),
  ]
  return { kind: 'nowhere', evidence: notes.map((note) => `; ${note}`).join('') }
}

/** `look` says whether the host runs it; an Outage of one host is a finding, not a failure. */
export async function lookElsewhere<Place extends Host>(
  hosts: readonly Place[],
  look: (host: Place) => Promise<boolean>,
): Promise<readonly HostLook[]> {
  return Promise.all(
    hosts.map(async (host): Promise<HostLook> => {
      try {
        return { host: host.name, kind: (await look(host)) ? 'runs' : 'nothing' }
      } catch (error) {
        if (!(error instanceof Outage)) throw error
        return { host: host.name, kind: 'not-asked', why: error }
      }
    }),
  )
}

export const hasProcess = async (host: Host, ref: MachineRef, signal?: AbortSignal): Promise<boolean> =>
  (await runningUuids(host, signal)).has(ref)

const mayRunAt = (host: string, cause: Outage): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message: `It may run on host ${host}, which cannot be asked: ${cause.message}`,
    remedy: 'Bring the host back, or take it out of the settings of the site when it is gone for good.',
    cause,
  })
