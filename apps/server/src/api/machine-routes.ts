import { isEligible, type MachineId } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import { type ApiDeps, os } from './context.ts'
import { findMachine } from './find.ts'
import { matches, pageRows, sortRows } from './page.ts'
import { showMachine } from './show-machine.ts'

export function machineRoutes(deps: ApiDeps) {
  return {
    list: os.machines.list.handler(async ({ input }) => {
      const [machines, protections, sites] = await Promise.all([
        deps.stores.machines.list(input.siteId as SiteId | undefined),
        deps.stores.protections.list(),
        deps.stores.sites.list(),
      ])
      const siteOf = new Map(sites.map((site) => [site.id, site]))
      const shown = machines
        .map((machine) => showMachine(machine, siteOf.get(machine.siteId), protections))
        .filter((machine) => machine.present || machine.protectionId !== null)
        .filter((machine) => matches(input.search, machine.name, machine.host, machine.siteName))
        .filter((machine) => input.power === undefined || machine.power === input.power)
        .filter(
          (machine) => input.protected === undefined || (machine.protectionId !== null) === input.protected,
        )
      const sorted = sortRows(shown, input.sort, {
        name: (machine) => machine.name,
        power: (machine) => machine.power,
        site: (machine) => machine.siteName,
      })
      return pageRows(sorted, input, (machine) => machine.id)
    }),
    get: os.machines.get.handler(async ({ input }) => {
      const machine = await findMachine(deps, input.id)
      const [protections, site] = await Promise.all([
        deps.stores.protections.list(),
        deps.stores.sites.find(machine.siteId),
      ])
      return showMachine(machine, site ?? undefined, protections)
    }),
    eligibility: os.machines.eligibility.handler(async ({ input }) => {
      await findMachine(deps, input.id)
      const eligibility = await deps.engine.eligibility(input.id as MachineId)
      return {
        eligible: isEligible(eligibility),
        findings: [...eligibility.findings],
        shortestIntervalSeconds: eligibility.shortestIntervalSeconds,
        applicationConsistent: eligibility.applicationConsistent,
      }
    }),
  }
}
