// Azure as a place where replicas run. See DESIGN.md.
import { Outage, Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { RunId } from '@understudy/domain/failover/failover'
import type { HydrateProgress, TargetPlatform } from '@understudy/engine/ports/target-platform'
import { cannotRestore, notWhole } from './arm-failures.ts'
import { bitmapToPng } from './bitmap-to-png.ts'
import { bootInAzure, removeCopies } from './boot-in-azure.ts'
import { destroyRun } from './destroy-run.ts'
import { joinFindings, missingJoin } from './join-rights.ts'
import { keptFor } from './kept-for.ts'
import { namedFindings, namedFor } from './named-things.ts'
import { placementChoices } from './placement-choices.ts'
import { pluggedAdapters, preflightFindings, sizeFor } from './preflight.ts'
import { loadSubnets, readPreflightFacts } from './preflight-facts.ts'
import { probeMachine } from './probe-machine.ts'
import { readResourceId } from './resource-id.ts'
import { findRunMachine, getMachine, getRunMachine, isOn, type RunMachine } from './run-machine.ts'
import { ADOPTED_TAG, MODE_TAG } from './run-names.ts'
import { checkArmSettings, placeOf } from './settings.ts'
import { toNetworks } from './site-networks.ts'
import { markStopped } from './source/mark-stopped.ts'
import { storageRegionFindings } from './storage-region.ts'
import type { TargetParts } from './target-parts.ts'

/** Azure runs on Hyper-V, and shows pictures of the screen that nobody can type at. */
const azureHardware: PresentedHardware = { kind: 'hyper-v', serialLineOnly: true }

/** The list of sizes has megabytes and changes in weeks; plans ask for preflights of many machines. A boot asks anew. */
const KEPT_MS = 10 * 60_000

/** A preview asks about hundreds of machines, for each of which these are the same. A boot asks anew. */
const FACTS_KEPT_MS = 15_000

type Readings = Pick<
  TargetParts['arm'],
  'allNetworks' | 'allGroups' | 'usages' | 'machines' | 'permissionsOn' | 'exists'
>

function keptReadings({ arm, clock }: TargetParts): Readings {
  const kept = <Answer>(ask: (signal?: AbortSignal) => Promise<Answer>) => keptFor(FACTS_KEPT_MS, clock, ask)
  const byId = <Answer>(ask: (id: string, signal?: AbortSignal) => Promise<Answer>): typeof ask => {
    const answers = new Map<string, (signal?: AbortSignal) => Promise<Answer>>()
    return (id, signal) => {
      const known = answers.get(id) ?? kept((own) => ask(id, own))
      answers.set(id, known)
      return known(signal)
    }
  }
  return {
    allNetworks: kept((signal) => arm.allNetworks(signal)),
    allGroups: kept((signal) => arm.allGroups(signal)),
    usages: kept((signal) => arm.usages(signal)),
    machines: { ...arm.machines, list: kept((signal) => arm.machines.list(signal)) },
    permissionsOn: byId((id, signal) => arm.permissionsOn(id, signal)),
    exists: byId((id, signal) => arm.exists(id, signal)),
  }
}

export function azureTarget(parts: TargetParts): TargetPlatform {
  const { arm, settings } = parts
  checkArmSettings(settings)
  const sizes = keptFor(KEPT_MS, parts.clock, (signal) => arm.sizes(signal))
  const readings = keptReadings(parts)
  const storageRegion = keptFor(KEPT_MS, parts.clock, (signal) => arm.regionOfStorage(signal))
  return {
    presents: parts.presents ?? azureHardware,
    places: async () => [placeOf(settings)],
    networks: async (signal) =>
      toNetworks(await loadSubnets({ settings, arm: { ...arm, ...readings } }, signal)),
    placementChoices: (signal) => placementChoices(arm, settings, sizes, signal),
    async preflight(spec, signal) {
      const facts = await readPreflightFacts(
        { settings, arm: { ...arm, ...readings, sizes } },
        spec,
        null,
        signal,
      )
      const chosen = pluggedAdapters(spec).map(({ networkId }) => networkId)
      return [
        ...preflightFindings(spec, facts),
        ...(await joinFindings(chosen, facts.subnets, settings, (id) => missingJoin(readings, id, signal))),
        ...storageRegionFindings(settings, await storageRegion(signal)),
        ...(await namedFindings(namedFor(spec, settings), (id) => readings.exists(id, signal))),
      ]
    },
    async sizeFor(spec, signal) {
      const [skus, usages] = await Promise.all([sizes(signal), readings.usages(signal)])
      return sizeFor(spec, { settings, skus, usages })
    },
    boot: (spec, signal) => bootInAzure(parts, spec, signal),
    // A machine in Azure has its disks wholly before it starts: it never reads from us.
    reattach: async () => {},
    detach: async () => {},
    hydrate: (runId, onProgress, signal) => hydrate(parts, runId, onProgress, signal),
    async screenshot(runId, signal) {
      const { name } = await getRunMachine(parts, runId, signal)
      const bitmap = await arm.screen(name, signal)
      const picture = bitmap === null ? null : bitmapToPng(bitmap)
      if (picture === null) throw noPicture(name)
      return picture
    },
    probe: async (ref, signal) => probeMachine(parts, await getMachine(parts, ref, signal), signal),
    destroy: (runId, whereabouts) => destroyRun(parts, runId, whereabouts),
    async adopt(runId) {
      const found = await getRunMachine(parts, runId)
      await checkWhole(parts, found)
      const { [MODE_TAG]: _, ...tags } = found.machine.tags ?? {}
      if (tags[ADOPTED_TAG] === undefined) await arm.setTags(found.name, { ...tags, [ADOPTED_TAG]: 'yes' })
    },
    async stop(runId) {
      const found = await findRunMachine(parts, runId)
      if (found === null) return
      // Off alone is not enough: Azure charges for a machine that is off and keeps its processor.
      const state = await arm.stateOf(found.name)
      if (state !== null && state.power !== 'deallocated') await arm.deallocate(found.name)
    },
    async restoreInto() {
      throw cannotRestore()
    },
    async startTracked(ref, trackingId, signal) {
      const { name } = await getMachine(parts, ref, signal)
      if (isOn((await arm.stateOf(name, signal))?.power)) throw alreadyOn(name)
      const checkpoint = await markStopped(parts, ref, trackingId, signal)
      await arm.start(name, signal)
      return { checkpoint }
    },
  }
}

/** Nothing is left to copy once a machine runs; what is left to do is to see that it is so, and to remove the copies. */
async function hydrate(
  parts: TargetParts,
  runId: RunId,
  onProgress: (progress: HydrateProgress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const found = await getRunMachine(parts, runId, signal)
  const totalBytes = await checkWhole(parts, found, signal)
  await removeCopies(parts, { runId }, signal)
  onProgress({ doneBytes: totalBytes, totalBytes })
}

/** The bytes of its disks. Refuses while Azure still makes one of them. */
async function checkWhole(
  { arm }: TargetParts,
  { name, machine }: RunMachine,
  signal?: AbortSignal,
): Promise<number> {
  const { osDisk, dataDisks = [] } = machine.storageProfile ?? {}
  let bytes = 0
  for (const { managedDisk } of [...(osDisk === undefined ? [] : [osDisk]), ...dataDisks]) {
    const [diskName = ''] = readResourceId(managedDisk?.id ?? '')?.names ?? []
    const disk = await arm.disks.find(diskName, signal)
    const isWhole = disk?.provisioningState === 'Succeeded' && (disk.completionPercent ?? 100) >= 100
    if (!isWhole) throw notWhole(name, diskName)
    bytes += present(disk.diskSizeBytes, 'a disk that is whole has a size')
  }
  return bytes
}

const noPicture = (name: string): Outage =>
  new Outage({
    code: 'target/no-screenshot',
    message: `Azure has no picture of the screen of ${name} yet`,
    remedy: 'Try again in a minute: Azure takes one from time to time while the machine runs.',
  })

const alreadyOn = (name: string): Refusal =>
  new Refusal({
    code: 'machine/running',
    message: `${name} is on already`,
    remedy: 'Shut it down first.',
  })
