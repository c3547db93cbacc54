import { SimpleGrid } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { formatDuration } from '../../lib/format.ts'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { When } from '../../ui/When.tsx'
import { MachineCard } from './MachineCard.tsx'

const wordsOfCycle: Record<NonNullable<Protection['lastCycle']>['kind'], string> = {
  seed: 'first copy of everything',
  delta: 'changes only',
  resync: 'everything was compared',
  idle: 'nothing had changed',
}

/** What the last cycle did, and what the machine is. */
export function LastCycle({
  protection,
  machine,
}: {
  readonly protection: Protection
  readonly machine: Machine | null
}) {
  const { lastCycle } = protection
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
      <Panel title="Last cycle">
        {lastCycle ? (
          <Facts>
            <Fact name="Kind">{wordsOfCycle[lastCycle.kind]}</Fact>
            <Fact name="Why">{lastCycle.reason}</Fact>
            <Fact name="Ended">
              <When at={lastCycle.endedAt} />
            </Fact>
            <Fact name="Took">
              {formatDuration((Date.parse(lastCycle.endedAt) - Date.parse(lastCycle.startedAt)) / 1000)}
            </Fact>
            <Fact name="Changed">{formatBytes(lastCycle.changedBytes)}</Fact>
            <Fact name="Read">{formatBytes(lastCycle.readBytes)}</Fact>
            <Fact name="Stored">{formatBytes(lastCycle.storedBytes)}</Fact>
            <Fact name="Guest paused">{formatDuration(lastCycle.pauseMilliseconds / 1000)}</Fact>
          </Facts>
        ) : (
          'No cycle has ended yet.'
        )}
      </Panel>
      <MachineCard protection={protection} machine={machine} />
    </SimpleGrid>
  )
}
