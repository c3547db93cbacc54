// Who this installation is to its agents: a certificate of its own in the home, made once.
import { createHash, X509Certificate } from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { makeOnce } from './make-once.ts'
import { makeCertificate } from './self-made-certificate.ts'

export type AgentCertificate = {
  readonly certificate: string
  readonly key: string
  /** `sha256:` and 64 hexadecimal digits. */
  readonly fingerprint: string
  /** SHA-256 of its public key (RFC 7469, 2.4), in base 64: by that curl knows a server. */
  readonly keyPin: string
}

/**
 * From `<home>/agents.pem`, which is made at the first call, readable by its owner only. Several servers behind one name need the
 * same file. Refuses (`config/bad-agent-certificate`) what does not hold a certificate and its key.
 */
export function loadAgentCertificate(home: string): AgentCertificate {
  const file = path.join(home, 'agents.pem')
  const make = (): string => {
    const made = makeCertificate('Understudy')
    return made.certificate + made.key
  }
  if (!makeOnce(file, make)) chmodSync(file, 0o600)
  const text = readFileSync(file, 'utf8')
  const [certificate] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n/.exec(text) ?? []
  const [key] = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n/.exec(text) ?? []
  try {
    if (certificate === undefined || key === undefined) throw new Error('it holds not both')
    const { raw, publicKey } = new X509Certificate(certificate)
    const fingerprint = `sha256:${createHash('sha256').update(raw).digest('hex')}`
    const keyPin = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64')
    return { certificate, key, fingerprint, keyPin }
  } catch (cause) {
    throw new Refusal({
      code: 'config/bad-agent-certificate',
      message: `${file} does not hold a certificate and its key`,
      remedy:
        'Bring back the file that the agents were enrolled with; without it they have to be enrolled again.',
      cause,
    })
  }
}
