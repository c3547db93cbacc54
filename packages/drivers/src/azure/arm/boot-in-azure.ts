// Makes the machine of a run, from the content of its disks to a machine that runs. See DESIGN.md for the order of requests and what
// each interruption leaves.
import type { Disk, VirtualMachine } from '@azure/arm-compute'
import { Outage, Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { BootSpec, RunningReplica } from '@understudy/engine/ports/target-platform'
import { diskInTrouble, placeMissing, runTorn } from './arm-failures.ts'
import { eachOrNone } from './each-or-none.ts'
import { ensureAdapters } from './ensure-adapters.ts'
import { ensureResource, settled } from './ensure-resource.ts'
import { readOperatingSystem } from './operating-system.ts'
import { generationOf, type PreflightFacts, preflightFindings, usableSizes } from './preflight.ts'
import { readPreflightFacts } from './preflight-facts.ts'
import { bringUp, findRunMachine, isRunning, type RunMachine, toRunMachine } from './run-machine.ts'
import {
  BYTES_TAG,
  copiesFolder,
  DISK_TAG,
  freeMachineName,
  isOfRun,
  isPartName,
  MODE_TAG,
  partName,
  RUN_TAG,
} from './run-names.ts'
import { placeOf } from './settings.ts'
import { ensureBase, findBase } from './source/base-mark.ts'
import { stageDisk } from './stage-disk.ts'
import type { TargetParts } from './target-parts.ts'
import { type DisksTold, tellDisks } from './tell-disks.ts'

/** Each disk has a blob of its own, and Azure's limits count for each blob. */
const DISKS_AT_ONCE = 4
/** How many sizes and names are tried before it is given up for this time. */
const MACHINE_TRIES = 3

export async function bootInAzure(
  parts: TargetParts,
  spec: BootSpec,
  signal: AbortSignal | undefined,
): Promise<RunningReplica> {
  const { runId, placing } = spec
  const { before } = placing
  if (before.kind === 'at' && before.place !== placeOf(parts.settings)) throw placeMissing(before.place)
  const known = await wholeMachine(parts, await findRunMachine(parts, runId, signal), signal)
  const made = known ?? (await makeMachine(parts, spec, signal))
  spec.onProgress?.({ doing: `Starting ${made.name}`, bytes: null })
  await bringUp(parts, made.name, signal)
  await removeCopies(parts, spec, signal)
  const checkpoint = await findBase(parts, spec, signal)
  return { ref: made.ref, name: made.name, checkpoint, isWhole: true }
}

/** One that Azure failed to make is removed, its disks and adapters stay: the next attempt makes it anew, of another size if need be. */
async function wholeMachine(
  parts: TargetParts,
  found: RunMachine | null,
  signal: AbortSignal | undefined,
): Promise<RunMachine | null> {
  if (found === null || found.machine.provisioningState === 'Succeeded') return found
  if (await isRunning(parts, found.name, signal)) return found
  await parts.arm.machines.remove(found.name, signal)
  return null
}

async function makeMachine(
  parts: TargetParts,
  spec: BootSpec,
  signal: AbortSignal | undefined,
): Promise<RunMachine> {
  const facts = await readPreflightFacts(parts, spec, spec.runId, signal)
  const blocker = preflightFindings(spec, facts).find(({ level }) => level === 'blocker')
  if (blocker !== undefined) throw new Refusal(blocker)
  await spec.placing.keep(placeOf(parts.settings))
  await refuseTorn(parts, spec, signal)
  const tags = tagsOf(parts, spec)
  const osType = await osTypeOf(spec, signal)
  const told = tellDisks(spec)
  const disks = await eachOrNone(spec.disks, DISKS_AT_ONCE, signal, async (_, index, stop) => {
    const disk = await ensureDisk(parts, spec, { index, tags, osType, told }, stop)
    told.made(index)
    return disk
  })
  // From here on a machine may start with them.
  await ensureBase(parts, spec, disks, signal)
  spec.onProgress?.({ doing: 'Azure makes the adapters and the machine', bytes: null })
  const adapters = await ensureAdapters(parts, spec, { tags, subnets: facts.subnets }, signal)
  const body = (size: string): VirtualMachine => ({
    location: parts.settings.region,
    tags,
    ...zoneOf(parts),
    ...(parts.settings.licenseType === undefined ? {} : { licenseType: parts.settings.licenseType }),
    ...(parts.settings.availabilitySetId === undefined
      ? {}
      : { availabilitySet: { id: parts.settings.availabilitySetId } }),
    hardwareProfile: { vmSize: size },
    storageProfile: storageOf(
      spec,
      disks.map(({ id }) => present(id, 'a disk has an id')),
      osType,
    ),
    networkProfile: {
      networkInterfaces: adapters.map((id, index) => ({
        id,
        primary: index === 0,
        deleteOption: 'Detach',
      })),
    },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
  })
  return await createMachine(parts, spec, { facts, body }, signal)
}

/**
 * A clean-up that was cut short may have removed some of the disks. What a guest wrote to one of them, beside another as it was at the
 * point, would be a machine that never was.
 */
async function refuseTorn(
  { arm }: TargetParts,
  { runId, disks }: BootSpec,
  signal: AbortSignal | undefined,
): Promise<void> {
  const there = (await arm.disks.list(signal)).filter(
    (disk) => isOfRun(disk, runId) && isPartName(runId, disk.name ?? ''),
  )
  const wasUsed = there.some(({ lastOwnershipUpdateTime }) => lastOwnershipUpdateTime !== undefined)
  if (wasUsed && there.length < disks.length) throw runTorn(there.length, disks.length)
}

/** Nobody's disks and adapters go because the machine goes: only `destroy` removes them. */
function storageOf(
  { disks: wanted }: BootSpec,
  disks: readonly string[],
  osType: 'Windows' | 'Linux',
): NonNullable<VirtualMachine['storageProfile']> {
  const of = (index: number) => ({
    createOption: 'Attach',
    managedDisk: { id: present(disks[index], 'every disk was made') },
    deleteOption: 'Detach',
  })
  const boot = wanted.findIndex(({ boot: isBoot }) => isBoot)
  const data = wanted.flatMap((_, index) => (index === boot ? [] : [index]))
  return {
    osDisk: { ...of(boot), osType, caching: 'ReadWrite' },
    dataDisks: data.map((index, lun) => ({ ...of(index), lun, caching: 'None' })),
  }
}

async function osTypeOf({ disks }: BootSpec, signal: AbortSignal | undefined): Promise<'Windows' | 'Linux'> {
  const boot = present(
    disks.find((disk) => disk.boot),
    'the preflight has seen a boot disk',
  )
  return await readOperatingSystem(boot.reader, signal)
}

/** The managed disk as Azure has it. A disk that is there needs its copy no more. */
async function ensureDisk(
  parts: TargetParts,
  { runId, disks, hardware }: BootSpec,
  made: {
    readonly index: number
    readonly tags: Record<string, string>
    readonly osType: 'Windows' | 'Linux'
    readonly told: DisksTold
  },
  signal: AbortSignal,
): Promise<Disk> {
  const { index, tags, osType, told } = made
  const { arm, storage, settings, waits, copyWithin } = parts
  const disk = present(disks[index], 'inside the list')
  const name = partName(runId, `disk${index}`)
  const make = async () => {
    const onDone = (bytes: number) => told.copied(index, bytes)
    const staging = {
      storage,
      runId,
      disk,
      index,
      onDone,
      ...(copyWithin === undefined ? {} : { copyWithin }),
    }
    told.copied(index, 0)
    const blob = await stageDisk(staging, signal)
    told.making(index)
    return {
      location: settings.region,
      tags: { ...tags, [DISK_TAG]: disk.key, [BYTES_TAG]: `${disk.bytes}` },
      ...zoneOf(parts),
      sku: { name: settings.diskType },
      ...(disk.boot ? { osType, hyperVGeneration: generationOf(hardware) } : {}),
      creationData: {
        createOption: 'Import' as const,
        sourceUri: parts.addressOfBlob(blob),
        storageAccountId: settings.storageAccountId,
      },
      // Its content is read through the machine alone.
      networkAccessPolicy: 'DenyAll',
      publicNetworkAccess: 'Disabled',
    }
  }
  return await ensureResource(arm.disks, { runId, name, make, checkRemoval }, waits, signal)
}

/** A disk that a machine has had may hold what a guest wrote: it is never made anew. */
function checkRemoval({ name = '', lastOwnershipUpdateTime }: Disk): void {
  if (lastOwnershipUpdateTime !== undefined) throw diskInTrouble(name)
}

const zoneOf = ({ settings: { zone } }: TargetParts): { zones?: string[] } =>
  zone === undefined ? {} : { zones: [zone] }

export const tagsOf = ({ settings }: TargetParts, { runId, mode }: BootSpec): Record<string, string> => ({
  ...settings.tags,
  [RUN_TAG]: runId,
  [MODE_TAG]: mode,
})

type Creation = { readonly facts: PreflightFacts; body(size: string): VirtualMachine }

/** Under the name nearest to the wished one, of the first size that Azure has room for. */
async function createMachine(
  parts: TargetParts,
  spec: BootSpec,
  { facts, body }: Creation,
  signal: AbortSignal | undefined,
): Promise<RunMachine> {
  const { arm, waits } = parts
  const sizes = usableSizes(spec, facts).map(({ name }) => name)
  const taken = new Set(facts.machineNames)
  let size = 0
  let failure: unknown = null
  for (let tries = 0; tries < MACHINE_TRIES && sizes[size] !== undefined; tries += 1) {
    const name = freeMachineName(spec.name, taken)
    try {
      await arm.machines.create(name, body(present(sizes[size], 'inside the list')), signal)
    } catch (error) {
      if (!isAboutSize(error)) throw error
      failure = error
      size += 1
    }
    const found = await settled(arm.machines, name, waits, signal)
    // Somebody else's: the name was taken since we looked.
    if (found !== null && !isOfRun(found, spec.runId)) taken.add(name)
    else if (found?.provisioningState === 'Succeeded') return toRunMachine(found)
    else if (found !== null) await arm.machines.remove(name, signal)
  }
  throw failure ?? nameNotToBeHad(spec.name)
}

const isAboutSize = (error: unknown): boolean =>
  (error instanceof Outage && error.code === 'azure/no-capacity') ||
  (error instanceof Refusal && error.code === 'azure/size-gone')

const nameNotToBeHad = (name: string): Outage =>
  new Outage({
    code: 'azure/busy',
    message: `Azure did not make the machine ${name}, and others take its name again and again`,
    remedy: 'It is tried again. If it stays, look at the activity log of the resource group.',
  })

/** What Azure has made disks of. */
export async function removeCopies(
  { storage }: Pick<TargetParts, 'storage'>,
  { runId }: Pick<BootSpec, 'runId'>,
  signal?: AbortSignal,
): Promise<void> {
  const names: string[] = []
  for await (const { name } of storage.list(copiesFolder(runId), {}, signal)) names.push(name)
  for (const name of names) await storage.remove(name, {}, signal)
}
