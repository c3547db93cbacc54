import { present } from '@understudy/base/invariant'
import { describe, expect, test } from 'vitest'
import { refuseUnknownLicence, toArmSignIn } from './compute-settings.ts'
import { checkAzureSettings } from './settings.ts'

const id = '00000000-0000-4000-8000-000000000001'
const signIn = { kind: 'secret', tenantId: id, clientId: id }
const least = { subscriptionId: id, resourceGroup: 'replicas', region: 'westeurope', signIn }
const check = (compute: unknown) =>
  checkAzureSettings({ account: 'contoso', container: 'replicas', compute }).compute

describe('where replicas run', () => {
  test('may be left out: a site that was registered before keeps its replicas', () => {
    expect(check(undefined)).toBeNull()
  })

  test('needs a subscription, a group, a region and a sign-in; the rest has defaults', () => {
    expect(check(least)).toEqual({
      arm: {
        subscriptionId: id,
        resourceGroup: 'replicas',
        region: 'westeurope',
        storageAccountId: `/subscriptions/${id}/resourceGroups/replicas/providers/Microsoft.Storage/storageAccounts/contoso`,
        diskType: 'StandardSSD_LRS',
        preferredSizes: [],
        adapters: [],
        tags: {},
      },
      signIn,
      cloud: null,
    })
  })

  test('takes everything that the driver can do', () => {
    const rule = {
      macAddress: '52:54:00:00:00:01',
      mode: 'failover',
      address: '10.1.1.10',
      backendPoolIds: ['/subscriptions/s/pool'],
      publicAddress: true,
    }
    const cloud = { resourceManager: 'https://arm.example.net/', directory: 'https://login.example.net' }
    const more = { zone: '1', licenseType: 'Windows_Server', preferredSizes: ['Standard_D2s_v5'] }
    const tags = { cost: 'recovery' }
    expect(
      check({ ...least, ...more, tags, adapters: [rule], diskType: 'Premium_LRS', cloud }),
    ).toMatchObject({
      arm: { ...more, tags, adapters: [rule], diskType: 'Premium_LRS' },
      cloud: { resourceManager: 'https://arm.example.net' },
    })
  })

  test.each([
    [null, 'settings.compute'],
    [{ ...least, subscriptionId: undefined }, 'settings.compute.subscriptionId is missing'],
    [{ ...least, subscriptionId: 'mine' }, '"mine" is not the id of a subscription'],
    [{ ...least, resourceGroup: '' }, 'settings.compute.resourceGroup is missing'],
    [{ ...least, region: undefined }, 'settings.compute.region is missing'],
    [{ ...least, region: 'West Europe' }, 'settings.compute.region'],
    [{ ...least, signIn: undefined }, 'settings.compute.signIn is not filled in'],
    [{ ...least, signIn: { kind: 'guess' } }, 'settings.compute.signIn.kind'],
    [{ ...least, signIn: { ...signIn, clientId: '' } }, 'settings.compute.signIn.clientId is missing'],
    [{ ...least, signIn: { kind: 'managed', secret: 'x' } }, 'settings.compute.signIn.secret'],
    [{ ...least, diskType: 'UltraSSD_LRS' }, 'settings.compute.diskType'],
    [{ ...least, storageAccountId: 'contoso' }, 'resource id of a storage account'],
    [{ ...least, zone: '1', availabilitySetId: '/subscriptions/s/set' }, 'zone and in an availability set'],
    [{ ...least, preferredSizes: 'Standard_B1s' }, 'settings.compute.preferredSizes'],
    [{ ...least, tags: { cost: 1 } }, 'settings.compute.tags.cost'],
    [{ ...least, adapters: [{ mode: 'test' }] }, 'settings.compute.adapters.0.macAddress is missing'],
    [{ ...least, cloud: { resourceManager: 'http://arm', directory: 'x' } }, 'settings.compute.cloud'],
    [{ ...least, colour: 'blue' }, 'settings.compute.colour'],
  ])('%j is refused in words', (wrong, words) => {
    expect(() => check(wrong)).toThrow(
      expect.objectContaining({
        name: 'Refusal',
        message: expect.stringContaining(words),
        remedy: expect.stringMatching(/.{8}/),
      }),
    )
  })

  test('a licence that is not known is refused to who fills it in, and used where it was saved', () => {
    const filledIn = (change: object) => present(check({ ...least, ...change }), 'it is filled in')
    expect(filledIn({ licenseType: 'windows_server' }).arm.licenseType).toBe('Windows_Server')
    const later = filledIn({ licenseType: 'RHEL_ELS_99' })
    expect(later.arm.licenseType).toBe('RHEL_ELS_99')
    expect(() => refuseUnknownLicence(later)).toThrow(/is no licence that Azure knows: RHEL_ELS_99/)
    expect(() => refuseUnknownLicence(filledIn({}))).not.toThrow()
  })

  test('a certificate of its own is refused together with a proxy: the clients would not believe it', () => {
    const cloud = {
      resourceManager: 'https://arm.test',
      directory: 'https://login.test',
      certificate: 'PEM',
    }
    const whole = { account: 'contoso', container: 'replicas', compute: { ...least, cloud } }
    expect(checkAzureSettings(whole).compute?.cloud?.certificate).toBe('PEM')
    expect(() => checkAzureSettings({ ...whole, proxyUrl: 'http://proxy.test:3128' })).toThrow(
      expect.objectContaining({ code: 'azure/settings', message: expect.stringContaining('certificate') }),
    )
  })

  test('an application needs its secret, a managed identity none', () => {
    const application = { signIn: { kind: 'secret', tenantId: id, clientId: 'app' } } as const
    expect(toArmSignIn(application, { clientSecret: ' s ' })).toMatchObject({ clientId: 'app', secret: 's' })
    expect(() => toArmSignIn(application, { clientSecret: ' ' })).toThrow(
      expect.objectContaining({ code: 'azure/no-sign-in', message: expect.stringContaining('app') }),
    )
    expect(toArmSignIn({ signIn: { kind: 'managed' } }, {})).toEqual({ kind: 'managed' })
  })
})
