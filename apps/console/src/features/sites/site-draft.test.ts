import { describe, expect, test } from 'vitest'
import {
  checkDraft,
  emptyDraft,
  emptyHost,
  emptyNetwork,
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
