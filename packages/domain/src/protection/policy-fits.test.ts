import { expect, test } from 'vitest'
import { whyNotEncrypted } from './policy-fits.ts'

test('a policy that encrypts is refused only where replicas cannot be encrypted, with what to choose', () => {
  const why = (encrypt: boolean, encrypts: boolean) =>
    whyNotEncrypted({ name: 'Vault', encrypt }, { name: 'Cloud', encrypts })
  expect(why(false, false)).toBeNull()
  expect(why(false, true)).toBeNull()
  expect(why(true, true)).toBeNull()
  expect(why(true, false)).toMatchObject({
    code: 'policy/cannot-encrypt',
    message: expect.stringContaining('"Vault"'),
    remedy: expect.stringContaining('Encrypt at rest'),
  })
})
