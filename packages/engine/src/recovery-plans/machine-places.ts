// Where the machines of a run can be reached now, for its steps.
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import type { GuestPrograms } from '../ports/guest-programs.ts'
import type { CloudMachine } from '../ports/step-runner.ts'
import { platformOf } from '../sites/platform-of.ts'
import { activeBoot } from './boots-of-run.ts'

export type MachinePlace = {
  readonly name: string
  /** As a probe has found them: `192.0.2.7`, `http://127.0.0.1:18080`. */
  readonly addresses: readonly string[]
  readonly point: { readonly id: string; readonly instant: string } | null
  /** Null: its platform runs no programs in guests, or it is not up. */
  readonly guest: GuestPrograms | null
  /** Null: its site has no sign-in to a cloud, or it is not up. */
  readonly inCloud: CloudMachine | null
}

export async function placesOfMachines(
  parts: EngineParts,
  run: PlanRun,
): Promise<ReadonlyMap<ItemId, MachinePlace>> {
  const entries = await Promise.all(
    machinesOf(run.plan).map(async ({ id, protectionId }): Promise<[ItemId, MachinePlace]> => {
      const [protection, booted] = await Promise.all([
        parts.stores.protections.find(protectionId),
        activeBoot(parts, protectionId, run.kind),
      ])
      const ref = booted?.machineRef ?? null
      const platform = booted === null || ref === null ? null : await platformOf(parts, booted.targetSiteId)
      const services = platform?.cloudServices ?? null
      return [
        id,
        {
          name: protection?.name ?? protectionId,
          addresses: booted?.addresses ?? [],
          point: booted ? { id: booted.pointId, instant: new Date(booted.pointInstant).toISOString() } : null,
          guest: ref === null ? null : (platform?.target?.guestPrograms?.(ref) ?? null),
          inCloud:
            booted === null || ref === null || services === null
              ? null
              : { ref, site: booted.targetSiteId, services },
        },
      ]
    }),
  )
  return new Map(entries)
}
