import { type DiskKey, isEligible, withoutDisks } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import type { GraphDisk } from './block-graph.ts'
import { checkEligibility } from './eligibility.ts'

const disk = (key: string, part: Partial<GraphDisk>): GraphDisk =>
  ({ key: key as DiskKey, bytes: 2 ** 20, format: 'qcow2', virtio: true, ...part }) as GraphDisk

const facts = (disks: readonly GraphDisk[]) => ({
  name: 'web',
  power: 'running' as const,
  definition: null,
  running: { version: '7.2.0', disks, skipped: [], agentAnswered: true, drift: null },
  agentChannel: true,
})

test.each([
  ['on another bus', disk('data', { virtio: false }), 'source/bus'],
  ['of another format', disk('data', { format: 'vmdk' }), 'source/format'],
])('a disk %s stands in the way of its machine, and no more once it is excluded', (_, data, code) => {
  const eligibility = checkEligibility(facts([disk('system', {}), data]))
  expect(eligibility.findings).toContainEqual(expect.objectContaining({ level: 'blocker', code }))
  expect(isEligible(eligibility)).toBe(false)
  expect(isEligible(withoutDisks(eligibility, ['data' as DiskKey]))).toBe(true)
  expect(isEligible(withoutDisks(eligibility, ['system' as DiskKey]))).toBe(false)
})

test('what stands in the way of the whole machine stays, whatever is excluded', () => {
  const old = facts([disk('system', {}), disk('data', {})])
  const eligibility = checkEligibility({ ...old, running: { ...old.running, version: '6.2.0' } })
  expect(isEligible(withoutDisks(eligibility, ['data' as DiskKey]))).toBe(false)
})
