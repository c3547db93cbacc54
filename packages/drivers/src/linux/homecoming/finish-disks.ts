// Makes a server that was written to the disks of this computer start on it: its partitions are told to the kernel, and in its own system, mounted as it
// mounts itself, the initial memory disks and the boot loader are made for whatever hardware this is. Repeatable. Whatever happens, nothing stays mounted.
import { mkdtemp, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import { runCommand } from '../run-command.ts'
import { finishBootLoader } from './boot-loader.ts'
import { findRoot } from './find-root.ts'
import { mountServer } from './mount-server.ts'
import { rebuildMemoryDisks } from './rebuild-memory-disks.ts'
import { removeReplicaNetwork } from './replica-network.ts'
import { type Run, runWell, type Tools } from './run-well.ts'
import { openUndoList } from './undo-list.ts'
import { openVolumes, type WrittenDisk } from './volumes.ts'

export type FinishRequest = {
  readonly disks: readonly WrittenDisk[]
  readonly run?: Run
  readonly signal?: AbortSignal | undefined
  /** How this computer was started; left out: as the kernel says. */
  readonly isUefi?: boolean
}

export type Finished = {
  /** In words, for the log of the job. What a person has to do begins with "To do by a person". */
  readonly changes: readonly string[]
}

/** Refuses, and fails as an Outage, with codes `homecoming/…`. */
export async function finishDisks({
  disks,
  run = runCommand,
  signal,
  isUefi,
}: FinishRequest): Promise<Finished> {
  const tools: Tools = { run, signal }
  const undo = openUndoList()
  const folder = await mkdtemp(join(tmpdir(), 'understudy-home-'))
  // Not its content: if something should still be mounted there, that would be the server.
  undo.add(`the folder ${folder}`, () => rmdir(folder))
  let changes: readonly string[]
  try {
    const opened = await openVolumes(disks, tools, undo)
    const found = await findRoot(opened.volumes, folder, tools)
    const server = await mountServer(found, opened.volumes, folder, tools, undo)
    changes = [
      ...opened.changes,
      ...(await removeReplicaNetwork(server.root)),
      ...(await rebuildMemoryDisks(server, tools)),
      ...(await finishBootLoader(
        {
          server,
          disks: disks.map(({ path }) => path),
          volumes: opened.volumes,
          isUefi: isUefi ?? (await isStartedByUefi()),
        },
        tools,
      )),
      ...server.notes,
    ]
  } catch (error) {
    throw withLeft(error, await undo.takeBackAll())
  }
  const left = await undo.takeBackAll()
  if (left.length > 0)
    throw new Outage({
      code: 'homecoming/not-let-go',
      message: `The disks are finished, but could not be let go: ${left.join('; ')}`,
      remedy:
        'Take that back in the rescue system with the commands named, or repeat the finishing; then restart the server.',
    })
  await runWell({ run, signal: undefined }, ['sync'], SYNC_SECONDS)
  return { changes }
}

const SYNC_SECONDS = 300

const isStartedByUefi = (): Promise<boolean> =>
  stat('/sys/firmware/efi').then(
    () => true,
    () => false,
  )

function withLeft(error: unknown, left: readonly string[]): unknown {
  if (left.length === 0 || !(error instanceof Outage || error instanceof Refusal)) return error
  const { code, message, remedy } = error
  const told = {
    code,
    message: `${message}. What could not be taken back: ${left.join('; ')}`,
    remedy,
    cause: error,
  }
  return error instanceof Refusal ? new Refusal(told) : new Outage(told)
}
