import { GiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { chooseSizes, quotaObstacle, type SizeWish } from './choose-size.ts'
import { skus } from './double/compute-rules.ts'

const wish: SizeWish = {
  cpus: 2,
  memoryBytes: 4 * GiB,
  disks: 1,
  adapters: 1,
  generation: 'V1',
  needsPremium: false,
  zone: null,
  region: 'westeurope',
}
const offered = skus('westeurope')
const names = (change: Partial<SizeWish>, preferred: readonly string[] = []): readonly string[] =>
  chooseSizes(offered, { ...wish, ...change }, preferred).fitting.map(({ name }) => name)
const why = (change: Partial<SizeWish>, name: string): string | undefined =>
  chooseSizes(offered, { ...wish, ...change }).refused.find((one) => one.name === name)?.why

test('the smallest size that is not smaller than the machine comes first', () => {
  expect(names({})).toEqual(['Standard_B2s', 'Standard_D2s_v5', 'Standard_D4_v5', 'Standard_D8s_v5'])
  expect(names({ cpus: 1, memoryBytes: GiB / 2 })[0]).toBe('Standard_B1s')
  expect(names({ memoryBytes: 5 * GiB })[0]).toBe('Standard_D2s_v5')
  expect(names({ cpus: 64 })).toEqual([])
})

test('a preferred size goes before smaller ones, where it fits', () => {
  expect(names({}, ['standard_d8s_v5', 'Standard_B1s'])[0]).toBe('Standard_D8s_v5')
})

test('other processors, the wrong firmware, too few disks or adapters, and what is not offered: each is told', () => {
  expect(why({}, 'Standard_D2pls_v5')).toBe('other processors')
  expect(why({}, 'Standard_D4as_v6')).toBe('does not start machines with BIOS')
  expect(names({ generation: 'V2' })).toContain('Standard_D4as_v6')
  expect(why({ disks: 6 }, 'Standard_D2s_v5')).toBe('takes 4 data disks')
  expect(why({ adapters: 3 }, 'Standard_D2s_v5')).toBe('takes 2 network adapters')
  expect(why({ needsPremium: true }, 'Standard_D4_v5')).toBe('takes no premium disks')
  expect(why({}, 'Standard_E4s_v5')).toBe('not offered to this subscription')
  expect(why({ zone: '3' }, 'Standard_B2s')).toBe('not in zone 3')
})

test('a quota counts processors of the family, of the region, and machines', () => {
  const [size] = chooseSizes(offered, wish).fitting
  const usage = (value: string, currentValue: number, limit: number) => ({
    unit: 'Count' as const,
    currentValue,
    limit,
    name: { value, localizedValue: `What is called ${value}` },
  })
  const obstacle = (...usages: ReturnType<typeof usage>[]) =>
    size === undefined ? null : quotaObstacle(size, usages)
  expect(obstacle(usage('cores', 8, 10), usage('virtualMachines', 9, 10))).toBeNull()
  expect(obstacle(usage('cores', 9, 10))).toBe('What is called cores: 9 of 10 are in use, 2 more are needed')
  expect(obstacle(usage('virtualMachines', 10, 10))).toContain('virtualMachines')
  expect(obstacle(usage('StandardBSFamily', 10, 11))).toContain('StandardBSFamily')
  expect(obstacle(usage('standardDSv5Family', 10, 10)), 'another family').toBeNull()
})
