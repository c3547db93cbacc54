import { Button, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { EmulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { AdapterRuleFields } from './AdapterRuleFields.tsx'
import {
  checkRule,
  type RuleDraft,
  type RuleMode,
  ruleModes,
  rulesOf,
  siteWithRules,
  toRuleDraft,
} from './adapter-rules.ts'
import { ConnectionProblem } from './ConnectionTest.tsx'
import { usePlacementChoices } from './use-placement-choices.ts'

type Adapter = { readonly key: string; readonly macAddress: string }
type AzureAdaptersProps = {
  /** Of the site that the machine may run at. */
  readonly siteId: string
  readonly adapters: readonly Adapter[]
}

const wordsOfMode: Record<RuleMode, string> = { test: 'In a test', failover: 'In a failover' }
const keyOf = ({ macAddress, mode }: Pick<RuleDraft, 'macAddress' | 'mode'>): string =>
  `${mode} ${macAddress}`

/** What Azure gives each adapter of a machine beside its network. Shows nothing for other kinds of site. */
export function AzureAdapters({ siteId, adapters }: AzureAdaptersProps) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.sites.update)
  const { data: site } = useQuery(api.sites.get.queryOptions({ input: { id: siteId } }))
  const [edited, setEdited] = useState<ReadonlyMap<string, RuleDraft>>(new Map())
  const save = useMutation({
    // Read anew: somebody may have changed the site, or another machine's adapters, since it was shown.
    mutationFn: async () => {
      const now = await client.sites.get({ id: siteId })
      await client.sites.update({
        id: siteId,
        site: siteWithRules(now, [...edited.values()]),
        before: now.settings,
      })
    },
    onSuccess: () => {
      setEdited(new Map())
      toastDone('The adapters are saved')
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.sites.key() }),
  })
  const rules = site ? rulesOf(site) : null
  const choices = usePlacementChoices(rules === null ? null : siteId)
  if (!site || rules === null || adapters.length === 0) return null
  const wrong = [...edited.values()].some((draft) => Object.keys(checkRule(draft)).length > 0)
  return (
    <Panel title={`What the adapters get at ${site.name}`} actions={site.emulated && <EmulatedBadge />}>
      <Stack gap="md">
        <Text size="sm" c="var(--ink-quiet)">
          Azure gives its own hardware addresses. What is chosen here is kept in the settings of the site, by
          the hardware address at the source.
        </Text>
        {adapters.map((adapter) => (
          <Stack key={adapter.key} gap="xs" component="section" aria-label={`Adapter ${adapter.key}`}>
            <Text size="sm" fw={600}>
              {adapter.key}{' '}
              <Text span size="xs" c="var(--ink-quiet)" ff="monospace">
                {adapter.macAddress}
              </Text>
            </Text>
            <SimpleGrid cols={{ base: 1, md: 2 }} spacing="xl">
              {ruleModes.map((mode) => {
                const key = keyOf({ macAddress: adapter.macAddress, mode })
                const draft = edited.get(key) ?? toRuleDraft(rules, { macAddress: adapter.macAddress, mode })
                return (
                  <AdapterRuleFields
                    key={mode}
                    title={wordsOfMode[mode]}
                    label={`${wordsOfMode[mode]}, ${adapter.key}`}
                    draft={draft}
                    choices={choices}
                    disabled={refused !== null}
                    onChange={(change) => setEdited(new Map(edited).set(key, { ...draft, ...change }))}
                  />
                )
              })}
            </SimpleGrid>
          </Stack>
        ))}
        <ConnectionProblem error={save.error} title="The adapters were not saved" />
        <Group gap="xs">
          <ActionButton
            reason={
              refused ??
              (edited.size === 0 ? 'Nothing is changed' : wrong ? 'Something does not fit; see above' : null)
            }
            loading={save.isPending}
            onClick={() => save.mutate()}
          >
            Save the adapters
          </ActionButton>
          {edited.size > 0 && (
            <Button variant="subtle" color="gray" onClick={() => setEdited(new Map())}>
              Undo
            </Button>
          )}
        </Group>
      </Stack>
    </Panel>
  )
}
