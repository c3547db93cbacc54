// By which agents know the programs of this installation: an Ed25519 key of its own in the home, made once.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type ProgramProof, programProof } from '@understudy/agent-protocol/proofs'
import { Refusal } from '@understudy/base/errors'
import { makeOnce } from './make-once.ts'

export type ProgramKey = {
  /** SPKI, base64url. Agents keep the first one that they are told. */
  readonly publicKey: string
  /** Base64url. */
  sign(proof: ProgramProof): string
}

/**
 * From `<home>/agent-programs.pem`, which is made at the first call, readable by its owner only. Several servers behind one name need the
 * same file. Refuses (`config/bad-program-key`) what is no such key.
 */
export function loadProgramKey(home: string): ProgramKey {
  const file = path.join(home, 'agent-programs.pem')
  const make = (): string =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  if (!makeOnce(file, make)) chmodSync(file, 0o600)
  try {
    const privateKey = createPrivateKey(readFileSync(file, 'utf8'))
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it is of another kind')
    return {
      publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64url'),
      sign: (proof) => sign(null, programProof(proof), privateKey).toString('base64url'),
    }
  } catch (cause) {
    throw new Refusal({
      code: 'config/bad-program-key',
      message: `${file} does not hold the key by which agents know their programs`,
      remedy:
        'Bring back the file that was there when the agents were enrolled; without it none of them can be upgraded from here.',
      cause,
    })
  }
}
