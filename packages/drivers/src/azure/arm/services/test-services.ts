// What the tests of steps in Azure work on: a site in the emulated Azure with everything that a step may change, and faults on command.
import type { Refusal } from '@understudy/base/errors'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { DoubleCall } from '../double/arm-double.ts'
import type { Fault, Json, MachineRunner } from '../double/double-parts.ts'
import { connectServices, emulatedSettings, placeServices } from '../double/emulated-azure.ts'
import { type TestSite, testSite } from '../test-site.ts'
import { azureServices } from './azure-services.ts'

export type ServiceSite = TestSite & {
  readonly services: CloudServices
  /** Moved by hand. */
  readonly time: { now: number }
  /** The first so many of these calls meet the fault. */
  failing(which: (call: DoubleCall) => boolean, fault: Fault, times?: number): void
  /** Properties of what has this id, or of the part of it. */
  recordOf(zoneType: 'dnsZones' | 'privateDnsZones', zone: string, path: string): Json | undefined
}

export const never = new AbortController().signal

export async function serviceSite(runScript?: NonNullable<MachineRunner['runScript']>): Promise<ServiceSite> {
  const site = await testSite({}, 1, runScript)
  await placeServices(site.double)
  const time = { now: 1_000_000 }
  const services = azureServices({
    calls: connectServices(site.double),
    arm: site.parts.arm,
    settings: emulatedSettings,
    clock: { now: () => time.now },
  })
  const group = `/subscriptions/${emulatedSettings.subscriptionId}/resourceGroups/${emulatedSettings.resourceGroup}`
  return {
    ...site,
    services,
    time,
    failing(which, fault, times = Number.POSITIVE_INFINITY) {
      let left = times
      site.double.fault = (call) => {
        if (left === 0 || !which(call)) return null
        left -= 1
        return fault
      }
    },
    recordOf: (zoneType, zone, path) =>
      site.double.site.find(`${group}/providers/Microsoft.Network/${zoneType}/${zone}/${path}`),
  }
}

export const answers = (status: number, code: string, message: string, more: object = {}): Fault => ({
  kind: 'answer',
  status,
  code,
  message,
  ...more,
})

export const failureOf = async (work: Promise<unknown>): Promise<Refusal> =>
  await work.then(
    (done) => {
      throw new Error(`it was done: ${String(done)}`)
    },
    (error: Refusal) => error,
  )
