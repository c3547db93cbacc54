// A certificate that nobody has to buy. X.509 (RFC 5280) in DER:
//
//   Certificate ::= SEQUENCE { tbs, algorithm, BIT STRING signature }
//   tbs         ::= SEQUENCE { [0] version 3, serial, algorithm, issuer, validity, subject, key, [3] extensions }
//
// It is known by its fingerprint, not by its name, and it never ends: an agent whose clock is years off must still find its server.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export type SelfMade = { readonly certificate: string; readonly key: string }

/** PEM texts of a fresh P-256 key and of its certificate. */
export function makeCertificate(commonName: string): SelfMade {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid(commonNameId), tagged(0x0c, Buffer.from(commonName, 'utf8')))))
  const tbs = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    // Positive, and not zero.
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    sequence(oid(ecdsaWithSha256)),
    name,
    // RFC 5280, 4.1.2.5: no well-defined end. Years from 2050 on are written in the longer form.
    sequence(tagged(0x17, Buffer.from('700101000000Z')), tagged(0x18, Buffer.from('99991231235959Z'))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(sequence(oid(basicConstraints), critical, octets(sequence(isAuthority))))),
  )
  const signature = sign('sha256', tbs, privateKey)
  const certificate = sequence(
    tbs,
    sequence(oid(ecdsaWithSha256)),
    tagged(0x03, Buffer.concat([Buffer.of(0), signature])),
  )
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${wrapped(certificate)}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** 2.5.4.3, 2.5.29.19 and 1.2.840.10045.4.3.2, as DER writes them. */
const commonNameId = '550403'
const basicConstraints = '551d13'
const ecdsaWithSha256 = '2a8648ce3d040302'

const tagged = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content])
}
const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts)
const set = (...parts: readonly Buffer[]): Buffer => tagged(0x31, ...parts)
const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes)
const octets = (bytes: Buffer): Buffer => tagged(0x04, bytes)
const oid = (hex: string): Buffer => tagged(0x06, Buffer.from(hex, 'hex'))
const critical = tagged(0x01, Buffer.of(0xff))
/** It vouches for itself: who trusts it has to put it among the roots. */
const isAuthority = tagged(0x01, Buffer.of(0xff))

function lengthOf(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes)
  return bytes < 0x100 ? Buffer.of(0x81, bytes) : Buffer.of(0x82, bytes >> 8, bytes & 0xff)
}

const wrapped = (bytes: Buffer): string => (bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')
