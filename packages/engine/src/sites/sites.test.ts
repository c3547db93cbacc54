import { GiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { describe, expect, test, vi } from 'vitest'
import { by, minute, newLab, newProtectedLab } from '../engine-lab.ts'
import type { SiteChange } from '../requests.ts'

test('settings that lose the host of a running replica are refused until it is gone', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const change = { settings: { hosts: ['another'] } }
  const places = vi.spyOn(lab.b.target, 'places').mockResolvedValue(['another place'])
  places.mockResolvedValueOnce(['the site', 'another place'])
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.engine.updateSite(lab.siteB.id, change, { by })
  await expect(lab.engine.updateSite(lab.siteB.id, { settings: {} }, { by })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'site/carries-run',
    message: expect.stringContaining('the site'),
  })
  expect((await lab.stores.sites.find(lab.siteB.id))?.settings).toEqual(change.settings)
  await lab.done(lab.engine.rollBack({ protectionId, by: ask.by }))
  await lab.engine.updateSite(lab.siteB.id, { settings: {} }, { by })
})

test('a site that cannot be reached raises an alert that resolves by itself', async () => {
  const lab = await newLab()
  lab.a.cutOff()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toContain('site/unreachable')
  expect((await lab.stores.sites.find(lab.siteA.id))?.health).toBe('unreachable')
  lab.a.comeBack()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('little room for replicas raises an alert that resolves by itself, at the site that keeps them only', async () => {
  const { lab } = await newProtectedLab()
  const room = vi.spyOn(lab.b.replicas, 'freeBytes').mockResolvedValue(GiB)
  vi.spyOn(lab.a.replicas, 'freeBytes').mockResolvedValue(GiB)
  await lab.clock.advance(2 * minute)
  const { rows } = await lab.stores.alerts.list({ open: true }, { limit: 100, cursor: null })
  expect(rows).toMatchObject([{ code: 'site/low-space', subjectId: lab.siteB.id }])
  room.mockResolvedValue(10 * GiB)
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('a sign-in that ends within a week is told, more loudly on its last day, until there is a new one', async () => {
  const { lab } = await newProtectedLab()
  const day = 24 * 60 * minute
  const endIn = (milliseconds: number) =>
    Object.assign(lab.b.platform, { signInEndsAt: lab.clock.now() + milliseconds })
  const told = async () => {
    await lab.clock.advance(2 * minute)
    const { rows } = await lab.stores.alerts.list({ open: true }, { limit: 100, cursor: null })
    return rows.map(({ code, severity, subjectId }) => `${severity} ${code} ${subjectId}`)
  }
  endIn(30 * day)
  expect(await told()).toEqual([])
  endIn(6 * day)
  expect(await told()).toEqual([`warning site/sign-in-ends ${lab.siteB.id}`])
  endIn(day / 2)
  expect(await told()).toEqual([`critical site/sign-in-ends ${lab.siteB.id}`])
  endIn(365 * day)
  expect(await told()).toEqual([])
})

test('little room is told although the site itself does not answer', async () => {
  const { lab } = await newProtectedLab()
  vi.spyOn(lab.b.replicas, 'freeBytes').mockResolvedValue(GiB)
  lab.b.cutOff()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toContain('site/low-space')
})

test('a site with one host away is degraded, and what its other hosts have does not grow old', async () => {
  const lab = await newLab()
  const whole = lab.a.platform.checkConnection
  const away = { code: 'kvm/host-unreachable', message: 'Host h2 cannot be reached', remedy: 'Test.' }
  Object.assign(lab.a.platform, { checkConnection: () => Promise.reject(new Outage(away)) })
  await lab.a.addMachine({ name: 'young' })
  await lab.clock.advance(2 * minute)
  expect(await lab.stores.sites.find(lab.siteA.id)).toMatchObject({
    health: 'degraded',
    healthNote: away.message,
  })
  expect(await lab.openAlerts()).toContain('site/unreachable')
  expect((await lab.stores.machines.list(lab.siteA.id)).map(({ name }) => name)).toContain('young')
  Object.assign(lab.a.platform, { checkConnection: whole })
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('a look at a site reads the protections once, and writes of them only what has changed', async () => {
  const { lab, protectionId } = await newProtectedLab()
  await lab.engine.refreshSite(lab.siteA.id)
  const { protections, alerts } = lab.stores
  const calls = {
    list: vi.spyOn(protections, 'list'),
    update: vi.spyOn(protections, 'update'),
    resolve: vi.spyOn(alerts, 'resolve'),
  }
  await lab.engine.refreshSite(lab.siteA.id)
  expect(calls.list).toHaveBeenCalledOnce()
  expect(calls.update).not.toHaveBeenCalled()
  expect(calls.resolve.mock.calls.map(([code]) => code)).toEqual(['site/unreachable'])
  lab.machine.addDisk(2 ** 20)
  await lab.engine.refreshSite(lab.siteA.id)
  expect(calls.update.mock.calls.map(([id]) => id)).toEqual([protectionId])
})

test('settings with which a replica would not be found any more are refused', async () => {
  const { lab } = await newProtectedLab()
  const { replicas } = lab.b.platform
  vi.spyOn(replicas, 'exists').mockResolvedValueOnce(false).mockResolvedValueOnce(true)
  await expect(
    lab.engine.updateSite(lab.siteB.id, { settings: { replicaFolder: '/elsewhere' } }, { by }),
  ).rejects.toMatchObject({ code: 'site/replicas-elsewhere' })
  expect((await lab.stores.sites.find(lab.siteB.id))?.settings).toEqual({})
  await lab.engine.updateSite(lab.siteB.id, { settings: { replicaFolder: '/moved' } }, { by })
})

const keyRefused = { code: 'azure/sign-in-refused', message: 'The key is not accepted', remedy: 'Copy it.' }

/** With the saved settings nobody can ask for the replicas at B any more; with others they are there, or not. */
async function newLabWithOldKey(isFound: boolean, error: Error = new Refusal(keyRefused)) {
  const prepared = await newProtectedLab()
  const { lab } = prepared
  const { platform } = lab.b
  const checkConnection = vi.fn(async () => ({ summary: 'answers' }))
  const replicas = { ...platform.replicas, exists: async () => isFound }
  lab.tried.set('B', { ...platform, replicas, checkConnection })
  vi.spyOn(platform.replicas, 'exists').mockRejectedValue(error)
  const save = () => lab.engine.updateSite(lab.siteB.id, { secrets: { accountKey: 'new' } }, { by })
  return { ...prepared, save, checkConnection }
}

test.each([
  ['refuses the old one', new Refusal(keyRefused)],
  ['does not answer with the old one', new Outage(keyRefused)],
])('a new key is saved although the place %s', async (_, error) => {
  const { lab, save } = await newLabWithOldKey(true, error)
  await save()
  expect(await lab.stores.sites.secrets(lab.siteB.id)).toEqual({ accountKey: 'new' })
})

test('what cannot be asked with the saved settings was there: elsewhere is refused, unless nothing was ever sealed', async () => {
  const { lab, protectionId, save } = await newLabWithOldKey(false)
  await expect(save()).rejects.toMatchObject({ code: 'site/replicas-elsewhere' })
  await lab.engine.pause({ by, protectionId })
  await lab.stores.protections.updateSummary(protectionId, { newestPoint: null })
  await save()
})

test('settings that lose the replicas are refused before anything is made at their new place', async () => {
  const { save, checkConnection } = await newLabWithOldKey(false)
  await expect(save()).rejects.toMatchObject({ code: 'site/replicas-elsewhere' })
  expect(checkConnection).not.toHaveBeenCalled()
})

test('of several secrets those that are left out of a change stay as they are', async () => {
  const lab = await newLab()
  const { id } = lab.siteB
  await lab.engine.updateSite(id, { secrets: { accountKey: 'key', proxyPassword: 'old' } }, { by })
  await lab.engine.updateSite(id, { secrets: { proxyPassword: 'new' } }, { by })
  expect(await lab.stores.sites.secrets(id)).toEqual({ accountKey: 'key', proxyPassword: 'new' })
})

test('of two forms that were open at once the older one is refused, and puts nothing back', async () => {
  const lab = await newLab()
  const { id } = lab.siteB
  const save = (change: SiteChange) => lab.engine.updateSite(id, change, { by })
  await save({ settings: { rules: ['a'] } })
  await save({ settings: { rules: ['a', 'b'] }, before: { rules: ['a'] } })
  await expect(save({ settings: { rules: [] }, before: { rules: ['a'] } })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'site/edited-meanwhile',
  })
  expect((await lab.stores.sites.find(id))?.settings).toEqual({ rules: ['a', 'b'] })
})

describe('a kept secret', () => {
  const here = { secretPlaces: { accountKey: 'here', proxyPassword: 'proxy' } }
  const elsewhere = { secretPlaces: { accountKey: 'evil.example', proxyPassword: 'proxy' } }
  async function newLabWithSecrets() {
    const lab = await newLab()
    const save = (change: SiteChange) => lab.engine.updateSite(lab.siteB.id, change, { by })
    await save({ settings: here, secrets: { accountKey: 'key', proxyPassword: 'word' } })
    const checkConnection = vi.fn(async () => ({ summary: 'answers' }))
    lab.tried.set('B', { ...lab.b.platform, checkConnection })
    return { save, checkConnection, secrets: () => lab.stores.sites.secrets(lab.siteB.id) }
  }

  test('is never sent to another place than the one for which it was given', async () => {
    const { save, checkConnection, secrets } = await newLabWithSecrets()
    await expect(save({ settings: elsewhere, secrets: { proxyPassword: 'word' } })).rejects.toMatchObject({
      name: 'Refusal',
      code: 'site/secret-for-another-place',
      message: expect.stringContaining('evil.example'),
      facts: { fields: [{ path: 'secrets.accountKey', message: expect.stringContaining('evil.example') }] },
    })
    expect(checkConnection).not.toHaveBeenCalled()
    expect(await secrets()).toEqual({ accountKey: 'key', proxyPassword: 'word' })
    await save({ settings: elsewhere, secrets: { accountKey: 'new' } })
    expect(await secrets()).toEqual({ accountKey: 'new', proxyPassword: 'word' })
  })

  test('is forgotten once it is not used, so that nobody gets it elsewhere in two steps', async () => {
    const { save, secrets } = await newLabWithSecrets()
    await save({ settings: { secretPlaces: { proxyPassword: 'proxy' } } })
    expect(await secrets()).toEqual({ proxyPassword: 'word' })
    await save({ settings: elsewhere })
    expect(await secrets()).toEqual({ proxyPassword: 'word' })
  })

  test('stays for other settings of the same place', async () => {
    const { save, secrets } = await newLabWithSecrets()
    await save({ settings: { ...here, connections: 3 } })
    expect(await secrets()).toEqual({ accountKey: 'key', proxyPassword: 'word' })
  })
})
