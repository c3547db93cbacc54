// The key that seals the sites' secrets. Never in the database: a stolen dump gives no secret away.
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { secretKeyBytes } from './secret-box.ts'

/**
 * The key from UNDERSTUDY_SECRET_KEY (base64 of 32 bytes), else from `<home>/secret.key`, which is made at the first call,
 * readable by its owner only. Several server processes need the same one.
 */
export function loadSecretKey(home: string, environment: NodeJS.ProcessEnv = process.env): Buffer {
  const given = environment.UNDERSTUDY_SECRET_KEY
  if (given) return toKey(given, 'UNDERSTUDY_SECRET_KEY')
  const file = path.join(home, 'secret.key')
  if (!createOnce(file)) chmodSync(file, 0o600)
  return toKey(readFileSync(file, 'utf8'), file)
}

/** Written aside and linked: of two processes that begin at once one wins, and nobody ever reads half a key. */
function createOnce(file: string): boolean {
  mkdirSync(path.dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${randomBytes(secretKeyBytes).toString('base64')}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft)
  }
}

function toKey(text: string, from: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length === secretKeyBytes) return key
  throw new Refusal({
    code: 'store/bad-secret-key',
    message: `${from} does not hold a key of ${secretKeyBytes} bytes in base64`,
    remedy: 'Bring back the key that the secrets were stored with; make one with `openssl rand -base64 32`.',
  })
}
