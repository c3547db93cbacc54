// Another program in the place of the running one, and back. Between any two of these acts the power may go: whichever program is started
// next finds in the record what to do, and there is always a whole one to be started.
import { link, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '@understudy/drivers/wires/replace-file'
import type { StateFolder, UpgradeRecord } from './state-folder.ts'

export type ProgramPaths = { readonly program: string; readonly former: string; readonly next: string }

/** Does it, when the server is not held still. */
export type Act = (work: () => Promise<void>) => Promise<void>

type Exchange = {
  readonly paths: ProgramPaths
  readonly folder: Pick<StateFolder, 'upgrade' | 'saveUpgrade'>
  readonly act: Act
}

/** Of a trial: one that does not even get so far that it counts its own time. */
const MOST_STARTS = 3

/** `next` takes the place of `program`, on trial. Repeatable as long as it has not been started. */
export async function exchange(
  { paths: { program, former, next }, folder, act }: Exchange,
  { orderId, from, to }: Pick<UpgradeRecord, 'orderId' | 'from' | 'to'>,
): Promise<void> {
  // One of an earlier exchange would be put back in place of the one that runs.
  await act(() => removeWhole(former))
  // Before the programs change places: a trial that nobody knows of would never end.
  await folder.saveUpgrade({ orderId, from, to, state: 'trial', starts: 0, why: null })
  const draft = `${former}.new`
  await act(async () => {
    await rm(draft, { force: true })
    await link(program, draft)
    await rename(draft, former)
    await syncFolder(dirname(former))
  })
  await act(async () => {
    await rename(next, program)
    await syncFolder(dirname(program))
  })
}

/** Run by the former program, which is known to work, before each start. */
export async function beforeStart({ paths: { program, former }, folder, act }: Exchange): Promise<void> {
  const record = await folder.upgrade()
  if (record === null || record.state === 'confirmed' || (await isSameFile(program, former))) return
  if (record.state === 'trial' && record.starts < MOST_STARTS)
    return folder.saveUpgrade({ ...record, starts: record.starts + 1 })
  // Written down first: who is back and finds a trial would begin it again.
  const why = record.why ?? `It was started ${record.starts} times, and was not connected.`
  await folder.saveUpgrade({ ...record, state: 'rolled-back', why })
  await act(async () => {
    await rename(former, program)
    await syncFolder(dirname(program))
  })
}

/** The program on trial is believed from now on. */
export async function confirm({ paths: { former }, folder, act }: Exchange): Promise<void> {
  const record = await folder.upgrade()
  if (record) await folder.saveUpgrade({ ...record, state: 'confirmed' })
  await act(() => removeWhole(former))
}

/** Left by whoever was cut off after it was confirmed. */
export const clearAway = ({ paths: { former }, act }: Pick<Exchange, 'paths' | 'act'>): Promise<void> =>
  act(() => removeWhole(former))

/** Also where there was none: that it has gone is on the disk. */
async function removeWhole(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}

/** False where the program is not there at all: the former one is all that there is. */
async function isSameFile(program: string, former: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(program).catch(() => null), stat(former)])
  return one !== null && one.ino === other.ino && one.dev === other.dev
}
