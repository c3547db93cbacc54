import { describe, expect, test } from 'vitest'
import { type ComputeDraft, emptyCompute } from './compute-draft.ts'
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

describe('a site in Azure where machines run', () => {
  const id = '00000000-0000-4000-8000-000000000001'
  const rule = { macAddress: '52:54:00:00:00:01', mode: 'test', address: '10.1.1.10' } as const
  const compute: ComputeDraft = {
    ...emptyCompute,
    wanted: true,
    subscriptionId: ` ${id} `,
    resourceGroup: 'replicas',
    region: 'westeurope',
    tenantId: id,
    clientId: id,
    clientSecret: ' s3cret ',
    preferredSizes: 'Standard_D2s_v5,  Standard_D4s_v5',
    zone: '1',
    tags: 'department = finance\n\nowner=a=b',
    adapters: [rule],
  }
  const draftWith = (change: Partial<ComputeDraft>): SiteDraft => ({
    ...emptyDraft,
    name: 'Cloud',
    platform: 'azure',
    azure: {
      ...emptyDraft.azure,
      account: 'contoso',
      accountKey: 'a2V5',
      compute: { ...compute, ...change },
    },
  })
  const saved = (): SiteDraft => {
    const { name, settings } = toSiteInput(draftWith({}))
    return toDraft({ name, platform: 'azure', settings: { ...settings } })
  }
  const changed = (draft: SiteDraft, change: Partial<ComputeDraft>): SiteDraft => ({
    ...draft,
    azure: { ...draft.azure, compute: { ...draft.azure.compute, ...change } },
  })

  test('is off at first, and then nothing of it is sent', () => {
    const { settings, secrets } = toSiteInput(draftWith({ wanted: false }))
    expect(settings).not.toHaveProperty('compute')
    expect(secrets).toEqual({ accountKey: 'a2V5' })
    expect(emptyDraft.azure.compute.wanted).toBe(false)
  })

  test('sends lists as lists, tags by their names, and leaves out what is empty', () => {
    const { settings, secrets } = toSiteInput(draftWith({}))
    expect(settings).toMatchObject({
      compute: {
        subscriptionId: id,
        resourceGroup: 'replicas',
        region: 'westeurope',
        signIn: { kind: 'secret', tenantId: id, clientId: id },
        diskType: 'StandardSSD_LRS',
        preferredSizes: ['Standard_D2s_v5', 'Standard_D4s_v5'],
        zone: '1',
        tags: { department: 'finance', owner: 'a=b' },
        adapters: [rule],
      },
    })
    expect(secrets).toEqual({ accountKey: 'a2V5', clientSecret: 's3cret' })
    expect(checkDraft(draftWith({}))).toEqual({})
  })

  test('comes back as it was entered but for its secret, and is sent again unchanged', () => {
    const again = toSiteInput(saved())
    expect(again.settings).toEqual({ ...toSiteInput(draftWith({})).settings, makeContainer: false })
    expect(again.secrets).toEqual({})
  })

  test('a managed identity needs no secret and sends none', () => {
    const draft = draftWith({ signIn: 'managed', clientId: '', clientSecret: 'left over' })
    expect(checkDraft(draft)).toEqual({})
    expect(toSiteInput(draft)).toMatchObject({
      settings: { compute: { signIn: { kind: 'managed' } } },
      secrets: { accountKey: 'a2V5' },
    })
  })

  test('its secret is asked for when it is new or belongs to another application, and never again', () => {
    const missing = { 'secrets.clientSecret': 'Fill this in' }
    const other = { clientId: '00000000-0000-4000-8000-000000000002' }
    expect(checkDraft(draftWith({ clientSecret: '' }))).toEqual(missing)
    expect(checkDraft(saved(), true)).toEqual({})
    expect(checkDraft(changed(saved(), { zone: '2' }), true)).toEqual({})
    expect(checkDraft(changed(saved(), other), true)).toEqual(missing)
    expect(checkDraft(changed(saved(), { ...other, clientSecret: 'x' }), true)).toEqual({})
  })

  test('it cannot be tested from the form while one of its secrets is only on the server', () => {
    const withKey: SiteDraft = { ...saved(), azure: { ...saved().azure, accountKey: 'a2V5' } }
    expect(needsStoredSecret(withKey)).toBe(true)
    expect(needsStoredSecret(changed(withKey, { clientSecret: 'x' }))).toBe(false)
    expect(needsStoredSecret(changed(withKey, { signIn: 'managed' }))).toBe(false)
    expect(needsStoredSecret(changed(withKey, { wanted: false }))).toBe(false)
  })

  test.each([
    ['settings.compute.subscriptionId', { subscriptionId: 'mine' }],
    ['settings.compute.region', { region: 'West Europe' }],
    ['settings.compute.signIn.tenantId', { tenantId: '' }],
    ['settings.compute.preferredSizes.1', { preferredSizes: 'Standard_D2s_v5 a/b' }],
    ['settings.compute.tags', { tags: 'a = 1\nA = 2' }],
    ['settings.compute.tags.a/b', { tags: 'a/b = 1' }],
    ['settings.compute.cloud.directory', { resourceManager: 'https://arm' }],
  ])('names what does not fit in %s', (path, change) => {
    expect(Object.keys(checkDraft(draftWith(change)))).toEqual([path])
  })

  test('a name that Azure does not take says which signs to leave out', () => {
    expect(Object.values(checkDraft(draftWith({ tags: 'a/b = 1' })))).toEqual(['Leave out < > % & \\ ? /'])
  })
})
