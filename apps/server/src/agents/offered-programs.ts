// The agent's program, for whoever has nothing of ours yet: as it was built beside this server, if it was.
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { agentPaths, type ProgramProof, programHeaders } from '@understudy/agent-protocol/proofs'
import { Outage, Refusal } from '@understudy/base/errors'
import { z } from 'zod'
import type { ProgramKey } from './program-key.ts'

export const programFolder = fileURLToPath(new URL('../../../agent/dist', import.meta.url))

export type OfferedPrograms = {
  /** At least one for Linux. */
  isThere(): Promise<boolean>
  /** What is offered for each platform, by its version. */
  versions(): Promise<ReadonlyMap<string, string>>
  /** Whether the request was one for a program; it is answered then. Refuses `agent/no-program`; `agent/too-many-downloads` is an Outage. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<boolean>
}

const Manifest = z.object({
  version: z.string().max(60),
  programs: z.record(
    z.string(),
    z.object({ file: z.string().regex(/^[\w.-]+$/), bytes: z.number().int(), sha256: z.string() }),
  ),
})
type Manifest = z.infer<typeof Manifest>
type Program = ProgramProof & { readonly content: FileHandle }

/** More would take the line from those that replicate. */
const MOST_AT_ONCE = 8
const QUIET_MILLISECONDS = 60_000
const LONGEST_MILLISECONDS = 60 * 60_000

/** As `uname -m` says it. */
const otherNames: Readonly<Record<string, string>> = {
  'linux-x86_64': 'linux-x64',
  'linux-aarch64': 'linux-arm64',
}

/** `key`: signs what is given; looked for when somebody asks. */
export function offerPrograms(
  folder: string,
  key: () => ProgramKey,
  mostAtOnce = MOST_AT_ONCE,
): OfferedPrograms {
  let atOnce = 0
  /** Null: it is not there, or is not the one that the manifest names. */
  const openProgram = async (platform: string): Promise<Program | null> => {
    const { version, programs } = await readManifest(folder)
    const { file, bytes, sha256 } = programs[platform] ?? {}
    if (file === undefined || bytes === undefined || sha256 === undefined) return null
    const content = await open(path.join(folder, file)).catch(() => null)
    if (content === null) return null
    // What is built anew takes its place by its name: the one that is open stays what it is.
    if ((await content.stat()).size === bytes) return { platform, version, bytes, sha256, content }
    await content.close()
    return null
  }
  return {
    async isThere() {
      for (const platform of Object.values(otherNames)) {
        const program = await openProgram(platform)
        if (program === null) continue
        await program.content.close()
        return true
      }
      return false
    },
    async versions() {
      const { version, programs } = await readManifest(folder)
      return new Map(Object.keys(programs).map((platform) => [platform, version]))
    },
    async answer({ method, url = '' }, response) {
      const [, name] = /^([^?]*)/.exec(url.slice(`${agentPaths.program}/`.length)) ?? []
      if (!url.startsWith(`${agentPaths.program}/`) || (method !== 'GET' && method !== 'HEAD')) return false
      const platform = otherNames[name ?? ''] ?? name ?? ''
      if (atOnce >= mostAtOnce) throw tooMany()
      atOnce += 1
      try {
        const program = await openProgram(platform)
        if (program === null) throw notThere(platform)
        await give(program, key().sign(program), method === 'HEAD', response)
      } finally {
        atOnce -= 1
      }
      return true
    },
  }
}

async function give(
  { platform, version, bytes, sha256, content }: Program,
  signature: string,
  headOnly: boolean,
  response: ServerResponse,
) {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes,
    [programHeaders.platform]: platform,
    [programHeaders.version]: version,
    [programHeaders.sha256]: sha256,
    [programHeaders.signature]: signature,
    'cache-control': 'no-store',
    connection: 'close',
  })
  if (headOnly) {
    await content.close()
    return void response.end()
  }
  const end = (): void => void response.destroy()
  response.setTimeout(QUIET_MILLISECONDS, end)
  const late = setTimeout(end, LONGEST_MILLISECONDS)
  // Whoever hangs up in the middle asks again.
  await pipeline(content.createReadStream({ highWaterMark: 256 * 1024 }), response).catch(end)
  clearTimeout(late)
}

async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(path.join(folder, 'manifest.json'), 'utf8').catch(() => '{}')
  try {
    return Manifest.parse(JSON.parse(text))
  } catch {
    // Not built, or by something else than our tools: there is nothing to offer.
    return { version: '', programs: {} }
  }
}

const notThere = (platform: string): Refusal =>
  new Refusal({
    code: 'agent/no-program',
    message: `There is no program of the agent for "${platform}" here`,
    remedy: 'Build it beside the server: npm run build:agent -- --all',
  })

const tooMany = (): Outage =>
  new Outage({
    code: 'agent/too-many-downloads',
    message: 'The program is being fetched by as many as may do so at once',
    remedy: 'Try it again in a minute.',
  })
