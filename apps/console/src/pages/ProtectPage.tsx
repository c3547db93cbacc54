import { Group, Select, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconBuilding, IconShieldPlus } from '@tabler/icons-react'
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { Machine } from '@understudy/contract/machine'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api } from '../api/client.ts'
import { useWhyRefused } from '../api/session.ts'
import { choosePolicy } from '../features/protect/choose-policy.ts'
import { DiskChoice } from '../features/protect/DiskChoice.tsx'
import { type Excluded, excludedOf, machineLeftEmpty } from '../features/protect/excluded-disks.ts'
import { groupOptions } from '../features/protect/group-options.ts'
import { MachineFindings } from '../features/protect/MachineFindings.tsx'
import { MachinePicker } from '../features/protect/MachinePicker.tsx'
import { NetworkChoices } from '../features/protect/NetworkChoices.tsx'
import { chosenAdapters, mapAdapters, type NetworkChoice } from '../features/protect/network-groups.ts'
import { ProtectOutcome } from '../features/protect/ProtectOutcome.tsx'
import { placeFindings } from '../features/protect/place-findings.ts'
import { Review } from '../features/protect/Review.tsx'
import { SuggestedSizes } from '../features/protect/SuggestedSizes.tsx'
import { useProtect } from '../features/protect/use-protect.ts'
import { AzureOutlook, runsInAzure } from '../features/sites/AzureOutlook.tsx'
import { ActionButton } from '../ui/ActionButton.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'

/** One screen: from where, which machines, to where and how; the defaults suffice where there is only one choice. */
export function ProtectPage() {
  const whyRefused = useWhyRefused()
  const { data: sites, error } = useQuery(api.sites.list.queryOptions())
  const search = useSearch({ from: '/signed-in/protect' })
  const named = (search.machines ?? '').split(',').filter((id) => id !== '')
  const preset = useQueries({
    queries: named.map((id) => ({ ...api.machines.get.queryOptions({ input: { id } }), retry: false })),
  })
  if (!sites) return error ? <ProblemAlert error={error} /> : <RoutePending />
  if (preset.some(({ isPending }) => isPending)) return <RoutePending />
  const sources = sites.items.filter(({ canBeSource }) => canBeSource)
  const targets = sites.items.filter(({ canKeepReplicas }) => canKeepReplicas)
  if (sources.length === 0 || sites.items.length < 2)
    return (
      <>
        <PageHeader title="Protect machines" />
        <Panel>
          <EmptyState
            icon={IconBuilding}
            title="Two sites are needed"
            action={
              <LinkButton to="/sites" search={{ register: true }} reason={whyRefused(roleOf.sites.create)}>
                Register a site
              </LinkButton>
            }
          >
            One where the machines run, and another where they shall run on the bad day.
          </EmptyState>
        </Panel>
      </>
    )
  const machines = preset.flatMap(({ data }) => (data && data.protectionId === null ? [data] : []))
  return <Wizard sources={sources} targets={targets} preset={machines} />
}

const belowTheField = ['label', 'input', 'description', 'error'] as const

const labelOf = ({ name, emulated }: Site): string => (emulated ? `${name} (emulated)` : name)

type WizardProps = {
  readonly sources: readonly Site[]
  readonly targets: readonly Site[]
  readonly preset: readonly Machine[]
}

function Wizard({ sources, targets, preset }: WizardProps) {
  const search = useSearch({ from: '/signed-in/protect' })
  const navigate = useNavigate({ from: '/protect' })
  const whyRefused = useWhyRefused()
  const refused = whyRefused(roleOf.protections.create)
  const sourceSiteId =
    search.sourceSiteId ??
    preset[0]?.siteId ??
    sources.find((site) => site.id !== search.targetSiteId && site.machineCount > site.protectedCount)?.id ??
    sources[0]?.id ??
    ''
  const others = targets.filter((site) => site.id !== sourceSiteId)
  const target =
    others.find((site) => site.id === search.targetSiteId) ??
    others.find(({ canBeTarget }) => canBeTarget) ??
    others[0]
  const { data: policies } = useQuery(api.policies.list.queryOptions())
  const [policyId, setPolicyId] = useState<string | null>(null)
  const policy = policies?.items.find(({ id }) => id === policyId) ?? choosePolicy(policies?.items ?? [])
  const [chosen, setChosen] = useState<ReadonlyMap<string, Machine>>(
    () =>
      new Map(preset.filter(({ siteId }) => siteId === sourceSiteId).map((machine) => [machine.id, machine])),
  )
  const { data: allGroups } = useQuery(api.groups.list.queryOptions())
  const [groupId, setGroupId] = useState<string | null>(null)
  const [networks, setNetworks] = useState<Readonly<Record<string, NetworkChoice>>>({})
  const [excluded, setExcluded] = useState<Excluded>({})
  const machines = [...chosen.values()]
  const severalDisks = machines.filter(({ hardware }) => hardware.disks.length > 1)
  const empty = machineLeftEmpty(machines, excluded)
  const groups = groupOptions(allGroups?.items ?? [], {
    siteId: sourceSiteId,
    policyId: policy?.id ?? null,
    count: machines.length,
  })
  const preview = useQuery({
    ...api.protections.preview.queryOptions({
      input: {
        machineIds: machines.map(({ id }) => id),
        targetSiteId: target?.id ?? '',
        policyId: policy?.id ?? '',
        excludedDisks: excludedOf(machines, excluded),
        adapters: chosenAdapters(machines, networks),
        ...(groupId === null ? {} : { groupId }),
      },
    }),
    enabled:
      whyRefused(roleOf.protections.preview) === null &&
      machines.length > 0 &&
      machines.length <= 500 &&
      target !== undefined &&
      policy !== undefined,
    placeholderData: keepPreviousData,
    refetchInterval: false,
  })
  const unencrypted =
    policy?.encrypt && target?.canEncrypt === false
      ? `${policy.name} encrypts, which ${target.name} cannot: its platform has to boot from what lies there. Choose another policy.`
      : null
  const { outcomes, start } = useProtect()
  const suggested = preview.data?.suggestedAdapters ?? {}
  const placed = placeFindings(preview.data?.findings ?? [], {
    target: target !== undefined && runsInAzure(target),
    disks: severalDisks.length > 0,
    networks: target?.whyNoTarget === null,
  })
  const blocked = new Set(
    preview.data?.findings.filter(({ level }) => level === 'blocker').map(({ machineId }) => machineId),
  )
  const able = machines.filter(({ id }) => !blocked.has(id))
  const reason =
    refused ??
    (machines.length === 0
      ? 'Choose at least one machine'
      : machines.length > 500
        ? 'At most 500 at once'
        : empty !== undefined
          ? `At least one disk of ${empty.name} has to be replicated`
          : target === undefined
            ? 'There is no site to protect to'
            : policy === undefined
              ? 'There is no policy yet'
              : preview.isError
                ? 'What it would mean could not be worked out'
                : // What is shown meanwhile is of the machines that were chosen before: the new one has no networks in it.
                  !preview.data || preview.isPlaceholderData
                  ? 'Working out what it would mean'
                  : able.length === 0
                    ? 'Something stands in the way of each of them'
                    : null)
  const protect = (): void => {
    if (!target || !policy) return
    void start({
      targetSiteId: target.id,
      policyId: policy.id,
      groupId,
      machines: able.map((machine) => ({
        machine,
        adapters: mapAdapters(machine, suggested, networks),
        excludedDisks: excluded[machine.id] ?? [],
      })),
    })
  }
  const changeSite = (change: { sourceSiteId?: string; targetSiteId?: string }): void =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true })

  if (outcomes)
    return (
      <>
        <PageHeader title="Protect machines" />
        <Panel>
          <ProtectOutcome outcomes={outcomes} total={able.length} />
        </Panel>
      </>
    )
  return (
    <>
      <PageHeader
        title="Protect machines"
        note="Nothing about a machine is changed; it goes on running while its disks are copied."
      />
      <Stack gap="md">
        <Panel title="From, to and how">
          <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md">
            <Select
              label="Source site"
              allowDeselect={false}
              data={sources.map((site) => ({ value: site.id, label: labelOf(site) }))}
              value={sourceSiteId}
              onChange={(value) => {
                if (value === null) return
                setChosen(new Map())
                changeSite({ sourceSiteId: value })
              }}
            />
            <Select
              label="Target site"
              allowDeselect={false}
              data={others.map((site) => ({ value: site.id, label: labelOf(site) }))}
              value={target?.id ?? null}
              description={target?.whyNoTarget?.message ?? null}
              inputWrapperOrder={[...belowTheField]}
              error={others.length === 0 ? 'No other site can take replicas' : null}
              onChange={(value) => {
                if (value === null) return
                setNetworks({})
                changeSite({ targetSiteId: value })
              }}
            />
            <Select
              label="Policy"
              allowDeselect={false}
              data={(policies?.items ?? []).map(({ id, name }) => ({ value: id, label: name }))}
              value={policy?.id ?? null}
              inputWrapperOrder={[...belowTheField]}
              error={unencrypted}
              onChange={setPolicyId}
            />
            {groups.length > 0 && (
              <Select
                label="Consistency group"
                description="Its machines get points at one instant, from their first on."
                placeholder="None"
                clearable
                clearButtonProps={{ 'aria-label': 'No consistency group' }}
                data={[...groups]}
                value={groupId}
                onChange={setGroupId}
              />
            )}
          </SimpleGrid>
        </Panel>
        <Panel title="Machines" flush>
          <MachinePicker key={sourceSiteId} siteId={sourceSiteId} chosen={chosen} onChange={setChosen} />
        </Panel>
        {machines.length > 0 && target && (
          <>
            {severalDisks.length > 0 && (
              <Panel title="Disks">
                <DiskChoice
                  machines={severalDisks}
                  excluded={excluded}
                  onChange={(id, keys) => setExcluded({ ...excluded, [id]: keys })}
                />
                <MachineFindings machines={machines} findings={placed.disks} label="About the disks" />
              </Panel>
            )}
            <AzureOutlook site={target}>
              <SuggestedSizes machines={machines} sizes={preview.data?.sizes ?? {}} />
              <MachineFindings machines={machines} findings={placed.target} label="About the size" />
            </AzureOutlook>
            {target.whyNoTarget === null && (
              <Panel title="Networks">
                <NetworkChoices
                  machines={machines}
                  target={target}
                  suggested={suggested}
                  chosen={networks}
                  findings={placed.networks}
                  onChange={(id, choice) => setNetworks({ ...networks, [id]: choice })}
                />
              </Panel>
            )}
            <Panel title="What it means">
              <ProblemAlert error={preview.error} title="What it would mean is not known" />
              <Review preview={preview.data} policy={policy} machines={machines} findings={placed.review} />
            </Panel>
          </>
        )}
        <Group justify="space-between">
          <Text size="sm" c="var(--ink-quiet)">
            {blocked.size > 0 && able.length > 0
              ? `${blocked.size} of ${machines.length} cannot be protected now and ${blocked.size === 1 ? 'is' : 'are'} left out.`
              : ''}
          </Text>
          <ActionButton
            size="sm"
            reason={reason}
            onClick={protect}
            leftSection={<IconShieldPlus size={17} aria-hidden />}
          >
            {able.length > 0
              ? `Protect ${able.length} ${able.length === 1 ? 'machine' : 'machines'}`
              : 'Protect'}
          </ActionButton>
        </Group>
      </Stack>
    </>
  )
}
