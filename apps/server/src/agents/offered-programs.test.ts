// The port that gives the program away, over its own TLS.
import { createHash, createPublicKey, randomBytes, verify, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { programProof } from '@understudy/agent-protocol/proofs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AgentCertificate, loadAgentCertificate } from './agent-certificate.ts'
import { type AgentListener, listenForAgents } from './agent-listener.ts'
import { offerPrograms } from './offered-programs.ts'
import { loadProgramKey, type ProgramKey } from './program-key.ts'

/** More than fits between two ends of a connection: who does not read holds it up. */
const program = randomBytes(32 * 2 ** 20)
const sha256 = createHash('sha256').update(program).digest('hex')

let home: string
let folder: string
let certificate: AgentCertificate
let key: ProgramKey
let listener: AgentListener
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-programs-'))
  folder = join(home, 'programs')
  certificate = loadAgentCertificate(home)
  key = loadProgramKey(home)
  const never = (): never => {
    throw new Error('only programs are asked for')
  }
  const { answer } = offerPrograms(folder, () => key, 2)
  const handlers = { enrol: never, control: never, stream: never, writes: never, program: answer }
  listener = await listenForAgents({ host: '127.0.0.1', port: 0 }, certificate, handlers)
})
afterEach(async () => {
  await listener.close()
  await rm(home, { recursive: true, force: true })
})

async function build(change: { bytes?: number } = {}): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'the-program'), program)
  const built = { file: 'the-program', bytes: program.length, sha256, inputs: 'x', ...change }
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify({ version: '1', programs: { 'linux-x64': built } }),
  )
}

async function ask(platform: string, method = 'GET'): Promise<IncomingMessage> {
  const request = httpsRequest({
    host: '127.0.0.1',
    port: listener.port,
    path: `/agents/v1/program/${platform}`,
    method,
    ca: [certificate.certificate],
    checkServerIdentity: () => undefined,
    agent: false,
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}
const codeOf = async (response: IncomingMessage): Promise<unknown> =>
  JSON.parse((await buffer(response)).toString()).code

test.each(['linux-x64', 'linux-x86_64'])(
  'the program for %s comes whole, with its length and digest',
  async (platform) => {
    await build()
    const response = await ask(platform)
    expect(response.statusCode).toBe(200)
    expect(response.headers).toMatchObject({
      'content-length': String(program.length),
      'x-understudy-sha256': sha256,
      'x-understudy-version': '1',
      'x-understudy-platform': 'linux-x64',
    })
    const proof = programProof({ platform: 'linux-x64', version: '1', bytes: program.length, sha256 })
    const publicKey = createPublicKey({
      key: Buffer.from(loadProgramKey(home).publicKey, 'base64url'),
      format: 'der',
      type: 'spki',
    })
    const signature = Buffer.from(String(response.headers['x-understudy-signature']), 'base64url')
    expect(verify(null, proof, publicKey, signature)).toBe(true)
    expect((await stat(join(home, 'agent-programs.pem'))).mode & 0o777).toBe(0o600)
    expect((await buffer(response)).equals(program)).toBe(true)
  },
)

test('who asks only what it is gets no content', async () => {
  await build()
  const response = await ask('linux-x64', 'HEAD')
  expect(response.headers['content-length']).toBe(String(program.length))
  expect((await buffer(response)).length).toBe(0)
})

test.each<[string, () => Promise<unknown>, string]>([
  ['what was never built', async () => {}, 'linux-x64'],
  ['another platform', build, 'linux-arm64'],
  ['what only looks like a platform', build, '..%2f..%2fagents.pem'],
  ['another file of the folder', build, 'the-program'],
  ['a program that is not the one of the manifest', () => build({ bytes: 5 }), 'linux-x64'],
  [
    'a manifest that names a file of another folder',
    async () => {
      await build()
      const { size } = await stat(join(home, 'agents.pem'))
      const programs = { 'linux-x64': { file: '../agents.pem', bytes: size, sha256 } }
      await writeFile(join(folder, 'manifest.json'), JSON.stringify({ version: '1', programs }))
    },
    'linux-x64',
  ],
])('%s is not given', async (_what, make, platform) => {
  await make()
  const response = await ask(platform)
  expect(response.statusCode).toBeGreaterThanOrEqual(400)
  expect(await codeOf(response)).toBe('agent/no-program')
})

test('only so many fetch it at once, and the next one comes in when one has gone', async () => {
  await build()
  const one = await ask('linux-x64')
  const two = await ask('linux-x64')
  const third = await ask('linux-x64')
  expect(third.statusCode).toBe(503)
  expect(await codeOf(third)).toBe('agent/too-many-downloads')
  one.destroy()
  await expect
    .poll(async () => {
      const response = await ask('linux-x64', 'HEAD')
      response.resume()
      return response.statusCode
    })
    .toBe(200)
  expect((await buffer(two)).equals(program)).toBe(true)
})

test('the pin is the digest of the public key, as RFC 7469 has it', () => {
  const key = new X509Certificate(certificate.certificate).publicKey.export({ type: 'spki', format: 'pem' })
  const der = Buffer.from(String(key).replace(/-----[^-]+-----|\n/g, ''), 'base64')
  expect(certificate.keyPin).toBe(createHash('sha256').update(der).digest('base64'))
})
