// `understudy-agent enrol`: from a one-line command of the console to an agent of a site.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { EnrolAnswer } from '@understudy/agent-protocol/messages'
import { agentPaths, enrolProof, isFingerprint } from '@understudy/agent-protocol/proofs'
import { Outage, Refusal } from '@understudy/base/errors'
import { z } from 'zod'
import { agentVersion } from './agent-version.ts'
import { ask, dial, fetchCertificate } from './dial.ts'
import { identifyServer, lookAround, lookAtHardware, whyToRest } from './look-around.ts'
import type { Identity, StateFolder } from './state-folder.ts'

export type EnrolOptions = {
  readonly server: string
  readonly token: string
  readonly fingerprint: string
  readonly name: string
  readonly proxy: string | null
  readonly identity: string | null
  /** Where the kernel shows the hardware. */
  readonly sysfs: string | null
  /** As a receiver: the disks of this computer are to be written. */
  readonly receives?: boolean
}

const Problem = z.object({ code: z.string(), detail: z.string(), remedy: z.string() })

/**
 * Repeatable with the same token when the answer was lost. Refuses (`agent/enrolled-already`) while this folder has an agent, and
 * (`agent/in-a-replica`) in what we have made ourselves.
 */
export async function enrol(folder: StateFolder, options: EnrolOptions): Promise<Identity> {
  const fingerprint = options.fingerprint.trim().toLowerCase()
  if (!isFingerprint(fingerprint))
    throw new Refusal({
      code: 'agent/bad-fingerprint',
      message: 'A fingerprint is "sha256:" and 64 hexadecimal digits',
      remedy: 'Copy the whole command from the console.',
    })
  const rest = await whyToRest(options.sysfs)
  if (rest) throw rest
  const before = await folder.identity()
  if (before !== null && before.agentId !== null)
    throw new Refusal({
      code: 'agent/enrolled-already',
      message: `This folder holds the agent ${before.name} of ${before.siteName} already`,
      remedy: 'Revoke it in the console and remove the folder, or give another one with --home.',
    })
  const route = { server: new URL(options.server).origin, proxy: options.proxy }
  const certificate = await fetchCertificate(route, fingerprint)
  const facts = await lookAround()
  const draft: Identity = {
    ...route,
    fingerprint,
    certificate,
    name: options.name,
    serverIdentity: await identifyServer(options.identity),
    identityText: options.identity,
    // Kept before it is used: if the answer gets lost, the same key comes again and is known.
    privateKey:
      before?.privateKey ??
      generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    agentId: null,
    siteName: '',
    roles: [],
    programKey: null,
  }
  await folder.saveIdentity(draft)
  const publicKey = createPublicKey(draft.privateKey)
    .export({ type: 'spki', format: 'der' })
    .toString('base64url')
  const { serverIdentity, name } = draft
  const { token } = options
  const proof = enrolProof({ token, publicKey, serverIdentity, fingerprint })
  const body = {
    token,
    name,
    publicKey,
    signature: signed(draft, proof),
    serverIdentity,
    version: agentVersion,
    facts,
    hardware: await lookAtHardware(options.sysfs),
    receives: options.receives === true,
  }
  const socket = await dial(draft)
  const answer = await ask(socket, {
    method: 'POST',
    path: agentPaths.enrol,
    host: new URL(draft.server).host,
    body,
  })
  const { data: place } = EnrolAnswer.safeParse(answer.body)
  if (answer.status !== 201 || !place) throw toFailure(answer.status, answer.body)
  const enrolled = { ...draft, ...place, programKey: place.programKey ?? null }
  await folder.saveIdentity(enrolled)
  return enrolled
}

/** Ed25519, base64url. */
export const signed = ({ privateKey }: Pick<Identity, 'privateKey'>, proof: Uint8Array): string =>
  sign(null, proof, createPrivateKey(privateKey)).toString('base64url')

export function toFailure(status: number, body: unknown): Refusal | Outage {
  const { data } = Problem.safeParse(body)
  if (data && status < 500) return new Refusal({ code: data.code, message: data.detail, remedy: data.remedy })
  return new Outage({
    code: 'agent/server-away',
    message: data?.detail ?? `The server answers ${status}`,
    remedy: data?.remedy ?? 'Try it again with the same command.',
  })
}
