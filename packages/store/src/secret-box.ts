// Secrets at rest: AES-256-GCM.
//
//   1 byte   version, 1
//   12 bytes nonce, random
//   16 bytes authentication tag
//   rest     ciphertext
//
// The owner's id is authenticated with it, so that a sealed box cannot be moved to another row.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'

const version = 1
const nonceBytes = 12
const tagBytes = 16
const headerBytes = 1 + nonceBytes + tagBytes

export const secretKeyBytes = 32

export function sealSecrets(key: Buffer, owner: string, secrets: Readonly<Record<string, string>>): Buffer {
  invariant(key.length === secretKeyBytes, 'The secret key has 32 bytes')
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(owner))
  const text = Buffer.concat([cipher.update(JSON.stringify(secrets), 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), text])
}

/** Refuses (`store/secrets-unreadable`) what was sealed with another key or for another owner, or was changed. */
export function openSecrets(
  key: Buffer,
  owner: string,
  sealed: Uint8Array,
): Readonly<Record<string, string>> {
  const box = Buffer.from(sealed)
  try {
    invariant(box.length >= headerBytes && box[0] === version, 'A sealed box begins with its version')
    const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(1, 1 + nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(Buffer.from(owner))
    decipher.setAuthTag(box.subarray(1 + nonceBytes, headerBytes))
    const text = Buffer.concat([decipher.update(box.subarray(headerBytes)), decipher.final()])
    return JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw new Refusal({
      code: 'store/secrets-unreadable',
      message: 'The stored secrets cannot be read with this key',
      remedy:
        'Bring back the secret.key file (or UNDERSTUDY_SECRET_KEY) they were stored with, or enter them anew.',
      cause,
    })
  }
}
