import { describe, expect, test } from 'vitest'
import { checkAzureSettings, toContainer } from './settings.ts'

const least = { account: 'contoso', container: 'replicas' }
const key = Buffer.alloc(64, 1).toString('base64')

describe('settings of a site in Azure', () => {
  test('need an account and a container; the address follows from the account', () => {
    expect(checkAzureSettings(least)).toMatchObject({
      endpoint: 'https://contoso.blob.core.windows.net',
      signIn: 'key',
      makeContainer: false,
      proxyUrl: null,
      pace: { connections: 32, requestsPerSecond: null },
    })
  })

  test('may name the address of another cloud, a proxy and limits', () => {
    const settings = checkAzureSettings({
      ...least,
      endpoint: 'https://contoso.blob.core.chinacloudapi.cn/',
      proxyUrl: 'http://mover@proxy.example.net:3128',
      connections: 4,
      requestsPerSecond: 100,
    })
    expect(settings.endpoint).toBe('https://contoso.blob.core.chinacloudapi.cn')
    expect(settings.pace).toEqual({ connections: 4, requestsPerSecond: 100 })
    expect(toContainer(settings, { accountKey: key, proxyPassword: 'p' }).proxy).toEqual({
      host: 'http://proxy.example.net',
      port: 3128,
      username: 'mover',
      password: 'p',
    })
  })

  test('a password is not sent to a proxy for which nobody is named', () => {
    const settings = checkAzureSettings({ ...least, proxyUrl: 'http://proxy.example.net:3128' })
    expect(toContainer(settings, { accountKey: key, proxyPassword: 'p' }).proxy).not.toHaveProperty(
      'password',
    )
  })

  test.each(['a-b', 'abc', 'a'.repeat(63)])('take %s for a container, as Azure does', (container) => {
    expect(checkAzureSettings({ ...least, container }).container).toBe(container)
  })

  test.each([
    [{ account: 'Contoso' }, 'account'],
    [{ account: 'co' }, 'account'],
    [{ container: 'a--b' }, 'container'],
    [{ container: 'ab' }, 'container'],
    [{ container: 'abc-' }, 'container'],
    [{ container: `a${'-b'.repeat(32)}` }, 'container'],
    [{ endpoint: 'contoso' }, 'endpoint'],
    [{ endpoint: 'http://contoso.blob.core.windows.net' }, 'endpoint'],
    [{ endpoint: 'https://contoso.blob.core.windows.net/?sv=1&sig=x' }, 'endpoint'],
    [{ proxyUrl: 'http://a:secret@proxy:1' }, 'proxyUrl'],
    [{ connections: 0 }, 'connections'],
    [{ requestsPerSecond: 1.5 }, 'requestsPerSecond'],
    [{ signIn: 'guess' }, 'signIn'],
    [{ colour: 'blue' }, 'colour'],
  ])('%j is refused by the name of its field', (wrong, field) => {
    expect(() => checkAzureSettings({ ...least, ...wrong })).toThrow(
      expect.objectContaining({
        name: 'Refusal',
        code: 'azure/settings',
        message: expect.stringContaining(field),
      }),
    )
  })

  test('a secret that is missing or is something else is refused before anything is asked of Azure', () => {
    const refused = expect.objectContaining({ code: 'azure/no-sign-in' })
    const withKey = checkAzureSettings(least)
    expect(() => toContainer(withKey, {})).toThrow(refused)
    expect(() => toContainer(withKey, { accountKey: 'sv=2024&sig=abc' })).toThrow(refused)
    const withSignature = checkAzureSettings({ ...least, signIn: 'signature' })
    expect(() => toContainer(withSignature, { signature: key })).toThrow(refused)
    expect(toContainer(withSignature, { signature: 'https://x.test/c?sv=1&sig=abc' }).signIn).toEqual({
      kind: 'signature',
      token: 'sv=1&sig=abc',
    })
  })
})
