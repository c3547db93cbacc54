import { expect, test } from 'vitest'
import { readFromAgent, readFromServer } from './messages.ts'
import { enrolProof, helloProof, isFingerprint } from './proofs.ts'
import { chooseProtocol } from './versions.ts'

const badMessage = expect.objectContaining({ code: 'agent/bad-message' })

test('a kind of message that only a newer version knows is left alone, and so is a field', () => {
  expect(readFromServer('{"type":"throttle","megabits":5}')).toBeNull()
  expect(readFromServer('{"type":"ack","received":4,"more":true}')).toEqual({ type: 'ack', received: 4 })
})

test('a message that does not fit is refused', () => {
  const refused = ['', '{', 'null', '[]', '{"type":7}', '{"type":"ack"}', '{"type":"ack","received":-1}']
  for (const text of [...refused, '{"type":"ack","received":1.5}'])
    expect(() => readFromServer(text), text).toThrow(badMessage)
  for (const text of [
    '{"type":"beat","time":0,"health":{}}',
    '{"type":"said","sequence":1,"body":{"kind":"x"}}',
  ])
    expect(() => readFromAgent(text), text).toThrow(badMessage)
})

test('both sides choose the newest protocol that both speak', () => {
  expect(chooseProtocol({ lowest: 1, highest: 2 }, { lowest: 2, highest: 3 })).toBe(2)
  expect(chooseProtocol({ lowest: 2, highest: 3 }, { lowest: 1, highest: 2 })).toBe(2)
  expect(chooseProtocol({ lowest: 1, highest: 1 }, { lowest: 2, highest: 3 })).toBeNull()
})

test('no two things that are signed are the same bytes', () => {
  const hello = { agentId: 'a', nonce: 'b', fingerprint: 'c' }
  const texts = [
    helloProof(hello),
    helloProof({ ...hello, agentId: 'a","b', nonce: '' }),
    helloProof({ ...hello, nonce: 'c', fingerprint: 'b' }),
    enrolProof({ token: 'a', publicKey: 'b', serverIdentity: 'c', fingerprint: 'd' }),
  ].map((bytes) => new TextDecoder().decode(bytes))
  expect(new Set(texts).size).toBe(texts.length)
})

test('a fingerprint is written in one way only', () => {
  expect(isFingerprint(`sha256:${'0a'.repeat(32)}`)).toBe(true)
  for (const text of [
    '',
    'sha256:',
    `sha256:${'0A'.repeat(32)}`,
    '0a'.repeat(32),
    `sha256:${'0a'.repeat(31)}`,
  ])
    expect(isFingerprint(text), text).toBe(false)
})
