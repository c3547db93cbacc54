import { describe, expect, test } from 'vitest'
import { AzureSettings } from './azure-site.ts'

const id = '00000000-0000-4000-8000-000000000001'
const least = {
  subscriptionId: id,
  resourceGroup: 'replicas',
  region: 'westeurope',
  signIn: { kind: 'secret', tenantId: id, clientId: id },
}
const parse = (compute?: unknown) =>
  AzureSettings.safeParse({ account: 'contoso', container: 'replicas', ...(compute ? { compute } : {}) })

describe('what is asked of whoever registers a site in Azure', () => {
  test('is nothing about running machines unless they want it', () => {
    expect(parse().data).not.toHaveProperty('compute')
    expect(parse(least).data?.compute).toMatchObject({ ...least, diskType: 'StandardSSD_LRS', tags: {} })
  })

  const group = `/subscriptions/${id}/resourceGroups/net/providers/Microsoft.Network`
  const rule = { macAddress: '52:54:00:00:00:01', mode: 'test' }
  test('an adapter is given what Azure has for it, by resource ids', () => {
    const whole = {
      ...rule,
      address: '10.1.1.10',
      securityGroupId: `${group}/networkSecurityGroups/closed`,
      backendPoolIds: [`${group}/loadBalancers/front/backendAddressPools/web`],
    }
    expect(parse({ ...least, adapters: [whole] }).data?.compute?.adapters).toEqual([whole])
  })

  test.each([
    [{ ...least, subscriptionId: 'mine' }, 'compute.subscriptionId'],
    [{ ...least, resourceGroup: undefined }, 'compute.resourceGroup'],
    [{ ...least, region: 'West Europe' }, 'compute.region'],
    [{ ...least, signIn: { kind: 'secret', tenantId: id } }, 'compute.signIn.clientId'],
    [{ ...least, signIn: { ...least.signIn, secret: 'x' } }, 'compute.signIn'],
    [{ ...least, storageAccountId: 'contoso' }, 'compute.storageAccountId'],
    [
      {
        ...least,
        zone: '1',
        availabilitySetId: `/subscriptions/${id}/resourceGroups/a/providers/Microsoft.Compute/availabilitySets/b`,
      },
      'compute.availabilitySetId',
    ],
    [{ ...least, adapters: [{ ...rule, macAddress: '52-54' }] }, 'compute.adapters.0.macAddress'],
    [{ ...least, adapters: [{ ...rule, securityGroupId: 'closed' }] }, 'compute.adapters.0.securityGroupId'],
    [{ ...least, tags: { 'a/b': 'c' } }, 'compute.tags.a/b'],
    [
      { ...least, cloud: { resourceManager: 'http://arm', directory: 'https://x' } },
      'compute.cloud.resourceManager',
    ],
  ])('%j is refused at its field', (compute, path) => {
    expect(parse(compute).error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
  })
})
