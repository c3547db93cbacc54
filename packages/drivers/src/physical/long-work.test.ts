import { expect, test } from 'vitest'
import { createLongWork } from './long-work.ts'

test('what takes long is begun once, goes on between the asks, and its end stays for whoever asks again', async () => {
  let begun = 0
  let isLate = true
  const end = Promise.withResolvers<string>()
  const long = createLongWork(() => (isLate ? Promise.resolve() : new Promise(() => {})))
  const ask = () =>
    long('w', () => {
      begun += 1
      return end.promise
    })
  expect(await ask()).toEqual({ kind: 'working' })
  expect(await ask()).toEqual({ kind: 'working' })
  isLate = false
  const patient = ask()
  end.resolve('the end')
  expect(await patient).toEqual({ kind: 'done', result: 'the end' })
  expect(await ask()).toEqual({ kind: 'done', result: 'the end' })
  expect(begun).toBe(1)
})

test('a failure is told to everybody who asks for the same work', async () => {
  const long = createLongWork(() => new Promise(() => {}))
  const ask = () => long('w', () => Promise.reject(new Error('no room')))
  await expect(ask()).rejects.toThrow('no room')
  await expect(ask()).rejects.toThrow('no room')
})
