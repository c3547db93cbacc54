// What steps of plans change in Azure, with the sign-in of a site. See "What steps of plans change" in ../DESIGN.md.
import type { Clock } from '@understudy/base/instant'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { ArmCalls } from '../arm-calls.ts'
import type { ArmSettings } from '../settings.ts'
import { changePool } from './change-pool.ts'
import { changeTraffic } from './change-traffic.ts'
import { keptChecks } from './check-thing.ts'
import { runScripts } from './run-scripts.ts'
import type { ServiceCalls } from './service-calls.ts'
import { setRecords } from './set-records.ts'

export function azureServices({
  calls,
  arm,
  settings,
  clock,
}: {
  readonly calls: ServiceCalls
  readonly arm: Pick<ArmCalls, 'permissionsOn'>
  readonly settings: Pick<ArmSettings, 'region' | 'resourceGroup' | 'subscriptionId'>
  readonly clock: Clock
}): CloudServices {
  const within = ({ resourceGroup }: { readonly resourceGroup: string }) => ({
    resourceGroup: resourceGroup === '' ? settings.resourceGroup : resourceGroup,
  })
  const check = keptChecks({ calls, arm, subscriptionId: settings.subscriptionId, clock })
  return {
    check: (thing) => check({ ...thing, ...within(thing) }),
    changeTraffic: (change, signal) => changeTraffic(calls, within(change), change, signal),
    changePool: (change, signal) => changePool(calls, within(change), change, signal),
    setRecords: (records, signal) => setRecords(calls, within(records), records, signal),
    scripts: runScripts(calls, settings, clock),
  }
}
