import { SimpleGrid } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { toneOfPower, wordsOfPower } from '../../features/protections/power-words.ts'
import { formatDuration } from '../../lib/format.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'

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
  const { lastCycle, hardware } = protection
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
      <Panel title="Machine">
        <Facts>
          <Fact name="Power">
            {machine ? (
              <StatusMark tone={toneOfPower[machine.power]}>{wordsOfPower[machine.power]}</StatusMark>
            ) : (
              <StatusMark tone="bad">Not in the inventory of {protection.source.name}</StatusMark>
            )}
          </Fact>
          <Fact name="Host">{machine?.host}</Fact>
          <Fact name="Hardware">
            {hardware.cpus} {hardware.cpus === 1 ? 'core' : 'cores'}, {formatBytes(hardware.memoryBytes)}{' '}
            memory, {formatBytes(protection.diskBytes)} on {hardware.disks.length}{' '}
            {hardware.disks.length === 1 ? 'disk' : 'disks'}
          </Fact>
          <Fact name="Guest agent">{machine && (machine.guestAgent ? 'answers' : 'not found')}</Fact>
          <Fact name="Protected since">
            <When at={protection.createdAt} />
          </Fact>
          <Fact name="Protection">
            <CopyText text={protection.id} what="id of the protection" />
          </Fact>
          <Fact name="Machine">
            <CopyText text={protection.machineId} what="id of the machine" />
          </Fact>
        </Facts>
      </Panel>
    </SimpleGrid>
  )
}
