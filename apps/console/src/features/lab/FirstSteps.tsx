import { Divider, Group, List, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core'
import { IconArrowsExchange, IconBuilding, IconFlask, IconShieldPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { LinkButton } from '../../ui/LinkButton.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { AzureOnThisComputer } from './AzureOnThisComputer.tsx'

/** Before the first site: what to do, and a lab to try it all without risk. */
export function FirstSteps() {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const { data: lab } = useQuery(api.lab.get.queryOptions())
  const create = useMutation({
    mutationFn: () => client.lab.create({}),
    onSettled: () => queries.invalidateQueries({ queryKey: api.lab.key() }),
  })
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Panel>
        <Stack gap="sm" align="flex-start">
          <Group gap="sm">
            <ThemeIcon size={36} variant="light" aria-hidden>
              <IconFlask size={21} stroke={1.7} />
            </ThemeIcon>
            <Title order={2}>Try it on this computer</Title>
          </Group>
          <Text size="sm" c="var(--ink-quiet)">
            The lab makes two sites and two small Linux machines right here: they serve a web page and keep
            writing to their disks. Protect them, test, fail over and come back, as often as you like. Nothing
            else on this computer is touched.
          </Text>
          {lab && !lab.available && (
            <Text size="sm" c="var(--at-risk)">
              Not possible here: {lab.reason}
            </Text>
          )}
          {lab?.state === 'ready' ? (
            <LabReady sourceSiteId={lab.siteIds[0]} />
          ) : lab?.state === 'creating' && lab.jobId !== null ? (
            <Text size="sm">
              The lab is being made.{' '}
              <LinkAnchor to="/jobs/$jobId" params={{ jobId: lab.jobId }} underline="always">
                Watch it
              </LinkAnchor>
            </Text>
          ) : (
            <ActionButton
              size="sm"
              reason={whyRefused(roleOf.lab.create) ?? (lab?.available === true ? null : 'Not possible here')}
              loading={create.isPending}
              onClick={() => create.mutate()}
              leftSection={<IconFlask size={17} />}
            >
              {lab?.state === 'failed' ? 'Create the lab again' : 'Create a lab'}
            </ActionButton>
          )}
          <ProblemAlert error={create.error} />
          <Divider w="100%" />
          <AzureOnThisComputer />
        </Stack>
      </Panel>
      <Panel>
        <Stack gap="sm" align="flex-start">
          <Group gap="sm">
            <ThemeIcon size={36} variant="light" aria-hidden>
              <IconBuilding size={21} stroke={1.7} />
            </ThemeIcon>
            <Title order={2}>Protect your own machines</Title>
          </Group>
          <List size="sm" type="ordered" spacing={4} c="var(--ink-quiet)">
            <List.Item>
              Register the site where the machines run, and the one where they shall run on the bad day.
            </List.Item>
            <List.Item>
              Pick the machines; the wizard says for each whether it can be protected, and why not.
            </List.Item>
            <List.Item>
              Watch the first copy, then run a test failover: nothing else proves that it works.
            </List.Item>
          </List>
          <Group gap="xs">
            <LinkButton
              size="sm"
              variant="default"
              to="/sites"
              reason={whyRefused(roleOf.sites.create)}
              search={{ register: true }}
              leftSection={<IconBuilding size={17} />}
            >
              Register a site
            </LinkButton>
            <LinkButton
              size="sm"
              variant="default"
              to="/protect"
              reason={whyRefused(roleOf.protections.create)}
              leftSection={<IconArrowsExchange size={17} />}
            >
              Protect machines
            </LinkButton>
          </Group>
        </Stack>
      </Panel>
    </SimpleGrid>
  )
}

/** The lab exists: what comes next is to protect one of its machines. */
function LabReady({ sourceSiteId }: { readonly sourceSiteId: string | undefined }) {
  const refused = useWhyRefused()(roleOf.protections.create)
  const { data: machines } = useQuery(
    api.machines.list.queryOptions({
      input: {
        ...(sourceSiteId === undefined ? {} : { siteId: sourceSiteId }),
        protected: 'false',
        limit: 10,
      },
    }),
  )
  const first = machines?.items.find(({ runId, present }) => runId === null && present)
  return (
    <>
      <Text size="sm" fw={600}>
        The lab is ready: protect {first?.name ?? 'one of its machines'}.
      </Text>
      <Group gap="xs">
        <LinkButton
          size="sm"
          to="/protect"
          reason={refused}
          search={{
            ...(first && { machines: first.id }),
            ...(sourceSiteId !== undefined && { sourceSiteId }),
          }}
          leftSection={<IconShieldPlus size={17} />}
        >
          Protect {first?.name ?? 'a machine of the lab'}
        </LinkButton>
        <LinkButton size="sm" variant="default" to="/machines">
          See the machines
        </LinkButton>
      </Group>
    </>
  )
}
