import { expect, test } from 'vitest'
import { startAzurite } from './start-azurite.ts'

test('an emulator whose process cannot be started says so at once, and leaves no failure that nobody handles', async () => {
  const startedAt = performance.now()
  await expect(startAzurite('/no/such/folder')).rejects.toThrow('Azurite could not be started')
  expect(performance.now() - startedAt).toBeLessThan(20_000)
})
