import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadSecretKey } from './secret-key.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'understudy-key-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('the key is made once, stays the same, and only its owner may read the file', () => {
  const home = path.join(folder, 'new/home')
  const key = loadSecretKey(home, {})
  expect(key).toHaveLength(32)
  chmodSync(path.join(home, 'secret.key'), 0o644)
  expect(loadSecretKey(home, {})).toEqual(key)
  expect(statSync(path.join(home, 'secret.key')).mode & 0o777).toBe(0o600)
  expect(loadSecretKey(path.join(folder, 'other'), {})).not.toEqual(key)
})

test('a key in the environment goes before the file', () => {
  const given = Buffer.alloc(32, 7)
  expect(loadSecretKey(folder, { UNDERSTUDY_SECRET_KEY: given.toString('base64') })).toEqual(given)
})

test('a damaged key is refused, not replaced', () => {
  const home = mkdtempSync(path.join(folder, 'damaged-'))
  writeFileSync(path.join(home, 'secret.key'), 'short\n')
  const refused = expect.objectContaining({ code: 'store/bad-secret-key' })
  expect(() => loadSecretKey(home, {})).toThrow(refused)
  expect(() => loadSecretKey(home, { UNDERSTUDY_SECRET_KEY: 'AAAA' })).toThrow(refused)
})
