import { Alert, Stack, Text } from '@mantine/core'
import { IconInfoCircle, IconShieldPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { Machine } from '@understudy/contract/machine'
import { roleOf } from '@understudy/contract/roles'
import { api } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { EligibilityPanel } from '../../features/protect/EligibilityPanel.tsx'
import { HardwareFacts } from '../../features/protections/HardwareEditors.tsx'
import { knownPower, toneOfPower, wordsOfPower } from '../../features/protections/power-words.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { LinkButton } from '../../ui/LinkButton.tsx'
import { PageHeader } from '../../ui/PageHeader.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { SideBySide } from '../../ui/SideBySide.tsx'
import { SimulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'

/** A machine that nothing replicates: what it is, whether it can be protected, and the way there. */
export function UnprotectedMachine({ machine }: { readonly machine: Machine }) {
  const refused = useWhyRefused()(roleOf.protections.create)
  const { data: site } = useQuery(api.sites.get.queryOptions({ input: { id: machine.siteId } }))
  const power = knownPower(machine, site?.health)
  return (
    <>
      <PageHeader
        title={machine.name}
        badges={
          <>
            <StatusMark tone={toneOfPower[power]}>{wordsOfPower[power]}</StatusMark>
            {machine.simulated && <SimulatedBadge />}
          </>
        }
        note={
          <>
            at{' '}
            <LinkAnchor to="/sites/$siteId" params={{ siteId: machine.siteId }} underline="always">
              {machine.siteName}
            </LinkAnchor>
            , {machine.runId ? 'a replica of ours' : 'not protected'}
          </>
        }
        actions={
          machine.runId === null && (
            <LinkButton
              to="/protect"
              reason={refused}
              search={{ machines: machine.id, sourceSiteId: machine.siteId }}
              leftSection={<IconShieldPlus size={16} aria-hidden />}
            >
              Protect {machine.name}
            </LinkButton>
          )
        }
      />
      <Stack gap="md">
        <Relatives machine={machine} />
        <SideBySide
          main={machine.runId === null ? <EligibilityPanel machineId={machine.id} /> : null}
          side={
            <Panel title="Machine">
              <Facts>
                <Fact name="Host">{machine.host}</Fact>
                <Fact name="Hardware">
                  <HardwareFacts machine={machine} />
                </Fact>
                <Fact name="Guest agent">
                  {power === 'unknown' ? 'not known' : machine.guestAgent ? 'answers' : 'not found'}
                </Fact>
                <Fact name="Seen">
                  <When at={machine.seenAt} />
                </Fact>
                <Fact name="Id">
                  <CopyText text={machine.id} what="id of the machine" />
                </Fact>
              </Facts>
            </Panel>
          }
        />
      </Stack>
    </>
  )
}

/** A copy that we started, or the original of a machine that runs elsewhere now: lead to the page where it is managed. */
function Relatives({ machine }: { readonly machine: Machine }) {
  const run = useQuery({
    ...api.runs.get.queryOptions({ input: { id: machine.runId ?? '' } }),
    enabled: machine.runId !== null,
    retry: false,
  })
  const namesakes = useQuery(
    api.protections.list.queryOptions({ input: { search: machine.name, limit: 50 } }),
  )
  const protection = namesakes.data?.items.find(
    (each) =>
      each.id === run.data?.protectionId ||
      (machine.runId === null && each.name === machine.name && each.target.id === machine.siteId),
  )
  if (!protection) return null
  return (
    <Alert color="blue" variant="light" icon={<IconInfoCircle size={18} />}>
      <Text size="sm">
        {machine.runId === null
          ? `This is where ${protection.name} comes from or can return to: it is replicated from ${protection.source.name} to ${protection.target.name}. `
          : `Understudy started this copy of ${protection.name}. `}
        <LinkAnchor to="/machines/$machineId" params={{ machineId: protection.machineId }} underline="always">
          Go to {protection.name}
        </LinkAnchor>
      </Text>
    </Alert>
  )
}
