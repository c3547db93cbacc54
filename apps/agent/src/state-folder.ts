// What an agent keeps, in a folder of its own that nobody else may read. Every file is there whole or not at all.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Said } from '@understudy/agent-protocol/messages'
import { Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { type HoldGate, openHoldGate } from '@understudy/drivers/linux/hold-gate'
import type { Receiving } from '@understudy/drivers/physical/receiver-desk'
import { replaceFile } from '@understudy/drivers/wires/replace-file'
import { z } from 'zod'

/** Who it is, and whom it dials. The key is made here and never leaves. */
const Identity = z.object({
  server: z.url(),
  fingerprint: z.string(),
  /** PEM. Believed because of its fingerprint. */
  certificate: z.string(),
  proxy: z.url().nullable(),
  name: z.string(),
  serverIdentity: z.string(),
  /** Given when it was enrolled; null: the machine id of the server, which is looked at again at every start. */
  identityText: z.string().nullable(),
  privateKey: z.string(),
  /** Null: it has a key and no place yet. */
  agentId: z.string().nullable(),
  siteName: z.string(),
  roles: z.array(z.string()),
  /** Ed25519, SPKI, base64url: whose programs may take the place of this one. The first that the server has told stays. */
  programKey: z.string().nullable().default(null),
})
export type Identity = z.infer<typeof Identity>

const Order = z.object({ id: z.string(), kind: z.string() })

/** How far the numbered messages have come, in both directions. */
const Progress = z.object({
  /** Of the newest order that was taken. */
  received: z.number().int(),
  /** Taken and not answered yet. */
  orders: z.array(Order),
  outbox: z.object({
    last: z.number().int(),
    waiting: z.array(z.object({ sequence: z.number().int(), body: Said })),
  }),
})
export type Progress = z.infer<typeof Progress>

/** What a receiver writes for. It outlives the process: after a kill the same goes on. */
const ReceivingShape = z.object({
  assignment: z.string(),
  epoch: z.number().int(),
  disks: z.array(
    z.object({
      key: z.string().transform((key) => key as DiskKey),
      path: z.string(),
      bytes: z.number().int(),
      serial: z.string().nullable(),
    }),
  ),
})

/** For `understudy-agent status`. Losing it loses nothing. */
const Standing = z.object({
  pid: z.number().int(),
  version: z.string(),
  connected: z.boolean(),
  since: z.number(),
  /** Why it is not connected. */
  note: z.string().nullable(),
  backlog: z.number().int(),
})
export type Standing = z.infer<typeof Standing>

/** How far another program is in the place of this one. It outlives both. */
const UpgradeRecord = z.object({
  orderId: z.string(),
  from: z.string(),
  to: z.string(),
  /** `given-up`: it is to be put back. `rolled-back`: it is, or nearly. */
  state: z.enum(['trial', 'given-up', 'rolled-back', 'confirmed']),
  /** Of the trial. */
  starts: z.number().int(),
  /** It was given up. */
  why: z.string().nullable(),
})
export type UpgradeRecord = z.infer<typeof UpgradeRecord>

export type StateFolder = {
  readonly path: string
  identity(): Promise<Identity | null>
  saveIdentity(identity: Identity): Promise<void>
  progress(): Promise<Progress>
  saveProgress(progress: Progress): Promise<void>
  receiving(): Promise<Receiving | null>
  saveReceiving(receiving: Receiving): Promise<void>
  standing(): Promise<Standing | null>
  saveStanding(standing: Standing): Promise<void>
  upgrade(): Promise<UpgradeRecord | null>
  saveUpgrade(record: UpgradeRecord | null): Promise<void>
}

/** Of the agent that is installed as a service. */
export const SERVICE_FOLDER = '/var/lib/understudy-agent'

/** Whoever asks as root how an agent stands means the one that is installed. */
export const defaultFolder = (environment: NodeJS.ProcessEnv): string =>
  environment.UNDERSTUDY_AGENT_HOME ??
  (existsSync(join(SERVICE_FOLDER, 'identity.json')) ? SERVICE_FOLDER : join(homedir(), '.understudy-agent'))

/**
 * What is written waits while the gate is held: the folder may lie on what is held still. Refuses (`agent/open-folder`) a folder that others may enter, and (`agent/bad-state`) what it did
 * not write.
 */
export async function openStateFolder(path: string, gate: HoldGate = openHoldGate()): Promise<StateFolder> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const { mode } = await stat(path)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new Refusal({
      code: 'agent/open-folder',
      message: `Others may enter ${path}, where the key of this agent lies`,
      remedy: `Close it: chmod 700 ${path}`,
    })
  const read = async <Kept>(name: string, schema: z.ZodType<Kept>): Promise<Kept | null> => {
    const file = join(path, name)
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (text === null) return null
    try {
      return schema.parse(JSON.parse(text))
    } catch (cause) {
      throw new Refusal({
        code: 'agent/bad-state',
        message: `${file} is not what an agent wrote`,
        remedy: `Bring it back, or remove ${path} and enrol again with a new token.`,
        cause,
      })
    }
  }
  // Of several that have waited together the newest must be the last.
  const turn = inTurn()
  const write = (name: string, value: unknown): Promise<void> =>
    turn(() => gate.write(() => replaceFile(join(path, name), `${JSON.stringify(value, null, 1)}\n`)))
  return {
    path,
    identity: () => read('identity.json', Identity),
    saveIdentity: (identity) => write('identity.json', identity),
    progress: async () =>
      (await read('progress.json', Progress)) ?? {
        received: 0,
        orders: [],
        outbox: { last: 0, waiting: [] },
      },
    saveProgress: (progress) => write('progress.json', progress),
    receiving: () => read('receiving.json', ReceivingShape),
    saveReceiving: (receiving) => write('receiving.json', receiving),
    standing: () => read('standing.json', Standing),
    saveStanding: (standing) => write('standing.json', standing),
    upgrade: () => read('upgrade.json', UpgradeRecord),
    saveUpgrade: (record) =>
      record === null
        ? turn(() => gate.write(() => rm(join(path, 'upgrade.json'), { force: true })))
        : write('upgrade.json', record),
  }
}
