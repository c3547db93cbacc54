import { expect, test } from 'vitest'
import { placeFindings } from './place-findings.ts'

const everywhere = { target: true, disks: true, networks: true }
const findings = [
  { code: 'azure/quota' },
  { code: 'azure/disk-too-large' },
  { code: 'network/full' },
  { code: 'network/something-new' },
  { code: 'azure/adapter-left-out' },
  { code: 'machine/name-taken' },
]

test('what a choice mends is said where it is chosen, and the rest in the review', () => {
  expect(placeFindings(findings, everywhere)).toEqual({
    target: [{ code: 'azure/quota' }],
    disks: [{ code: 'azure/disk-too-large' }],
    networks: [
      { code: 'network/full' },
      { code: 'network/something-new' },
      { code: 'azure/adapter-left-out' },
    ],
    review: [{ code: 'machine/name-taken' }],
  })
})

test('what is not on the screen loses none of its findings', () => {
  const placed = placeFindings(findings, { target: false, disks: false, networks: false })
  expect(placed).toEqual({ target: [], disks: [], networks: [], review: findings })
})
