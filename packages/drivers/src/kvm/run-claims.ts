// Where a run's machine is made, told to the site's other hosts before anything is made: `us-run-<run>.claim` in their machines
// folders. When the place then cannot be asked, a second attempt of the same run knows that it must wait, and a site with a
// dead host that the run never had to do with can go on.
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Host } from './host.ts'
import { runDigest } from './replica-definition.ts'

const claimPath = (host: Host, runId: RunId): string =>
  join(host.machinesFolder, `us-run-${runDigest(runId).slice(0, 16)}.claim`)

/** Told to every other host that answers. */
export async function claimPlace(hosts: readonly Host[], place: Host, runId: RunId): Promise<void> {
  await onEach(hosts, place, (host) => host.writeFile(claimPath(host, runId), place.name))
}

export type SilentHost = { readonly host: Host; readonly error: Outage }

/**
 * For a run of which the hosts that answer have nothing: throws the outage of a silent host on which it was begun. There must
 * never be two machines of one run, and none may be taken for removed that only cannot be seen.
 */
export async function refuseBegunAway(
  hosts: readonly Host[],
  silent: readonly SilentHost[],
  runId: RunId,
): Promise<void> {
  const [first] = silent
  if (first === undefined) return
  if (silent.length === hosts.length) throw first.error
  const claimed = await claimedPlaces(hosts, runId)
  const begunThere = silent.find(({ host }) => claimed.has(host.name))
  if (begunThere !== undefined) throw begunThere.error
}

/** Names of hosts where this run was begun, as far as the hosts that answer know. */
async function claimedPlaces(hosts: readonly Host[], runId: RunId): Promise<ReadonlySet<string>> {
  const names = await onEach(hosts, null, (host) => host.readFile(claimPath(host, runId)))
  return new Set(names.flatMap((name) => (name === null ? [] : [name.toString('utf8')])))
}

/** Nothing of the run is left. On a host that does not answer the note stays, and does no harm: no other run has its name. */
export async function dropClaims(hosts: readonly Host[], runId: RunId): Promise<void> {
  await onEach(hosts, null, (host) => host.removeFile(claimPath(host, runId)))
}

async function onEach<Result>(
  hosts: readonly Host[],
  except: Host | null,
  work: (host: Host) => Promise<Result>,
): Promise<readonly Result[]> {
  const settled = await Promise.allSettled(hosts.filter((host) => host !== except).map(work))
  return settled.flatMap((result) => {
    if (result.status === 'fulfilled') return [result.value]
    if (result.reason instanceof Outage) return []
    throw result.reason
  })
}
