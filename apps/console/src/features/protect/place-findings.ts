// Beside which field a finding belongs: what a choice on the screen mends is said where it is chosen. Pure.

export const findingPlaces = ['target', 'disks', 'networks', 'review'] as const
export type FindingPlace = (typeof findingPlaces)[number]

const placeOfCode: Readonly<Record<string, FindingPlace>> = {
  'azure/region-gone': 'target',
  'azure/storage-elsewhere': 'target',
  'azure/no-size': 'target',
  'azure/quota': 'target',
  'azure/other-size': 'target',
  'azure/preferred-size': 'target',
  'azure/disk-too-large': 'disks',
  'azure/boot-disk-too-large': 'disks',
  'azure/boot-disk-beyond-bios': 'disks',
  'azure/no-boot-disk': 'disks',
  'azure/adapter-left-out': 'networks',
  'failover/no-network': 'networks',
}

const placeOf = (code: string): FindingPlace =>
  placeOfCode[code] ?? (code.startsWith('network/') ? 'networks' : 'review')

/** Each finding once; what has no place on the screen goes to the review. */
export function placeFindings<Finding extends { readonly code: string }>(
  findings: readonly Finding[],
  shown: Readonly<Record<Exclude<FindingPlace, 'review'>, boolean>>,
): Readonly<Record<FindingPlace, readonly Finding[]>> {
  const placed: Record<FindingPlace, Finding[]> = { target: [], disks: [], networks: [], review: [] }
  for (const finding of findings) {
    const place = placeOf(finding.code)
    placed[place !== 'review' && shown[place] ? place : 'review'].push(finding)
  }
  return placed
}
