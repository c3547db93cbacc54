import { expect, test } from 'vitest'
import { readAnswer } from './asks.ts'

const disk = { key: 'sda', label: '/dev/sda', bytes: 512, format: 'raw', bus: 'sata', boot: true }
const adapter = { key: 'eth0', macAddress: '52:54:00:00:00:01', networkId: null, model: 'eth0' }
const described = (name: string, disks: unknown, adapters: unknown) => ({
  name,
  power: 'running',
  guestAgent: false,
  hardware: { cpus: 2, memoryBytes: 1, firmware: 'bios', disks, adapters },
})

test.each([
  ['plain', 'x'.repeat(100_000)],
  ['of many addresses', Array.from({ length: 400 }, (_, index) => `fe80::${index}/64`).join(', ')],
  ['that is cut within a character', `${'x'.repeat(198)}😀😀`],
])('a server with a text that is too long (%s) is seen, with what fits of it', (_what, text) => {
  const answer = readAnswer(
    'describe-server',
    described(
      text,
      [{ ...disk, label: text, bus: text, format: text }],
      [{ ...adapter, model: text, macAddress: text }],
    ),
  )
  const [seenDisk] = answer.hardware.disks
  const [seenAdapter] = answer.hardware.adapters
  for (const seen of [
    answer.name,
    seenDisk?.label,
    seenDisk?.bus,
    seenAdapter?.model,
    seenAdapter?.macAddress,
  ]) {
    expect(seen?.length).toBeLessThanOrEqual(200)
    expect(seen?.endsWith('…')).toBe(true)
    expect(seen?.isWellFormed()).toBe(true)
    expect(text.startsWith((seen ?? '').slice(0, -1))).toBe(true)
  }
})

test('a text that fits is left as it is', () => {
  const text = 'x'.repeat(200)
  expect(readAnswer('describe-server', described(text, [], [])).name).toBe(text)
})

test('of a server with more adapters than are kept the first ones are; of its disks none is left out in silence', () => {
  const adapters = Array.from({ length: 300 }, (_, index) => ({ ...adapter, key: `eth${index}` }))
  expect(readAnswer('describe-server', described('db', [disk], adapters)).hardware.adapters).toHaveLength(200)
  const disks = Array.from({ length: 257 }, (_, index) => ({ ...disk, key: `sd${index}` }))
  expect(() => readAnswer('describe-server', described('db', disks, []))).toThrow(/hardware.disks/)
  expect(() =>
    readAnswer('describe-server', described('db', [{ ...disk, key: 'x'.repeat(201) }], [])),
  ).toThrow()
})

test('findings with endless texts arrive, as far as they fit', () => {
  const finding = { level: 'blocker', code: 'linux/x', message: 'm'.repeat(9000), remedy: 'r'.repeat(9000) }
  const answer = readAnswer('check-eligibility', {
    findings: Array.from({ length: 600 }, () => finding),
    shortestIntervalSeconds: 15,
    applicationConsistent: false,
  })
  expect(answer.findings).toHaveLength(500)
  expect(answer.findings[0]?.message).toHaveLength(4000)
})
