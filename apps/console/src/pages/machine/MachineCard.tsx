import { useQuery } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Protection, Run } from '@understudy/contract/protection'
import { api } from '../../api/client.ts'
import { sightOfCopy } from '../../features/failover/copy-sight.ts'
import { knownPower, toneOfPower, wordsOfPower } from '../../features/protections/power-words.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'
import { useCopy } from './use-copy.ts'

/** What the inventory of a platform says about where in its site a machine is. */
const wordsOfHost = (platform: string): string => (platform === 'azure' ? 'Place' : 'Host')

type MachineCardProps = {
  readonly protection: Protection
  /** That the protection replicates. Null: the inventory does not hold it (any more). */
  readonly machine: Machine | null
}

/** What the machine is, and where its work is done now: after a failover by the copy, not by the one that is replicated. */
export function MachineCard({ protection, machine }: MachineCardProps) {
  const { hardware, source, target } = protection
  const copyRuns = protection.activeSiteId !== source.id
  const copy = useCopy(protection, copyRuns) ?? null
  return (
    <Panel title="Machine">
      <Facts>
        {copyRuns ? (
          <>
            <Fact name="Runs at">{target.name}, from its replica</Fact>
            <Fact name="Power">
              <Power machine={copy} siteId={target.id} siteName={target.name} run={protection.failover} />
            </Fact>
            <Fact name={`Original at ${source.name}`}>
              <Power machine={machine} siteId={source.id} siteName={source.name} />
            </Fact>
          </>
        ) : (
          <>
            <Fact name="Runs at">{source.name}</Fact>
            <Fact name="Power">
              <Power machine={machine} siteId={source.id} siteName={source.name} />
            </Fact>
          </>
        )}
        <Fact name={wordsOfHost(copyRuns ? target.platform : source.platform)}>
          {(copyRuns ? copy : machine)?.host}
        </Fact>
        <Fact name="Hardware">
          {hardware.cpus} {hardware.cpus === 1 ? 'core' : 'cores'}, {formatBytes(hardware.memoryBytes)}{' '}
          memory, {formatBytes(protection.diskBytes)} on {hardware.disks.length}{' '}
          {hardware.disks.length === 1 ? 'disk' : 'disks'}
        </Fact>
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
  )
}

type PowerProps = {
  readonly machine: Machine | null
  readonly siteId: string
  readonly siteName: string
  /** Of the failover that started it, while it is kept. */
  readonly run?: Run | null
}

/** Power and guest agent as they were read last; nothing of that is a fact once the machine or its site is gone. */
function Power({ machine, siteId, siteName, run = null }: PowerProps) {
  const { data: site } = useQuery(api.sites.get.queryOptions({ input: { id: siteId } }))
  const silent = site?.health === 'unreachable'
  // It runs machines and tells nobody of them: that none is found there says nothing.
  if (site?.canKeepReplicas && !site.canBeSource)
    return (
      <StatusMark tone="off">
        {siteName} is not asked for it
        {run?.answeredAt && (
          <>
            ; it answered <When at={run.answeredAt} />
          </>
        )}
      </StatusMark>
    )
  if (!machine?.present && run && sightOfCopy({ run, site, copy: machine }) === 'not-asked')
    return (
      <StatusMark tone="busy">
        {siteName} has not been asked since it started
        {run.answeredAt && (
          <>
            ; it answered <When at={run.answeredAt} />
          </>
        )}
      </StatusMark>
    )
  if (!machine?.present)
    return (
      <StatusMark tone="bad">
        Not known: {silent ? `${siteName} does not answer` : `not in the inventory of ${siteName}`}
      </StatusMark>
    )
  const power = knownPower(machine, site?.health)
  return (
    <>
      <StatusMark tone={toneOfPower[power]}>
        {wordsOfPower[power]}
        {silent && `: ${siteName} does not answer`}
      </StatusMark>{' '}
      {power === 'running' && (machine.guestAgent ? 'guest agent answers' : 'no guest agent found')}
      {power === 'unknown' && (
        <>
          seen <When at={machine.seenAt} />
        </>
      )}
    </>
  )
}
