import { SimpleGrid, Stack, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Policy } from '@understudy/contract/policy'
import type { ProtectPreview } from '@understudy/contract/protection'
import type { z } from 'zod'
import { formatDuration } from '../../lib/format.ts'
import { Stat } from '../../ui/Stat.tsx'
import { MachineFindings } from './MachineFindings.tsx'

type Preview = z.infer<typeof ProtectPreview>
type ReviewProps = {
  readonly preview: Preview | undefined
  readonly policy: Policy | undefined
  readonly machines: readonly Machine[]
  /** Those that are not said beside a field already. */
  readonly findings: readonly Preview['findings'][number][]
}

/** What it would mean: space, promise, and what stands in the way of which machine. */
export function Review({ preview, policy, machines, findings }: ReviewProps) {
  const short = preview?.freeBytes != null && preview.freeBytes < preview.diskBytes
  const warnings = preview?.findings.filter(({ level }) => level === 'warning').length ?? 0
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="md">
        <Stat label="Machines" value={machines.length} />
        <Stat
          label="Space at the target, at most"
          value={preview ? formatBytes(preview.diskBytes) : '…'}
          ink={short ? 'var(--bad)' : 'var(--ink)'}
          note={
            preview?.freeBytes == null
              ? 'for the first copy; only what is used counts'
              : `${formatBytes(preview.freeBytes)} free`
          }
        />
        <Stat
          label="A point every"
          value={policy ? formatDuration(policy.intervalSeconds) : '–'}
          note={policy ? `alert beyond ${formatDuration(policy.lagTargetSeconds)}` : undefined}
        />
        <Stat
          label="Standing in the way"
          value={preview ? preview.findings.filter(({ level }) => level === 'blocker').length : '…'}
          ink={preview?.findings.some(({ level }) => level === 'blocker') ? 'var(--bad)' : 'var(--ink)'}
          note={warnings === 1 ? 'and one warning' : `and ${warnings} warnings`}
        />
      </SimpleGrid>
      <MachineFindings machines={machines} findings={findings} label="What stands in the way" />
      {preview && preview.findings.length > findings.length && (
        <Text size="sm" c="var(--ink-quiet)">
          {findings.length === 0 ? 'What was found' : 'More of it'} stands above, beside what it is about.
        </Text>
      )}
      {preview?.findings.length === 0 && (
        <Text size="sm" c="var(--good)">
          Nothing stands in the way.
        </Text>
      )}
    </Stack>
  )
}
