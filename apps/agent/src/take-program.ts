// A program that somebody offers, until it lies beside ours as one that may take its place: signed by whom we know, for this platform,
// newer, whole, and able to run here.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { chmod, type FileHandle, open, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { programProof } from '@understudy/agent-protocol/proofs'
import { Refusal } from '@understudy/base/errors'
import { isNewer } from '@understudy/domain/agents/agent-version'
import type { CommandEnd } from '@understudy/drivers/linux/run-command'
import type { Act } from './exchange-program.ts'
import type { FetchedProgram } from './fetch-program.ts'

export type ProgramToTake = {
  readonly offered: FetchedProgram
  readonly programKey: string
  readonly ownVersion: string
  readonly ownPlatform: string
  /** Where it goes to. Nothing is there afterwards when it is refused. */
  readonly file: string
  /** Runs `<file> --selftest`. */
  selfTest(file: string): Promise<CommandEnd>
  readonly act: Act
}

/** What the rest of the server needs of that disk is left to it. */
const LEFT_BYTES = 64 * 2 ** 20
/** A hold must not wait for more than that. */
const SYNC_BYTES = 8 * 2 ** 20

/** Resolves to its version. Refuses with `agent/...`; Outages are those of the line. */
export async function takeProgram(wanted: ProgramToTake): Promise<string> {
  const { offered, file, act } = wanted
  try {
    checkOffer(wanted)
    await checkRoom(dirname(file), offered.bytes)
    await keep(wanted)
    await act(() => chmod(file, 0o755))
    const { code, output } = await wanted.selfTest(file)
    if (code !== 0 || output.trim() !== selfTestAnswer(offered.version))
      throw selfTestFailed(offered.version, output)
    return offered.version
  } catch (error) {
    await act(() => rm(file, { force: true }))
    throw error
  } finally {
    offered.close()
  }
}

export const selfTestAnswer = (version: string): string => `understudy-agent ${version} works here`

function checkOffer({ offered, programKey, ownVersion, ownPlatform }: ProgramToTake): void {
  if (!isSigned(offered, programKey)) throw wrongSignature()
  if (offered.platform !== ownPlatform) throw wrongPlatform(offered.platform, ownPlatform)
  if (!isNewer(offered.version, ownVersion)) throw notNewer(offered.version, ownVersion)
}

function isSigned(offered: FetchedProgram, programKey: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(programKey, 'base64url'), format: 'der', type: 'spki' })
    const signature = Buffer.from(offered.signature, 'base64url')
    return key.asymmetricKeyType === 'ed25519' && verify(null, programProof(offered), key, signature)
  } catch {
    return false
  }
}

async function checkRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + LEFT_BYTES) throw noRoom(folder, bytes)
}

async function keep({ offered: { content, bytes, sha256 }, file, act }: ProgramToTake): Promise<void> {
  const hash = createHash('sha256')
  let taken = 0
  let unsynced = 0
  const target = await opened(file, act)
  try {
    for await (const piece of content) {
      taken += piece.length
      if (taken > bytes) break
      hash.update(piece)
      unsynced += piece.length
      const sync = unsynced >= SYNC_BYTES || taken === bytes
      if (sync) unsynced = 0
      await act(async () => {
        await target.writeFile(piece)
        if (sync) await target.sync()
      })
    }
  } finally {
    await target.close()
  }
  if (taken !== bytes || hash.digest('hex') !== sha256) throw wrongProgram()
}

async function opened(file: string, act: Act): Promise<FileHandle> {
  let target: FileHandle | null = null
  await act(async () => {
    await rm(file, { force: true })
    target = await open(file, 'wx', 0o700)
  })
  if (target === null) throw new Error('The act was done')
  return target
}

const wrongSignature = (): Refusal =>
  new Refusal({
    code: 'agent/wrong-signature',
    message:
      'The program is not signed with the key of the control plane that this agent was enrolled at; nothing was changed',
    remedy:
      'If the file agent-programs.pem of the control plane was lost, bring it back, or install the agent anew. If not, find out who has changed the program.',
  })

const wrongPlatform = (theirs: string, ours: string): Refusal =>
  new Refusal({
    code: 'agent/wrong-platform',
    message: `The program is for ${theirs}, and this server is ${ours}; nothing was changed`,
    remedy: 'Build the programs again beside the control plane: npm run build:agent -- --all',
  })

const notNewer = (theirs: string, ours: string): Refusal =>
  new Refusal({
    code: 'agent/not-newer',
    message: `The program that is offered is ${theirs}, and this agent is ${ours} already; nothing was changed`,
    remedy: 'An older one is put back by hand: understudy-agent install, of that program.',
  })

const noRoom = (folder: string, bytes: number): Refusal =>
  new Refusal({
    code: 'agent/no-room',
    message: `${folder} has no room for the new program, which takes ${Math.ceil(bytes / 2 ** 20)} MiB; nothing was changed`,
    remedy: 'Make room there, and upgrade again.',
  })

const wrongProgram = (): Refusal =>
  new Refusal({
    code: 'agent/wrong-program',
    message: 'What came is not the program that was signed; nothing was changed',
    remedy: 'Upgrade again. If it stays, build the programs again: npm run build:agent',
  })

const selfTestFailed = (version: string, output: string): Refusal =>
  new Refusal({
    code: 'agent/selftest-failed',
    message: `The program ${version} does not work on this server: ${output.trim().slice(0, 500) || 'it says nothing'}; nothing was changed`,
    remedy: 'The agent goes on with the program that it has. Look for what the server lacks.',
  })
