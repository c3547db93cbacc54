// The program that the server offers, over the same way as everything else.
import type { IncomingMessage } from 'node:http'
import { request as httpRequest } from 'node:http'
import { json } from 'node:stream/consumers'
import { agentPaths, type ProgramProof, programHeaders } from '@understudy/agent-protocol/proofs'
import { Outage, Refusal } from '@understudy/base/errors'
import { z } from 'zod'
import { dial, type Trusted } from './dial.ts'
import { toFailure } from './enrol.ts'

export type FetchedProgram = ProgramProof & {
  /** Base64url, over `programProof`. Nothing has been checked yet. */
  readonly signature: string
  readonly content: AsyncIterable<Buffer>
  close(): void
}

const QUIET_MILLISECONDS = 60_000

const Headers = z.object({
  [programHeaders.platform]: z.string(),
  [programHeaders.version]: z.string(),
  [programHeaders.sha256]: z.string(),
  [programHeaders.signature]: z.string(),
  'content-length': z.coerce.number().int().positive(),
})

/** Refuses as the server does; an Outage when it is away, or too many ask at once. */
export async function fetchProgram(trusted: Trusted, platform: string): Promise<FetchedProgram> {
  const line = await dial(trusted)
  line.setTimeout(QUIET_MILLISECONDS, () => line.destroy(new Error('nothing comes any more')))
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => line,
      path: `${agentPaths.program}/${platform}`,
      headers: { host: new URL(trusted.server).host, connection: 'close' },
    })
    request.once('response', resolve)
    request.once('error', (cause) => reject(cutOff(cause)))
    request.end()
  })
  if (response.statusCode !== 200) {
    const body = await json(response).catch(() => null)
    line.destroy()
    throw toFailure(response.statusCode ?? 0, body)
  }
  const { data } = Headers.safeParse(response.headers)
  if (!data) {
    line.destroy()
    throw notSigned()
  }
  return {
    platform: data[programHeaders.platform],
    version: data[programHeaders.version],
    sha256: data[programHeaders.sha256],
    signature: data[programHeaders.signature],
    bytes: data['content-length'],
    content: contentOf(response),
    close: () => void line.destroy(),
  }
}

async function* contentOf(response: IncomingMessage): AsyncIterable<Buffer> {
  try {
    yield* response as AsyncIterable<Buffer>
  } catch (cause) {
    throw cutOff(cause)
  }
}

const cutOff = (cause: unknown): Outage =>
  new Outage({
    code: 'agent/program-cut-off',
    message: `The program did not come whole: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'It is tried again.',
    cause,
  })

const notSigned = (): Refusal =>
  new Refusal({
    code: 'agent/wrong-signature',
    message: 'The server does not say who has signed the program',
    remedy: 'Bring the control plane to the newest version.',
  })
