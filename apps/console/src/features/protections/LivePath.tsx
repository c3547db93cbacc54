import { Badge, Group, Progress, SimpleGrid, Stack, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Protection } from '@understudy/contract/protection'
import type { ReactNode } from 'react'
import { useMeasurement, useRecentLag } from '../../api/live.ts'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { Spark } from '../../ui/Spark.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { When } from '../../ui/When.tsx'
import { NewestPoint, useLagSeconds } from './LagMeter.tsx'
import classes from './LivePath.module.css'
import { lagCounts, standstillOf, wordsOfFlow } from './replication-words.ts'

/** Source, wire and target as they are this second. The wire moves only while data flows. */
export function LivePath({ protection }: { readonly protection: Protection }) {
  const measured = useMeasurement(protection.id)
  const recent = useRecentLag(protection.id)
  const lag = useLagSeconds(protection)
  const standstill = standstillOf[protection.state]
  const counts = lagCounts[protection.state]
  const flowing = standstill === null && measured?.phase === 'copying' && measured.bytesPerSecond > 0
  const backlog = measured && standstill === null ? Math.max(0, measured.totalBytes - measured.doneBytes) : 0
  const broken = protection.state === 'broken'
  const wire = broken ? 'broken' : flowing ? 'flowing' : 'still'
  const late = counts && lag !== null && lag > protection.lagTargetSeconds
  const left = flowing && measured && backlog > 0 ? backlog / measured.bytesPerSecond : null
  return (
    <Stack gap="md">
      <div className={classes.path}>
        <SiteBox
          site={protection.source}
          title="Source"
          active={protection.activeSiteId === protection.source.id}
        />
        <div>
          <Group justify="space-between" gap={6} wrap="nowrap">
            <Text size="xs" c="var(--ink-quiet)" truncate>
              {wordsOfFlow(protection.state, measured?.phase ?? null)}
            </Text>
            <Text size="xs" className="number" style={{ whiteSpace: 'nowrap' }}>
              {flowing && measured ? `${formatBytes(measured.bytesPerSecond)}/s` : ''}
            </Text>
          </Group>
          <div className={classes.wire} data-tone={wire} aria-hidden="true" />
          {standstill === null && measured && measured.totalBytes > 0 && measured.phase === 'copying' ? (
            <>
              <Progress.Root size="xs">
                <Progress.Section
                  value={Math.min(100, (measured.doneBytes / measured.totalBytes) * 100)}
                  aria-label="Progress of this cycle"
                />
              </Progress.Root>
              <Text size="xs" c="var(--ink-quiet)" className="number" mt={3}>
                {formatBytes(measured.doneBytes)} of {formatBytes(measured.totalBytes)}
                {left !== null && ` · ${formatDuration(left)} left`}
              </Text>
            </>
          ) : (
            <Text size="xs" c="var(--ink-quiet)" truncate>
              {standstill === null ? (
                `a point every ${formatDuration(protection.pace?.carriedSeconds ?? protection.intervalSeconds)}`
              ) : (
                <>
                  the last point <NewestPoint protection={protection} />
                </>
              )}
            </Text>
          )}
        </div>
        <SiteBox
          site={protection.target}
          title="Target"
          active={protection.activeSiteId === protection.target.id}
          runsMachines={protection.target.runsMachines}
        />
      </div>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="md">
        {counts ? (
          <Stat
            label="Lag"
            value={
              <Group gap={8} wrap="nowrap" style={{ whiteSpace: 'nowrap' }}>
                {lag === null ? '–' : formatDuration(lag)}
                <Spark
                  values={recent.flatMap((each) => each.lagSeconds ?? [])}
                  target={protection.lagTargetSeconds}
                  ink={late ? 'var(--at-risk)' : 'var(--busy-fill)'}
                  width={54}
                />
              </Group>
            }
            ink={late ? 'var(--at-risk)' : 'var(--ink)'}
            note={`target ${formatDuration(protection.lagTargetSeconds)}`}
          />
        ) : (
          <Stat
            label="Not replicating since"
            value={
              <Small>
                <NewestPoint protection={protection} />
              </Small>
            }
            ink="var(--at-risk)"
            note="what is written now is in no recovery point"
          />
        )}
        <Stat
          label="Backlog"
          value={standstill === null ? formatBytes(backlog) : '–'}
          note={standstill === null ? 'still to copy in this cycle' : 'no cycle runs'}
        />
        <Stat
          label="Newest point"
          value={
            <Small>
              <NewestPoint protection={protection} />
            </Small>
          }
          note={
            protection.newestApplicationPoint ? (
              <>
                application-consistent <When at={protection.newestApplicationPoint.instant} />
              </>
            ) : (
              'none application-consistent'
            )
          }
        />
        <Stat
          label="Recovery points"
          value={formatCount(protection.pointCount)}
          note={`${formatBytes(protection.storedBytes)} stored`}
        />
        <Stat
          label="Last test"
          value={
            <Small>
              <When at={protection.lastTestAt} absent="never" />
            </Small>
          }
          ink={
            protection.lastTestPassed === true
              ? 'var(--good)'
              : protection.lastTestPassed === false
                ? 'var(--bad)'
                : 'var(--at-risk)'
          }
          note={
            protection.lastTestPassed === null
              ? 'not proven yet'
              : protection.lastTestPassed
                ? 'passed'
                : 'failed'
          }
        />
        <Stat
          label="Comes back in about"
          value={
            protection.lastRecoverySeconds === null ? (
              <Small>not measured</Small>
            ) : (
              formatDuration(protection.lastRecoverySeconds)
            )
          }
          note={protection.lastRecoverySeconds === null ? 'a test measures it' : 'as measured last'}
        />
      </SimpleGrid>
    </Stack>
  )
}

const Small = ({ children }: { readonly children: ReactNode }) => (
  <Text span fz={16} fw={600} lh="26px" c="inherit">
    {children}
  </Text>
)

type SiteBoxProps = {
  readonly site: Protection['source']
  readonly title: string
  readonly active: boolean
  readonly runsMachines?: boolean
}

const natureOf = ({ platform, emulated }: Protection['source'], runsMachines: boolean): string =>
  [
    platform === 'simulated' ? 'simulated' : '',
    emulated ? 'emulated' : '',
    runsMachines ? '' : 'keeps the replica only',
  ]
    .filter((word) => word !== '')
    .join(' · ')

function SiteBox({ site, title, active, runsMachines = true }: SiteBoxProps) {
  return (
    <div className={classes.site} data-active={active || undefined}>
      <Group justify="space-between" gap={6} wrap="nowrap">
        <Text size="xs" c="var(--ink-quiet)">
          {title}
        </Text>
        {active && <Badge color="teal">runs here</Badge>}
      </Group>
      <LinkAnchor to="/sites/$siteId" params={{ siteId: site.id }} fw={600} c="var(--ink)">
        {site.name}
      </LinkAnchor>
      {natureOf(site, runsMachines) !== '' && (
        <Text size="xs" c="var(--ink-quiet)">
          {natureOf(site, runsMachines)}
        </Text>
      )}
    </div>
  )
}
