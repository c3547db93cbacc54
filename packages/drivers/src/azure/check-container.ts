// Whether a container can keep replicas, asked before the first one is made: what the sign-in may not do, by name.
import { randomUUID } from 'node:crypto'
import { Refusal } from '@understudy/base/errors'
import { type AzureContainer, connectAzure } from './azure-calls.ts'
import { defaultPatience, type Patience, patientCalls } from './patient-calls.ts'
import { probePageDiff } from './probe.ts'
import { HEADS } from './replica-head.ts'
import type { StorageCalls } from './storage-calls.ts'

export type ContainerRight = 'list' | 'write' | 'read' | 'pages' | 'delete'

export type ContainerCheck = {
  /** Empty: everything that replicas need is allowed. */
  readonly missing: readonly ContainerRight[]
  /** What was said to the first right that is missing. */
  readonly refusal: Refusal | null
  /** False: the storage cannot be asked for changed pages, as an emulator. Slower, not wrong. */
  readonly pageDiff: boolean
}

const NOT_ALLOWED = ['azure/permission-missing', 'azure/not-authorized']

/**
 * Asks for every right by using it, and takes away what it made. Throws what has nothing to do with rights: no such container, a key
 * that does not fit, a line that is down.
 */
export async function checkContainer(
  container: AzureContainer,
  patience: Partial<Patience> = {},
): Promise<ContainerCheck> {
  const calls = patientCalls(await connectAzure(container), { ...defaultPatience, ...patience })
  return await checkRights(calls)
}

async function checkRights(calls: StorageCalls): Promise<ContainerCheck> {
  const name = `probes/${randomUUID()}.json`
  const file = { body: Buffer.from('{}'), metadata: {} }
  const missing: ContainerRight[] = []
  let refusal: Refusal | null = null
  let pageDiff = false
  const ask = async (right: ContainerRight, use: () => Promise<unknown>): Promise<void> => {
    try {
      await use()
    } catch (error) {
      if (!(error instanceof Refusal) || !NOT_ALLOWED.includes(error.code)) throw error
      missing.push(right)
      refusal ??= error
    }
  }
  await ask('list', async () => {
    for await (const _ of calls.list(HEADS, {})) return
  })
  await ask('write', () => calls.put(name, file, 'absent'))
  await ask('read', () => calls.get(name))
  // Without these two the next would fail for their reason, and leave something behind.
  await ask('delete', () => calls.remove(name, {}))
  if (!missing.includes('write') && !missing.includes('delete'))
    await ask('pages', async () => {
      pageDiff = await probePageDiff(calls)
    })
  return { missing, refusal, pageDiff }
}

const wordsOfRight: Record<ContainerRight, string> = {
  list: 'list blobs',
  read: 'read blobs',
  write: 'create and write blobs',
  pages: 'write pages and take snapshots',
  delete: 'delete blobs',
}

const purposeOfRight: Record<ContainerRight, string> = {
  list: 'to find replicas and their points',
  read: 'to read points back',
  write: 'to keep what belongs to a point',
  pages: 'to keep disks and seal their points',
  delete: 'to remove points that are not kept any more',
}

/** Refuses by name what the sign-in may not do. */
export function refuseMissingRights({ missing, refusal }: ContainerCheck, container: string): void {
  if (refusal === null) return
  // Nothing is allowed at all: that is a firewall, or a sign-in for something else, which Azure has told.
  if (missing.length === PROBED_ALONE && refusal.code === 'azure/not-authorized') throw refusal
  throw new Refusal({
    code: 'azure/permission-missing',
    message: `The sign-in may not ${missing.map((right) => wordsOfRight[right]).join(', nor ')} in the container ${container}`,
    remedy:
      'Make a shared access signature with Read, Add, Create, Write, Delete and List (racwdl) for this container, or sign in with an account key.',
    cause: refusal,
    facts: {
      missing,
      missingRights: missing.map((right) => ({
        right: wordsOfRight[right],
        scope: `container ${container}`,
        purpose: purposeOfRight[right],
      })),
    },
  })
}

/** Pages are not asked for where files cannot be written. */
const PROBED_ALONE = 4
