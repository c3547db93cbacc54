import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openSecrets, sealSecrets } from './secret-box.ts'

const key = randomBytes(32)
const secrets = { privateKey: 'PEM', password: 'pässwörd' }
const unreadable = expect.objectContaining({ code: 'store/secrets-unreadable' })

test('what was sealed opens with the same key and owner, and looks different every time', () => {
  const box = sealSecrets(key, 'site-1', secrets)
  expect(openSecrets(key, 'site-1', box)).toEqual(secrets)
  expect(box.includes('PEM')).toBe(false)
  expect(sealSecrets(key, 'site-1', secrets).equals(box)).toBe(false)
})

test('another key, another owner, one changed bit and a stump are refused', () => {
  const box = sealSecrets(key, 'site-1', secrets)
  expect(() => openSecrets(randomBytes(32), 'site-1', box)).toThrow(unreadable)
  expect(() => openSecrets(key, 'site-2', box)).toThrow(unreadable)
  for (let at = 0; at < box.length; at += 1) {
    const changed = Buffer.from(box)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    expect(() => openSecrets(key, 'site-1', changed)).toThrow(unreadable)
  }
  for (const length of [0, 1, 20, box.length - 1])
    expect(() => openSecrets(key, 'site-1', box.subarray(0, length))).toThrow(unreadable)
})
