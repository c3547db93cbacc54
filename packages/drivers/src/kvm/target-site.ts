// What the target's parts need of their site.
import type { RunId } from '@understudy/domain/failover/failover'
import type { Host } from './host.ts'
import { readHostRoom } from './host-room.ts'
import type { MachineDirectory } from './machine-directory.ts'
import type { PreflightFacts } from './preflight.ts'
import type { ReplicaExports } from './replica-exports.ts'
import type { KvmSettings } from './settings.ts'

export type TargetSite = {
  readonly hosts: readonly Host[]
  readonly directory: MachineDirectory
  readonly settings: Pick<KvmSettings, 'networks' | 'accelerator' | 'bootDeadlineSeconds'>
  readonly exports: ReplicaExports
}

export async function readPreflightFacts(
  { hosts, directory, settings }: TargetSite,
  runId: RunId | null,
  signal?: AbortSignal,
): Promise<PreflightFacts> {
  const rooms = await Promise.all(hosts.map((host) => readHostRoom(host, signal)))
  // A host that is away takes part in nothing; what the others have still counts.
  const { machines } = await directory.survey(signal)
  return { settings, rooms, machines, runId }
}
