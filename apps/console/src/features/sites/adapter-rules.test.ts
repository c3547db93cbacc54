import type { Site } from '@understudy/contract/site'
import { describe, expect, test } from 'vitest'
import {
  checkRule,
  rulesOf,
  settingsWithAdaptersOf,
  siteWithRules,
  toRule,
  toRuleDraft,
  withAdaptersOf,
} from './adapter-rules.ts'
import type { AdapterRule } from './compute-draft.ts'
import { toDraft } from './site-draft.ts'

const id = '00000000-0000-4000-8000-000000000001'
const inNetwork = `/subscriptions/${id}/resourceGroups/net/providers/Microsoft.Network`
const closed = `${inNetwork}/networkSecurityGroups/closed`
const pool = (name: string): string => `${inNetwork}/loadBalancers/front/backendAddressPools/${name}`
const mine = { macAddress: '52:54:00:00:00:0a', mode: 'failover' } as const
const rule: AdapterRule = {
  ...mine,
  address: '10.1.1.10',
  securityGroupId: closed,
  backendPoolIds: [pool('web'), pool('api')],
  publicAddress: true,
}
const other: AdapterRule = { macAddress: '52:54:00:00:00:0b', mode: 'failover', address: '10.1.1.11' }
const ofTest: AdapterRule = { ...mine, mode: 'test', address: '10.9.0.4' }

const site = (adapters: readonly AdapterRule[]) =>
  ({
    name: 'Cloud',
    platform: 'azure',
    settings: {
      account: 'contoso',
      container: 'replicas',
      signIn: 'key',
      makeContainer: true,
      compute: {
        subscriptionId: id,
        resourceGroup: 'replicas',
        region: 'westeurope',
        signIn: { kind: 'secret', tenantId: id, clientId: id },
        adapters,
      },
    },
  }) as unknown as Site

describe('a form of the site that was open before', () => {
  test('keeps the rules that were saved with a machine since, and sends what it has changed', () => {
    const form = toDraft(site([other]))
    const draft = { ...form, azure: { ...form.azure, container: 'mine' } }
    const { azure } = withAdaptersOf(site([other, rule]), draft)
    expect([azure.container, azure.compute.adapters]).toEqual(['mine', [other, rule]])
  })

  test('counts as up to date for these rules alone', () => {
    const [before, now] = [site([other]), site([other, rule])]
    expect(settingsWithAdaptersOf(now, before.settings)).toEqual(now.settings)
    const others = { ...now, settings: { ...now.settings, container: 'theirs' } }
    expect(settingsWithAdaptersOf(others, before.settings)).not.toEqual(others.settings)
  })
})

describe('what an adapter gets in Azure', () => {
  test('comes back as it was entered, found by its hardware address however that is spelt', () => {
    const draft = toRuleDraft([other, ofTest, rule], { ...mine, macAddress: '52:54:00:00:00:0A' })
    expect(toRule(draft)).toEqual({ ...rule, macAddress: '52:54:00:00:00:0A' })
  })

  test('is nothing where nothing is said, and then there is no rule', () => {
    expect(toRule(toRuleDraft([other, ofTest], mine))).toBeNull()
    expect(checkRule(toRuleDraft([], mine))).toEqual({})
  })

  test.each([
    ['address', { address: '10.1.1' }],
    ['securityGroupId', { securityGroupId: 'closed' }],
    ['backendPoolIds', { backendPoolIds: `${pool('web')}\nweb` }],
  ])('%s that is wrong is told at its field', (name, change) => {
    expect(Object.keys(checkRule({ ...toRuleDraft([rule], mine), ...change }))).toEqual([name])
  })

  test('a change of one adapter leaves the rules of others and the rest of the site alone', () => {
    const wanted = siteWithRules(site([other, ofTest, rule]), [
      { ...toRuleDraft([rule], mine), address: '10.1.1.20' },
    ])
    expect(wanted).toMatchObject({
      name: 'Cloud',
      settings: {
        makeContainer: false,
        compute: {
          resourceGroup: 'replicas',
          adapters: [other, ofTest, { ...rule, address: '10.1.1.20' }],
        },
      },
      secrets: {},
    })
  })

  test('a rule that says nothing any more is gone', () => {
    const wanted = siteWithRules(site([other, ofTest]), [
      toRuleDraft([], { ...mine, mode: 'test', macAddress: '52:54:00:00:00:0A' }),
    ])
    expect(wanted).toMatchObject({ settings: { compute: { adapters: [other] } } })
  })

  test('there are none where machines cannot run', () => {
    expect(rulesOf(site([other]))).toEqual([other])
    expect(rulesOf({ platform: 'azure', settings: {} })).toBeNull()
    expect(rulesOf({ platform: 'kvm', settings: { compute: {} } })).toBeNull()
  })
})
