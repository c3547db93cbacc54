// The first file of a seed: who it is, and its key, wrapped with the passphrase.
//
// The key is random and of this seed alone. scrypt (RFC 7914) makes a guess at the passphrase cost 32 MiB and a tenth of a second.
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto'
import path from 'node:path'
import { promisify } from 'node:util'
import { KiB, MiB } from '@understudy/base/bytes'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import { damaged, wrongPassphrase } from './failures.ts'
import { HEADER_FILE, readIfThere } from './seed-folder.ts'

const FORMAT = 'understudy-seed/2'
const LARGEST_HEADER_BYTES = 64 * KiB
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const COST = { N: 2 ** 15, r: 8, p: 1 }

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt)
const stretch = (passphrase: string, salt: Buffer): Promise<Buffer> =>
  derive(passphrase.normalize('NFC'), salt, KEY_BYTES, { ...COST, maxmem: 64 * MiB })

export type SeedHeader = SeedIdentity & {
  readonly format: string
  readonly salt: string
  /** nonce, tag, key; base64. */
  readonly wrappedKey: string
}

/** Null: it is not there. */
export async function findHeader(home: string): Promise<SeedHeader | null> {
  const text = await readIfThere(path.join(home, HEADER_FILE), LARGEST_HEADER_BYTES)
  return text && parseHeader(text.toString('utf8'))
}

/** Tells it from the first file of any other seed, also one under the same id. */
export const fingerprintOf = ({ salt }: SeedHeader): string =>
  createHash('sha256').update(salt).digest('base64')

export async function newHeader(
  identity: SeedIdentity,
  passphrase: string,
): Promise<{ readonly header: SeedHeader; readonly key: Buffer }> {
  const [key, salt, nonce] = [randomBytes(KEY_BYTES), randomBytes(16), randomBytes(NONCE_BYTES)]
  const { id, protectionId, replicaId, machineName } = identity
  const open = { format: FORMAT, id, protectionId, replicaId, machineName, salt: salt.toString('base64') }
  const cipher = createCipheriv('aes-256-gcm', await stretch(passphrase, salt), nonce, {
    authTagLength: TAG_BYTES,
  })
  cipher.setAAD(boundTo(open))
  const wrapped = Buffer.concat([cipher.update(key), cipher.final()])
  const wrappedKey = Buffer.concat([nonce, cipher.getAuthTag(), wrapped]).toString('base64')
  return { header: { ...open, wrappedKey }, key }
}

/** Refuses a wrong passphrase; who changed the words in front of the key is told the same. */
export async function openHeader(header: SeedHeader, passphrase: string): Promise<Buffer> {
  const box = Buffer.from(header.wrappedKey, 'base64')
  const derived = await stretch(passphrase, Buffer.from(header.salt, 'base64'))
  try {
    const decipher = createDecipheriv('aes-256-gcm', derived, box.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(boundTo(header))
    decipher.setAuthTag(box.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    return Buffer.concat([decipher.update(box.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
  } catch {
    throw wrongPassphrase()
  }
}

const fields = ['format', 'id', 'protectionId', 'replicaId', 'machineName', 'salt'] as const

const boundTo = (header: Omit<SeedHeader, 'wrappedKey'>): Buffer =>
  Buffer.from(JSON.stringify(fields.map((field) => header[field])))

function parseHeader(text: string): SeedHeader {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw damaged('its first file cannot be read', cause)
  }
  const header = value as Partial<Record<keyof SeedHeader, unknown>> | null
  const whole = [...fields, 'wrappedKey' as const].every((field) => typeof header?.[field] === 'string')
  if (!whole) throw damaged('its first file says too little')
  if (header?.format !== FORMAT) throw damaged(`it is of the format ${String(header?.format)}, not ${FORMAT}`)
  return header as SeedHeader
}
