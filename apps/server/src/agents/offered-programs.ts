// The agent's program, for whoever has nothing of ours yet: as it was built beside this server, if it was.
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { agentPaths, programHeaders } from '@understudy/agent-protocol/proofs'
import { Outage, Refusal } from '@understudy/base/errors'
import { z } from 'zod'

export const programFolder = fileURLToPath(new URL('../../../agent/dist', import.meta.url))

export type OfferedPrograms = {
  /** At least one for Linux. */
  isThere(): Promise<boolean>
  /** Whether the request was one for a program; it is answered then. Refuses `agent/no-program`; `agent/too-many-downloads` is an Outage. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<boolean>
}

const Manifest = z.object({
  programs: z.record(
    z.string(),
    z.object({ file: z.string().regex(/^[\w.-]+$/), bytes: z.number().int(), sha256: z.string() }),
  ),
})
type Program = { readonly bytes: number; readonly sha256: string; readonly content: FileHandle }

/** More would take the line from those that replicate. */
const MOST_AT_ONCE = 8
const QUIET_MILLISECONDS = 60_000
const LONGEST_MILLISECONDS = 60 * 60_000

/** As `uname -m` says it. */
const otherNames: Readonly<Record<string, string>> = {
  'linux-x86_64': 'linux-x64',
  'linux-aarch64': 'linux-arm64',
}

export function offerPrograms(folder: string, mostAtOnce = MOST_AT_ONCE): OfferedPrograms {
  let atOnce = 0
  /** Null: it is not there, or is not the one that the manifest names. */
  const openProgram = async (platform: string): Promise<Program | null> => {
    const { file, bytes, sha256 } = (await readPrograms(folder))[platform] ?? {}
    if (file === undefined || bytes === undefined || sha256 === undefined) return null
    const content = await open(path.join(folder, file)).catch(() => null)
    if (content === null) return null
    // What is built anew takes its place by its name: the one that is open stays what it is.
    if ((await content.stat()).size === bytes) return { bytes, sha256, content }
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
    async answer({ method, url = '' }, response) {
      const [, name] = /^([^?]*)/.exec(url.slice(`${agentPaths.program}/`.length)) ?? []
      if (!url.startsWith(`${agentPaths.program}/`) || (method !== 'GET' && method !== 'HEAD')) return false
      const platform = otherNames[name ?? ''] ?? name ?? ''
      if (atOnce >= mostAtOnce) throw tooMany()
      atOnce += 1
      try {
        const program = await openProgram(platform)
        if (program === null) throw notThere(platform)
        await give(program, method === 'HEAD', response)
      } finally {
        atOnce -= 1
      }
      return true
    },
  }
}

async function give({ bytes, sha256, content }: Program, headOnly: boolean, response: ServerResponse) {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes,
    [programHeaders.sha256]: sha256,
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

async function readPrograms(folder: string): Promise<z.infer<typeof Manifest>['programs']> {
  const text = await readFile(path.join(folder, 'manifest.json'), 'utf8').catch(() => '{}')
  try {
    return Manifest.parse(JSON.parse(text)).programs
  } catch {
    // Not built, or by something else than our tools: there is nothing to offer.
    return {}
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
