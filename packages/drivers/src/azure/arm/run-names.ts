// What the things of a run are called in Azure, and how they are known to be the run's. All follows from the run's id, so that whoever
// repeats a step finds what the step has made. Pure.
import { createHash } from 'node:crypto'
import type { RunId } from '@understudy/domain/failover/failover'
import { chooseFreeName } from '@understudy/domain/machines/choose-free-name'

/** The run that owns it. Nothing without this tag is ever changed or removed. */
export const RUN_TAG = 'understudy-run'
export const MODE_TAG = 'understudy-mode'
/** On the machine of a run that was committed. */
export const ADOPTED_TAG = 'understudy-adopted'
/** On a disk, and on what is kept of it: what the disk is called in the points. */
export const DISK_TAG = 'understudy-disk'
/** On a disk: the size of the one that it was made of, which Azure rounds up. */
export const BYTES_TAG = 'understudy-bytes'

export type Tagged = { readonly name?: string; readonly tags?: Readonly<Record<string, string>> }

export const isOfRun = ({ tags }: Tagged, runId: RunId): boolean => tags?.[RUN_TAG] === runId

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** 60 bits: nobody else has this name by chance. */
const runKey = (runId: RunId): string => digest(`run ${runId}`).toString('hex').slice(0, 15)

/** `part` is `disk0`, `adapter1`, `network`, ... */
export const partName = (runId: RunId, part: string): string => `understudy-${runKey(runId)}-${part}`
export const isPartName = (runId: RunId, name: string): boolean => name.startsWith(partName(runId, ''))

/** Where the content of the run's disks lies until Azure has made disks of it. */
export const copiesFolder = (runId: RunId): string => `runs/${runKey(runId)}/`
export const copyName = (runId: RunId, index: number): string => `${copiesFolder(runId)}disk${index}.vhd`
/** Of a fixed VHD: the same whenever the copy is made again. */
export const copyId = (runId: RunId, index: number): Buffer =>
  digest(`disk ${index} of ${runId}`).subarray(0, 16)

const LONGEST_MACHINE_NAME = 64

/** Letters, digits and dashes, which Azure takes anywhere. */
export function toMachineName(wished: string): string {
  const name = wished
    .replace(/[^A-Za-z0-9-]+/g, '-')
    .slice(0, LONGEST_MACHINE_NAME)
    .replace(/^-+|-+$/g, '')
  return name === '' ? 'machine' : name
}

/** Azure does not tell upper from lower case. */
export function freeMachineName(wished: string, taken: Iterable<string>): string {
  const name = toMachineName(wished)
  const lowered = new Set([...taken].map((one) => one.toLowerCase()))
  if (!lowered.has(name.toLowerCase())) return name
  return chooseFreeName(name.toLowerCase(), lowered, LONGEST_MACHINE_NAME)
}
