import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maskerFor } from './mask-secrets.ts'

const secret = 'p@ss/w+rd "ü" 1'
const masked = maskerFor([secret])
const base64 = (text: string) => Buffer.from(text).toString('base64')

test.each([
  ['itself', `password: ${secret}`, 'password: ••••••'],
  ['part of a longer word', `--key=${secret}--end`, '--key=••••••--end'],
  ['twice', `${secret},${secret}`, '••••••,••••••'],
  ['in a URL', `https://x/?key=${encodeURIComponent(secret)}&y`, 'https://x/?key=••••••&y'],
  ['in a URL in small letters', `?k=${encodeURIComponent(secret).toLowerCase()}`, '?k=••••••'],
  ['in a form', `key=${new URLSearchParams({ k: secret }).toString().slice(2)}&b`, 'key=••••••&b'],
  ['in JSON', JSON.stringify({ key: secret }), '{"key":"••••••"}'],
])('a secret is hidden: %s', (_words, text, expected) => {
  expect(masked(text)).toBe(expected)
})

// What is left are the neighbours, and a character that the secret shares with one of them or with the padding.
test.each([
  ['alone', base64(secret), 0, 3],
  ['after a user name', base64(`admin:${secret}`), 8, 3],
  ['after a longer user name', base64(`admin2:${secret}`), 10, 2],
  ['between', base64(`ab${secret}yz`), 3, 4],
  ['for URLs', Buffer.from(`x${secret}`).toString('base64url'), 2, 1],
  ['in a URL', encodeURIComponent(base64(`x${secret}`)), 2, 4],
])('a secret is hidden in base64: %s', (_words, text, before, after) => {
  expect(masked(`Basic ${text}`)).toBe(`Basic ${text.slice(0, before)}••••••${text.slice(-after)}`)
})

test('of two secrets that overlap nothing is left, and of one inside the other neither', () => {
  expect(maskerFor(['abcd', 'cdef'])('-abcdef-')).toBe('-••••••-')
  expect(maskerFor(['cd', 'abcdef'])('-abcdef-cd-')).toBe('-••••••-••••••-')
  expect(maskerFor(['aXa'])('aXaXa')).toBe('••••••')
})

test('an empty secret hides nothing, and neither does none', () => {
  expect(maskerFor([''])('text')).toBe('text')
  expect(maskerFor([])('text')).toBe('text')
})

test('half a surrogate pair in a secret is hidden and breaks nothing', () => {
  expect(maskerFor(['a\ud800b'])('x a\ud800b y')).toBe('x •••••• y')
})

test('no text that is shown holds any secret, plain, percent-encoded, in JSON or in base64', () => {
  const anySecret = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .filter((text) => !text.includes('•'))
  const anyEncoding = fc.constantFrom(
    (text: string) => text,
    (text: string) => encodeURIComponent(text),
    (text: string) => JSON.stringify(text).slice(1, -1),
    (text: string) => (text.length < 6 ? text : base64(text).replaceAll('=', '')),
  )
  fc.assert(
    fc.property(
      fc.array(anySecret, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.string({ maxLength: 8 }), fc.nat(2), anyEncoding), { maxLength: 5 }),
      (secrets, parts) => {
        const written = parts.map(([between, index, encode]) => ({
          between,
          form: encode(secrets[index % secrets.length] ?? ''),
        }))
        const shown = maskerFor(secrets)(written.map(({ between, form }) => between + form).join(''))
        for (const form of [...secrets, ...written.map((part) => part.form)])
          expect(shown).not.toContain(form)
      },
    ),
  )
})

test('a megabyte of output is masked in less than a second', () => {
  const text = `${'line of output\n'.repeat(70_000)}${secret}`
  const from = performance.now()
  expect(masked(text)).not.toContain(secret)
  expect(performance.now() - from).toBeLessThan(1000)
})
