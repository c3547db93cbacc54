import { Alert, Group, Text } from '@mantine/core'
import { IconAlertTriangle, IconBuildingBroadcastTower } from '@tabler/icons-react'
import type { Overview } from '@understudy/contract/overview'
import type { SiteFailover } from '@understudy/contract/recovery-plan'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { SiteDown } from './SiteDown.tsx'
import { progressOf } from './site-down.ts'

type RunningSitesProps = {
  readonly sites: Overview['sites']
  readonly failovers: readonly SiteFailover[]
}

/** Sites that do not answer, each with the way to bring its plans up elsewhere; and those where that goes on. */
export function RunningSites({ sites, failovers }: RunningSitesProps) {
  const running = failovers.filter(({ state }) => state === 'running')
  const silent = sites.filter(
    ({ id, health, machines }) =>
      health === 'unreachable' && machines > 0 && running.every(({ siteId }) => siteId !== id),
  )
  return (
    <>
      {running.map(({ id, siteName, plans }) => {
        const { up, total, waiting } = progressOf(plans)
        return (
          <Alert
            key={id}
            role="alert"
            color="red"
            variant="light"
            icon={<IconBuildingBroadcastTower size={18} />}
            title={`The plans of ${siteName} are being failed over`}
          >
            <Text size="sm" span>
              {up} of {total} are up{waiting > 0 ? `, ${waiting} wait for people` : ''}.{' '}
            </Text>
            <LinkAnchor to="/site-failovers/$failoverId" params={{ failoverId: id }} underline="always">
              See all of them
            </LinkAnchor>
          </Alert>
        )
      })}
      {silent.map(({ id, name }) => (
        <Alert
          key={id}
          role="alert"
          color="red"
          variant="light"
          icon={<IconAlertTriangle size={18} />}
          title={`${name} does not answer`}
        >
          <Group justify="space-between" gap="sm">
            <Text size="sm">If it is down for good, all its plans are failed over from here, in order.</Text>
            <SiteDown siteId={id} name={name} answers={false} size="compact-sm" />
          </Group>
        </Alert>
      ))}
    </>
  )
}
