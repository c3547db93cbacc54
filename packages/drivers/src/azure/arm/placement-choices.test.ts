import { expect, test } from 'vitest'
import { placeServices } from './double/emulated-azure.ts'
import { testSite } from './test-site.ts'

const readable = async ({ target }: Awaited<ReturnType<typeof testSite>>) =>
  (await target.placementChoices?.())?.map(({ kind, name, note }) => `${kind} ${name} in ${note}`)

test('what settings name is listed, with the ids that they name it by', async () => {
  const site = await testSite()
  await placeServices(site.double)
  const set = await site.double.place({ type: 'Microsoft.Compute/availabilitySets', name: 'web-set' })
  await site.double.place({
    type: 'Microsoft.Network/networkSecurityGroups',
    name: 'far-away',
    location: 'japaneast',
  })
  const listed = await readable(site)
  expect(listed).toEqual(
    expect.arrayContaining([
      'security-group closed in replicas',
      'load-balancer-pool front/web in replicas',
      'load-balancer-pool front/addresses in replicas',
      'availability-set web-set in replicas',
    ]),
  )
  // A machine could not be connected to it.
  expect(listed).not.toContain('security-group far-away in replicas')
  const choices = (await site.target.placementChoices?.()) ?? []
  expect(choices.find(({ kind }) => kind === 'availability-set')?.id).toBe(set.id)
  const pool = choices.find(({ name }) => name === 'front/web')
  expect(pool?.id).toMatch(/\/loadBalancers\/front\/backendAddressPools\/web$/)
  expect(choices.filter(({ kind }) => kind === 'zone').map(({ id }) => id)).toEqual(['1', '2'])
  expect(site.double.violations).toEqual([])
})

test('what the sign-in may not list is left out, and the rest is offered all the same', async () => {
  const site = await testSite()
  await placeServices(site.double)
  site.double.fault = ({ path }) =>
    path.includes('/loadBalancers')
      ? { kind: 'answer', status: 403, code: 'AuthorizationFailed', message: 'no' }
      : null
  expect(await readable(site)).toContain('security-group closed in replicas')
  expect((await readable(site))?.filter((line) => line.startsWith('load-balancer-pool'))).toEqual([])
})

test('what Azure cannot answer now is no empty list', async () => {
  const site = await testSite()
  site.double.fault = ({ path }) =>
    path.endsWith('/loadBalancers')
      ? { kind: 'answer', status: 500, code: 'InternalServerError', message: 'later' }
      : null
  await expect(readable(site)).rejects.toThrow()
})
