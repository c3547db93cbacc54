// What steps of plans change in Azure, with the sign-in of a site. See "What steps of plans change" in ../DESIGN.md.
import type { Clock } from '@understudy/base/instant'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { ArmSettings } from '../settings.ts'
import { changePool } from './change-pool.ts'
import { changeTraffic } from './change-traffic.ts'
import { runScripts } from './run-scripts.ts'
import type { ServiceCalls } from './service-calls.ts'
import { setRecords } from './set-records.ts'

export function azureServices({
  calls,
  settings,
  clock,
}: {
  readonly calls: ServiceCalls
  readonly settings: Pick<ArmSettings, 'region' | 'resourceGroup'>
  readonly clock: Clock
}): CloudServices {
  const within = ({ resourceGroup }: { readonly resourceGroup: string }) => ({
    resourceGroup: resourceGroup === '' ? settings.resourceGroup : resourceGroup,
  })
  return {
    changeTraffic: (change, signal) => changeTraffic(calls, within(change), change, signal),
    changePool: (change, signal) => changePool(calls, within(change), change, signal),
    setRecords: (records, signal) => setRecords(calls, within(records), records, signal),
    scripts: runScripts(calls, settings, clock),
  }
}
