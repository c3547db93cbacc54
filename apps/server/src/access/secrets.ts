import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

/** A new secret with 256 bits, safe in URLs and headers. */
export const newSecret = (): string => randomBytes(32).toString('base64url')

/** What is stored of a secret. The secret has 256 random bits, so a plain hash cannot be guessed backwards. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex')

export function sameText(left: string, right: string): boolean {
  const a = createHash('sha256').update(left).digest()
  const b = createHash('sha256').update(right).digest()
  return timingSafeEqual(a, b)
}

// OWASP's advice for argon2id is at least 19 MiB and two passes. 2 is the library's value of Algorithm.Argon2id,
// a const enum that erasable TypeScript cannot import.
const argon2id = { algorithm: 2, memoryCost: 64 * 1024, timeCost: 3, parallelism: 1 } as const

export const hashPassword = (password: string): Promise<string> => hash(password, argon2id)

/** Hash of a password nobody has: an unknown name costs as much time as a wrong password. */
let decoy: Promise<string> | null = null

/** False for a wrong password and, after the same work, for an unknown user (`passwordHash: null`). */
export async function isPasswordRight(passwordHash: string | null, password: string): Promise<boolean> {
  decoy ??= hashPassword(newSecret())
  const right = await verify(passwordHash ?? (await decoy), password)
  return right && passwordHash !== null
}
