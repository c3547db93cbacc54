import { describe, expect, test } from 'vitest'
import {
  checkDraft,
  emptyDraft,
  emptyHost,
  emptyNetwork,
  needsStoredSecret,
  type SiteDraft,
  toDraft,
  toSiteInput,
} from './site-draft.ts'

const withHost = (host: Partial<SiteDraft['kvm']['hosts'][number]>): SiteDraft => ({
  ...emptyDraft,
  name: 'Berlin',
  kvm: {
    ...emptyDraft.kvm,
    hosts: [{ ...emptyHost('a'), machinesFolder: '/srv/machines', ...host }],
    networks: [
      { ...emptyNetwork('n'), id: 'lan', name: 'Office', bridge: 'br0', probePorts: '80, 443' },
      { ...emptyNetwork('m'), id: 'test', name: 'Test', kind: 'user', isolated: true },
    ],
  },
})

describe('the form of a site', () => {
  test('a local host without more fits the contract', () => {
    expect(checkDraft(withHost({}))).toEqual({})
  })
  test('what is missing is named at its own field', () => {
    const problems = checkDraft({ ...withHost({ where: 'ssh', machinesFolder: '' }), name: '' })
    expect(problems.name).toBe('Give it a name')
    expect(problems['settings.hosts.0.machinesFolder']).toBe('Fill this in')
    expect(problems['settings.hosts.0.address.host']).toBe('Fill this in')
    expect(problems['settings.hosts.0.address.hostKeySha256']).toBe('Fill this in')
  })
  test('a port that is no number is told at the ports', () => {
    const draft = withHost({})
    const networks = draft.kvm.networks.map((network) => ({ ...network, probePorts: 'http' }))
    const problems = checkDraft({ ...draft, kvm: { ...draft.kvm, networks } })
    expect(Object.keys(problems)).toContain('settings.networks.0.probePorts.0')
  })
  test('saved settings come back into the form and leave it unchanged; the secret does not come back', () => {
    const draft = withHost({ where: 'ssh', host: '10.0.0.2', user: 'kvm', hostKeySha256: 'SHA256:abc' })
    const input = toSiteInput({ ...draft, kvm: { ...draft.kvm, privateKey: 'PEM' } })
    if (input.platform !== 'kvm') throw new Error('not kvm')
    expect(input.secrets).toEqual({ privateKey: 'PEM' })
    const again = toSiteInput(toDraft({ name: input.name, platform: 'kvm', settings: { ...input.settings } }))
    expect(again).toEqual({ ...input, secrets: {} })
  })
  test('sizes of a simulated site are bytes on the wire', () => {
    expect(toSiteInput({ ...emptyDraft, name: 'S', platform: 'simulated' })).toMatchObject({
      settings: { diskBytes: 67_108_864, churnBytesPerSecond: 65_536 },
    })
  })
})

describe('a site in Azure', () => {
  const draft: SiteDraft = {
    ...emptyDraft,
    name: 'Cloud',
    platform: 'azure',
    azure: { ...emptyDraft.azure, account: 'contoso', accountKey: ' a2V5 ', signature: 'sv=1&sig=x' },
  }

  test('sends the secret of the sign-in that is chosen and no other, and leaves empty fields out', () => {
    expect(toSiteInput(draft)).toEqual({
      name: 'Cloud',
      platform: 'azure',
      settings: { account: 'contoso', container: 'understudy', signIn: 'key', makeContainer: true },
      secrets: { accountKey: 'a2V5' },
    })
    expect(toSiteInput({ ...draft, azure: { ...draft.azure, signIn: 'signature' } }).secrets).toEqual({
      signature: 'sv=1&sig=x',
    })
  })

  test('needs its secret when it is new, and keeps the stored one when it is saved already', () => {
    const without = { ...draft, azure: { ...draft.azure, accountKey: '' } }
    expect(checkDraft(draft)).toEqual({})
    expect(checkDraft(without)).toEqual({ 'secrets.accountKey': 'Fill this in' })
    expect(checkDraft(without, true)).toEqual({})
    expect(needsStoredSecret(without)).toBe(true)
    expect(needsStoredSecret(draft)).toBe(false)
  })

  test.each([
    ['settings.account', { account: 'Contoso' }],
    ['settings.container', { container: 'a--b' }],
    ['settings.endpoint', { endpoint: 'http://contoso.example' }],
    ['settings.proxyUrl', { proxyUrl: 'http://me:secret@proxy' }],
    ['settings.connections', { connections: 0 }],
  ])('names what does not fit in %s', (path, change) => {
    expect(Object.keys(checkDraft({ ...draft, azure: { ...draft.azure, ...change } }))).toEqual([path])
  })

  test('comes back from its settings as it was entered, but for its secrets and the wish to make its container', () => {
    const input = toSiteInput({
      ...draft,
      azure: { ...draft.azure, connections: 4, endpoint: 'https://x.y' },
    })
    const { azure } = toDraft({ name: 'Cloud', platform: 'azure', settings: { ...input.settings } })
    expect(azure).toMatchObject({
      account: 'contoso',
      connections: 4,
      endpoint: 'https://x.y',
      accountKey: '',
      makeContainer: false,
    })
  })
})
