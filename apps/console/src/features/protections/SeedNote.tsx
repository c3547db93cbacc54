import { Alert, Text } from '@mantine/core'
import { IconPackageExport } from '@tabler/icons-react'
import { formatBytes } from '@understudy/base/bytes'
import type { Protection } from '@understudy/contract/protection'
import { formatWithZone } from '../../lib/format.ts'

/** How far a first copy is that travels on a disk. */
export function SeedNote({ protection }: { readonly protection: Protection }) {
  const { seed, state, name, target } = protection
  if (state !== 'awaitingSeed') return null
  const exported = seed?.exported ?? null
  const isAtWork = protection.busyJobId !== null
  return (
    <Alert
      color="blue"
      variant="light"
      icon={<IconPackageExport size={18} />}
      title={exported ? `Waiting for the seed of ${name}` : `The first copy of ${name} travels on a disk`}
    >
      {exported && seed ? (
        <Text size="sm">
          Its first copy, as of {formatWithZone(exported.instant)}, was exported to {seed.folder} (
          {formatBytes(exported.storedBytes)}). Carry the disk to {target.name} and import it there; until
          then nothing is replicated.
          {!exported.tracked && ' Its changes are not tracked: the first cycle compares everything.'}
        </Text>
      ) : (
        <Text size="sm">
          {isAtWork
            ? `It is being exported${seed ? ` to ${seed.folder}` : ''}.`
            : 'The export has stopped. "Seed by disk" goes on where it was; or give it up and copy over the line.'}
        </Text>
      )}
    </Alert>
  )
}
