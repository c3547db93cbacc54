import { Group, Stack } from '@mantine/core'
import { IconPlugConnected } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { ConnectionTest } from './ConnectionTest.tsx'
import { SiteFields } from './SiteFields.tsx'
import { needsStoredSecret, toDraft, toSiteInput } from './site-draft.ts'
import { useSiteForm } from './use-site-form.ts'

/** The settings of a registered site. Secrets are never shown; left empty they stay. */
export function EditSite({ site }: { readonly site: Site }) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const form = useSiteForm(toDraft(site), true)
  const update = useMutation({
    mutationFn: () => client.sites.update({ id: site.id, site: toSiteInput(form.draft) }),
    onSuccess: () => toastDone(`${form.draft.name} is saved`),
    onSettled: () => queries.invalidateQueries({ queryKey: api.sites.key() }),
  })
  // The stored key is not sent to the browser, so a test from here could not use it.
  const untestable = needsStoredSecret(form.draft)
  const reason =
    whyRefused(roleOf.sites.update) ??
    (form.summary === null && !untestable ? 'Test the connection first' : null)
  return (
    <Stack gap="md" maw={720}>
      <SiteFields draft={form.draft} problems={form.problems} onChange={form.setDraft} saved />
      <ConnectionTest summary={form.summary} error={form.testError} incomplete={form.incomplete} />
      <ProblemAlert error={update.error} title="The site was not saved" />
      <Group justify="flex-end" gap="xs">
        <ActionButton
          reason={whyRefused(roleOf.sites.testConnection)}
          variant="default"
          leftSection={<IconPlugConnected size={16} />}
          loading={form.testing}
          onClick={form.test}
        >
          Test the connection
        </ActionButton>
        <ActionButton reason={reason} loading={update.isPending} onClick={() => update.mutate()}>
          Save
        </ActionButton>
      </Group>
    </Stack>
  )
}
