import { expect, test } from 'vitest'
import { azureSecretPlaces } from './secret-places.ts'

const id = '00000000-0000-4000-8000-000000000001'
const cloud = {
  resourceManager: 'https://management.example.net',
  directory: 'https://login.example.net',
  certificate: 'PEM',
}
const compute = {
  subscriptionId: id,
  resourceGroup: 'replicas',
  region: 'westeurope',
  signIn: { kind: 'secret', tenantId: id, clientId: id },
  cloud,
}
const least = { account: 'contoso', container: 'replicas' }
const whole = { ...least, compute }
const placesOf = (settings: object) => azureSecretPlaces({ settings: { ...whole, ...settings } })
const computeWith = (change: object) => ({ compute: { ...compute, ...change } })
const other = '00000000-0000-4000-8000-000000000002'

test.each([
  ['accountKey', { endpoint: 'https://evil.example' }],
  ['accountKey', { account: 'fabrikam', endpoint: 'https://contoso.blob.core.windows.net' }],
  ['clientSecret', computeWith({ cloud: { ...cloud, directory: 'https://evil.example' } })],
  ['clientSecret', computeWith({ cloud: { ...cloud, resourceManager: 'https://evil.example' } })],
  ['clientSecret', computeWith({ cloud: { ...cloud, certificate: 'of somebody else' } })],
  ['clientSecret', computeWith({ cloud: undefined })],
  ['clientSecret', computeWith({ signIn: { ...compute.signIn, tenantId: other } })],
  ['clientSecret', computeWith({ signIn: { ...compute.signIn, clientId: other } })],
])('%s goes elsewhere with %j, and the others do not', (secret, change) => {
  const [before, after] = [placesOf({}), placesOf(change)]
  const moved = Object.keys(before).filter((name) => before[name] !== after[name])
  expect(moved).toEqual([secret])
})

test('the password of a proxy goes to that proxy, and nowhere without a name of whom it is', () => {
  const placesBehind = (proxyUrl: string) => azureSecretPlaces({ settings: { ...least, proxyUrl } })
  expect(placesBehind('http://mover@proxy:3128').proxyPassword).toBe('http://mover@proxy:3128')
  expect(placesBehind('http://proxy:3128')).not.toHaveProperty('proxyPassword')
})

test('a signature goes where the key went; what is not used goes nowhere', () => {
  expect(
    azureSecretPlaces({ settings: { account: 'contoso', container: 'replicas', signIn: 'signature' } }),
  ).toEqual({
    signature: 'contoso at https://contoso.blob.core.windows.net',
  })
  expect(placesOf(computeWith({ signIn: { kind: 'managed' } }))).not.toHaveProperty('clientSecret')
  expect(placesOf({ container: 'others', connections: 3 })).toEqual(placesOf({}))
})

test('a certificate that has lost the end of its last line in a form is the same', () => {
  expect(placesOf(computeWith({ cloud: { ...cloud, certificate: 'PEM\n' } }))).toEqual(placesOf({}))
})
