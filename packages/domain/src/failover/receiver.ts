// A computer in a rescue system that stands in for a server which comes home: which of its disks takes which disk of the server. Pure.
import type { Brand } from '@understudy/base/brand'
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { AgentId } from '../agents/agent.ts'
import type { DiskKey, MachineDisk, MachineRef } from '../machines/machine.ts'
import type { Protection } from '../protection/protection.ts'
import type { SiteId } from '../sites/site.ts'

/** Of one receiver for one server. Another one for either of them has another id, and takes no writes of this one. */
export type ReceiverAssignmentId = Brand<'ReceiverAssignmentId'>

/** A whole disk of a computer in a rescue system. */
export type ReceiverDisk = {
  readonly path: string
  readonly bytes: number
  readonly model: string | null
  readonly serial: string | null
  readonly bus: string | null
  /** What a machine with this disk would call it. */
  readonly key: DiskKey
  /** It has a name of its own, by which it is known wherever it is plugged in. */
  readonly keyIsStable: boolean
  /** Why it must not be written: mounted, part of an array, what the rescue system was started from. Null: it may be. */
  readonly blocked: string | null
}

/** The disk of the computer at `path`, as it was when it was assigned, takes the disk `key` of the server. */
export type AssignedDisk = Pick<ReceiverDisk, 'path' | 'bytes' | 'model' | 'serial'> & {
  readonly key: DiskKey
}

/**
 * `assigned`: nothing was written yet. `writing`: its disks are mixed. `written`: they are equal to what was written last. `restarting`: they
 * are the server's now, and the computer is to start from them.
 */
export type AssignmentState = 'assigned' | 'writing' | 'written' | 'restarting'

export type ReceiverAssignment = {
  readonly id: ReceiverAssignmentId
  /** Rises with every assignment. */
  readonly epoch: number
  readonly agentId: AgentId
  readonly siteId: SiteId
  readonly serverRef: MachineRef
  readonly disks: readonly AssignedDisk[]
  readonly state: AssignmentState
  readonly assignedBy: string
  readonly assignedAt: Instant
}

type Replicated = Pick<
  Protection,
  'state' | 'direction' | 'sourceSiteId' | 'sourceRef' | 'targetSiteId' | 'originalRef'
>

/** It runs as its replica somewhere else, so that its own disks may be written. */
export function runsElsewhere(siteId: SiteId, ref: MachineRef, protection: Replicated): boolean {
  const { state, sourceSiteId, sourceRef, targetSiteId, originalRef } = protection
  if (state === 'gone' || state === 'ending') return false
  if (targetSiteId === siteId && originalRef === ref) return true
  const failedOver = state === 'failedOver' || state === 'committing' || state === 'committed'
  return sourceSiteId === siteId && sourceRef === ref && (failedOver || state === 'reprotecting')
}

/**
 * Which disk of the computer each disk of the server would go to: the same disk, by the name that it has of itself; then one of the same size;
 * then the smallest that is big enough. Null: none is left for it.
 */
export function proposeDisks(
  wanted: readonly Pick<MachineDisk, 'key' | 'bytes'>[],
  there: readonly ReceiverDisk[],
): ReadonlyMap<DiskKey, ReceiverDisk | null> {
  const free = new Set(there.filter(({ blocked }) => blocked === null))
  const chosen = new Map<DiskKey, ReceiverDisk | null>(wanted.map(({ key }) => [key, null]))
  const choose = (fits: (disk: ReceiverDisk, of: Pick<MachineDisk, 'key' | 'bytes'>) => boolean): void => {
    for (const disk of wanted) {
      if (chosen.get(disk.key) !== null) continue
      const [first] = [...free]
        .filter((each) => each.bytes >= disk.bytes && fits(each, disk))
        .sort((one, other) => one.bytes - other.bytes)
      if (!first) continue
      free.delete(first)
      chosen.set(disk.key, first)
    }
  }
  choose((each, { key }) => each.keyIsStable && each.key === key)
  choose((each, { bytes }) => each.bytes === bytes)
  choose(() => true)
  return chosen
}

export type ChosenDisk = {
  readonly key: DiskKey
  readonly path: string
  /** As the person has seen it: paths name another disk after a restart. */
  readonly bytes: number
  readonly serial: string | null
}

/** What is kept of the choice. Refuses (`receiver/...`), by name, what must not or cannot be written. */
export function assignDisks(
  wanted: readonly Pick<MachineDisk, 'key' | 'label' | 'bytes'>[],
  there: readonly ReceiverDisk[],
  chosen: readonly ChosenDisk[],
): readonly AssignedDisk[] {
  if (chosen.length === 0) throw nothingChosen()
  if (new Set(chosen.map(({ key }) => key)).size < chosen.length) throw chosenTwice()
  if (new Set(chosen.map(({ path }) => path)).size < chosen.length) throw chosenTwice()
  return chosen.map((choice) => {
    const disk = wanted.find(({ key }) => key === choice.key)
    if (!disk) throw noSuchDisk(choice.key)
    const into = there.find(({ path }) => path === choice.path)
    if (!into || into.bytes !== choice.bytes || into.serial !== choice.serial) throw anotherDisk(choice.path)
    if (into.blocked !== null) throw inUse(into.path, into.blocked)
    if (into.bytes < disk.bytes)
      throw new Refusal({
        code: 'receiver/disk-too-small',
        message: tooSmall(into, disk),
        remedy: 'Choose a disk that is at least as big, or put a bigger one in.',
      })
    const { path, bytes, model, serial } = into
    return { key: disk.key, path, bytes, model, serial }
  })
}

export const tooSmall = (
  into: Pick<ReceiverDisk, 'path' | 'bytes'>,
  disk: Pick<MachineDisk, 'key' | 'bytes'>,
): string =>
  `${into.path} has ${formatBytes(into.bytes)}, and disk ${disk.key} of the server needs ${formatBytes(disk.bytes)}`

const nothingChosen = (): Refusal =>
  new Refusal({
    code: 'receiver/nothing-chosen',
    message: 'No disk was chosen',
    remedy: 'Choose a disk of this computer for each disk of the server.',
  })

const chosenTwice = (): Refusal =>
  new Refusal({
    code: 'receiver/disk-twice',
    message: 'A disk was chosen twice',
    remedy: 'Choose another disk of this computer for each disk of the server.',
  })

const noSuchDisk = (key: DiskKey): Refusal =>
  new Refusal({
    code: 'receiver/no-such-disk',
    message: `The server has no disk ${key}`,
    remedy: 'Read the lists again, and choose anew.',
  })

export const anotherDisk = (path: string): Refusal =>
  new Refusal({
    code: 'receiver/disk-changed',
    message: `${path} of this computer is not there, or is not the disk that it was when it was chosen`,
    remedy: 'Look at the disks of the computer again, and choose anew.',
  })

export const inUse = (path: string, why: string): Refusal =>
  new Refusal({
    code: 'receiver/disk-in-use',
    message: `${path} of this computer must not be written: ${why}`,
    remedy: 'Let it go in the rescue system, or choose another disk.',
  })
